#!/bin/bash
# SPDX-License-Identifier: MIT
# Whatever the library calls is made to fail by inject_test, or is known not to be able to.
set -euo pipefail
static=$1 sanitize=$2
shift 2
if [ -n "$sanitize" ]; then
    echo "skipped: sanitizers bring calls of their own"
    exit 77
fi
# clock_gettime, geteuid, getpid, getrlimit and sched_yield cannot fail as they are used; sysconf asks for constants; the
# others make no system call.
exempt=(clock_gettime geteuid getpid getrlimit sched_yield sysconf __errno_location memcpy memset memmove strnlen)
called=$(nm -u "$static" | awk '/ [Uw] / && $2 !~ /^_GLOBAL_OFFSET_TABLE_$/ { print $2 }' | sort -u)
unknown=$(comm -23 <(echo "$called") <(printf '%s\n' "$@" "${exempt[@]}" | sort -u))
unused=$(comm -13 <(echo "$called") <(printf '%s\n' "$@" | sort -u))
[ -z "$unknown" ] || { echo "called, and never made to fail: $unknown"; exit 1; }
[ -z "$unused" ] || { echo "made to fail, and never called: $unused"; exit 1; }
