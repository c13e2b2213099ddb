// SPDX-License-Identifier: MIT
#include "runtime_dir.hpp"

#include "errors.hpp"
#include "unique_fd.hpp"

#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>

namespace zbq::tool {

namespace {

constexpr mode_t others = S_IRWXG | S_IRWXO;
constexpr mode_t others_write = S_IWGRP | S_IWOTH;

bool owned_directory(const struct stat &status) {
    return S_ISDIR(status.st_mode) && status.st_uid == geteuid();
}

std::string xdg_directory(const std::string &runtime) {
    if (runtime.front() != '/') {
        throw failure(fmt::format("XDG_RUNTIME_DIR is '{}', not an absolute path", runtime));
    }
    struct stat status = {};
    if (stat(runtime.c_str(), &status) != 0) {
        throw system_failure(fmt::format("XDG_RUNTIME_DIR, {}", runtime));
    }
    if (!owned_directory(status)) {
        throw failure(
            fmt::format("XDG_RUNTIME_DIR, {}, is not a directory of user {}", runtime, geteuid()));
    }
    if ((status.st_mode & others_write) != 0) {
        throw failure(fmt::format("XDG_RUNTIME_DIR, {}, can be written by others", runtime));
    }
    return runtime + "/zbq";
}

std::string default_directory() {
    const std::string runtime = fmt::format("/run/user/{}", geteuid());
    struct stat status = {};
    if (stat(runtime.c_str(), &status) == 0 && owned_directory(status) &&
        (status.st_mode & others_write) == 0) {
        return runtime + "/zbq";
    }
    return fmt::format("/tmp/zbq-{}", geteuid());
}

std::string private_directory() {
    const char *runtime = std::getenv("XDG_RUNTIME_DIR");
    return runtime != nullptr && *runtime != '\0' ? xdg_directory(runtime) : default_directory();
}

// A real directory of ours that nobody else can even look into: in /tmp anyone may have
// made the name first.
void check_private(const std::string &path) {
    struct stat named = {};
    if (lstat(path.c_str(), &named) != 0) {
        throw system_failure(path);
    }
    const unique_fd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat opened = {};
    if (!directory || fstat(directory.get(), &opened) != 0) {
        throw system_failure(path);
    }
    if (named.st_ino != opened.st_ino || named.st_dev != opened.st_dev ||
        !owned_directory(opened)) {
        throw failure(fmt::format("{} is not a directory of user {}", path, geteuid()));
    }
    if ((opened.st_mode & others) != 0) {
        throw failure(fmt::format("{} is open to others (mode {:o}); it must have mode 700", path,
                                  opened.st_mode & ALLPERMS));
    }
}

void prepare(const std::string &directory, directory_use use) {
    if (use == directory_use::create && mkdir(directory.c_str(), S_IRWXU) != 0 && errno != EEXIST) {
        throw system_failure(directory);
    }
    struct stat status = {};
    if (use == directory_use::create || lstat(directory.c_str(), &status) == 0) {
        check_private(directory);
    }
}

void check_name(const std::string &name) {
    if (name.empty()) {
        throw usage_error("the name is empty");
    }
    if (name == "." || name == ".." || name.back() == '/') {
        throw usage_error(fmt::format("'{}' is no name for a stream", name));
    }
}

} // namespace

std::string rendezvous_path(const std::string &name, directory_use use) {
    check_name(name);
    const bool is_path = name.find('/') != std::string::npos;
    const std::string directory = is_path ? "" : private_directory();
    std::string path = is_path ? name : directory + "/" + name;
    if (path.size() >= sizeof sockaddr_un::sun_path) {
        throw failure(fmt::format("{} is too long for a socket: {} bytes, {} at most", path,
                                  path.size(), sizeof sockaddr_un::sun_path - 1));
    }
    if (!is_path) {
        prepare(directory, use);
    }
    return path;
}

} // namespace zbq::tool
