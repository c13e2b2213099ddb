// SPDX-License-Identifier: MIT
//
// Static probes (USDT) for bpftrace, perf, SystemTap and gdb, where ZBQ_PROBES is defined: each is
// a nop, and a note in the binary that says where its arguments lie. None is in the way of a
// message. docs/tracing.md lists them.
#pragma once

#if defined(ZBQ_PROBES)
#define SDT_USE_VARIADIC
#include <sys/sdt.h>
#define ZBQ_PROBE(name, ...) STAP_PROBEV(zbq, name, __VA_ARGS__)
#else
#define ZBQ_PROBE(name, ...) static_cast<void>(0)
#endif
