// SPDX-License-Identifier: MIT
//
// A page for whoever scrapes it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace zbq::tool {

// Serves /metrics at that address until a signal to stop; told of the port once it listens, which a
// port of 0 leaves to the kernel. Each request asks anew, one after the other.
void serve_metrics(const std::string &host, uint16_t port, const std::function<std::string()> &make,
                   const std::function<void(int port)> &listens);

} // namespace zbq::tool
