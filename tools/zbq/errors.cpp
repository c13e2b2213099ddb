// SPDX-License-Identifier: MIT
#include "errors.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sys/resource.h>

namespace zbq::tool {

namespace {

std::string own_limit(__rlimit_resource resource, const char *unit, const char *option) {
    rlimit limit = {};
    if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
        return "";
    }
    return fmt::format(" (the limit is {} {}: ulimit {})", limit.rlim_cur, unit, option);
}

std::string machine_limit() {
    std::string number;
    std::ifstream("/proc/sys/fs/file-max") >> number;
    return fmt::format(" (the machine's limit is {}: fs.file-max)", number);
}

} // namespace

std::string limit_text(int error) {
    switch (error) {
    case EMFILE:
        return own_limit(RLIMIT_NOFILE, "descriptors", "-n");
    case ENFILE:
        return machine_limit();
    case EFBIG:
        return own_limit(RLIMIT_FSIZE, "bytes", "-f");
    default:
        return "";
    }
}

std::string error_text(int error) {
    return std::strerror(error) + limit_text(error);
}

failure system_failure(const std::string &what) {
    const int error = errno;
    return failure(fmt::format("{}: {}", what, error_text(error)));
}

bool is_out_of_descriptors(int error) {
    return error == EMFILE || error == ENFILE;
}

} // namespace zbq::tool
