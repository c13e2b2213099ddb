// SPDX-License-Identifier: MIT
#include "retain.hpp"

#include "errors.hpp"
#include "signals.hpp"

#include <cerrno>
#include <fcntl.h>

namespace zbq::tool {

namespace {

constexpr size_t most_bytes = size_t{1} << 20U; // that a ring retains

// What a file has, and no more of it than a byte too much. Throws where a signal ends that.
std::vector<std::byte> contents(const std::string &path) {
    const unique_fd file(open(path.c_str(), O_RDONLY | O_NOCTTY | O_CLOEXEC));
    if (!file) {
        throw system_failure("opening " + path);
    }
    std::vector<std::byte> bytes(most_bytes + 1);
    size_t size = 0;
    while (size < bytes.size()) {
        const ssize_t got = read(file.get(), bytes.data() + size, bytes.size() - size);
        if (got == 0) {
            break;
        }
        if (got > 0) {
            size += static_cast<size_t>(got);
        } else if (errno != EINTR || stop_signal() != 0) {
            throw system_failure("reading " + path);
        }
    }
    bytes.resize(size);
    return bytes;
}

} // namespace

void retain_files(const pub_options &options, producer *ring) {
    for (const auto &[key, bytes] : options.kept) {
        if (const status result = ring->retain(key, bytes, now); result != status::ok) {
            throw error(result, fmt::format("retaining message {}", key), errno);
        }
    }
    for (const auto &[key, path] : options.retained) {
        const status result = ring->retain(key, contents(path), now);
        if (result == status::too_large) {
            throw failure(fmt::format("{}: too much to retain: {} bytes at most in all, with 32 "
                                      "for each file, and in a ring of {} bytes {} for each (see "
                                      "--capacity)",
                                      path, most_bytes, options.capacity, options.payload_limit()));
        }
        if (result != status::ok) {
            throw error(result, "retaining " + path, errno);
        }
    }
}

} // namespace zbq::tool
