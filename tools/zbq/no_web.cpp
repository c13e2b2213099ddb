// SPDX-License-Identifier: MIT
//
// In the place of web.cpp, where there is no libmicrohttpd to build it with.
#include "errors.hpp"
#include "web.hpp"

namespace zbq::tool {

void serve_metrics(const std::string & /*host*/, uint16_t /*port*/,
                   const std::function<std::string()> & /*make*/,
                   const std::function<void(int port)> & /*listens*/) {
    throw failure("this zbq was built without libmicrohttpd; there is --textfile");
}

} // namespace zbq::tool
