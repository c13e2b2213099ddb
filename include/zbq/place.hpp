// SPDX-License-Identifier: MIT
/// @file
/// Where a name's socket lies. Not part of the interface; docs/guide.md says what a name is.
#pragma once

#include "identity.hpp"

#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

namespace ZBQ_NAMESPACE::detail {

// An address to bind or connect to.
struct place {
    std::string text; // for people: the path, or @ and the abstract name
    sockaddr_un address = {};
    socklen_t size = 0;

    [[nodiscard]] const sockaddr *get() const noexcept {
        return reinterpret_cast<const sockaddr *>(&address);
    }
    [[nodiscard]] bool is_abstract() const noexcept { return text.front() == '@'; }
};

// Of a path, in bytes.
inline constexpr std::size_t longest_name = sizeof(sockaddr_un::sun_path) - 1;

enum class directory_use {
    create, // a listener makes the private directory
    look,   // who connects does not
};

inline constexpr mode_t others = S_IRWXG | S_IRWXO;
inline constexpr mode_t others_write = S_IWGRP | S_IWOTH;

inline bool is_own_directory(const struct stat &status) noexcept {
    return S_ISDIR(status.st_mode) && is_own_user(status.st_uid);
}

// What XDG_RUNTIME_DIR says, checked.
inline std::string session_directory(const std::string &runtime) {
    if (runtime.front() != '/') {
        throw error(status::refused, "XDG_RUNTIME_DIR is '" + runtime + "', not an absolute path");
    }
    struct stat status_of = {};
    if (::stat(runtime.c_str(), &status_of) != 0) {
        throw_errno("XDG_RUNTIME_DIR, " + runtime);
    }
    if (!is_own_directory(status_of)) {
        throw error(status::refused, "XDG_RUNTIME_DIR, " + runtime + ", is not a directory of " +
                                         user_text(::geteuid()));
    }
    if ((status_of.st_mode & others_write) != 0) {
        throw error(status::refused, "XDG_RUNTIME_DIR, " + runtime + ", can be written by others");
    }
    return runtime + "/zbq";
}

// Without a session: the user's runtime directory if there is one, else a place in /tmp.
inline std::string default_directory() {
    const std::string user = std::to_string(::geteuid());
    const std::string runtime = "/run/user/" + user;
    struct stat status_of = {};
    if (::stat(runtime.c_str(), &status_of) == 0 && is_own_directory(status_of) &&
        (status_of.st_mode & others_write) == 0) {
        return runtime + "/zbq";
    }
    return "/tmp/zbq-" + user;
}

// A real directory of ours that nobody else can even look into: in /tmp anyone may have made
// the name first.
inline void check_private(const std::string &path) {
    struct stat named = {};
    if (::lstat(path.c_str(), &named) != 0) {
        throw_errno(path);
    }
    const unique_fd directory(
        ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat opened = {};
    if (!directory || ::fstat(directory.get(), &opened) != 0) {
        throw_errno(path);
    }
    if (named.st_ino != opened.st_ino || named.st_dev != opened.st_dev ||
        !is_own_directory(opened)) {
        throw error(status::refused, path + " is not a directory of " + user_text(::geteuid()));
    }
    if ((opened.st_mode & others) != 0) {
        throw error(status::refused, path + " is open to others; it must have mode 700");
    }
}

inline std::string private_directory(directory_use use) {
    const char *runtime = std::getenv("XDG_RUNTIME_DIR");
    std::string directory =
        runtime != nullptr && *runtime != '\0' ? session_directory(runtime) : default_directory();
    if (use == directory_use::create && ::mkdir(directory.c_str(), S_IRWXU) != 0 &&
        errno != EEXIST) {
        throw_errno(directory);
    }
    struct stat status_of = {};
    if (use == directory_use::create || ::lstat(directory.c_str(), &status_of) == 0) {
        check_private(directory);
    }
    return directory;
}

inline void check_name(const std::string &name) {
    const bool bad = name.empty() || name == "." || name == ".." || name == "@" ||
                     name.back() == '/' || name.find('\0') != std::string::npos;
    if (bad) {
        throw error(status::invalid, "'" + name + "' is no name for a stream");
    }
}

inline void fill_address(place *where) {
    sockaddr_un &address = where->address;
    address.sun_family = AF_UNIX;
    // A path ends with a zero; an abstract name begins with one, in the place of the @.
    const std::size_t most = longest_name + (where->is_abstract() ? 1 : 0);
    if (where->text.size() > most) {
        throw error(status::too_large, where->text + " is too long for a socket: " +
                                           std::to_string(where->text.size()) + " bytes, " +
                                           std::to_string(most) + " at most");
    }
    std::memcpy(address.sun_path, where->text.data(), where->text.size());
    if (where->is_abstract()) {
        address.sun_path[0] = '\0';
    }
    where->size = where->is_abstract()
                      ? static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + where->text.size())
                      : static_cast<socklen_t>(sizeof address);
}

inline place place_at(std::string text) {
    place where;
    where.text = std::move(text);
    fill_address(&where);
    return where;
}

inline place place_of(const std::string &name, directory_use use) {
    check_name(name);
    const bool is_address = name.front() == '@' || name.find('/') != std::string::npos;
    return place_at(is_address ? name : private_directory(use) + "/" + name);
}

} // namespace ZBQ_NAMESPACE::detail
