// SPDX-License-Identifier: MIT
/// @file
/// Listening at a name. Not part of the interface.
///
/// A socket takes its name when it can be connected to: it is bound as .NAME.new beside it,
/// listens, and is renamed. One at a time does that, by a lock on .NAME.lock, which nobody can
/// have but who may write the directory, and this user. Both files are gone afterwards; what
/// a crash leaves of them is in nobody's way.
#pragma once

#include "greeting.hpp"
#include "hash.hpp"
#include "identity.hpp"
#include "place.hpp"
#include "process.hpp"
#include "time.hpp"

#include <cinttypes>
#include <cstdio>
#include <ctime>
#include <fcntl.h>
#include <optional>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>

namespace ZBQ_NAMESPACE::detail {

// ---- files ----

inline std::string directory_of(const std::string &path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? "" : path.substr(0, slash + 1);
}

// Beside it, hidden.
inline std::string companion_of(const std::string &path, const char *ending) {
    const std::string directory = directory_of(path);
    return directory + "." + path.substr(directory.size()) + ending;
}

inline bool is_same_file(const struct stat &one, const struct stat &other) noexcept {
    return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

// A socket's file, removed with its last owner: by the process that made it, and if it is still
// this one that lies there.
class socket_file {
public:
    explicit socket_file(std::string path) : path_(std::move(path)) {
        if (::lstat(path_.c_str(), &status_) != 0) {
            throw_errno(path_);
        }
    }
    socket_file(socket_file &&other) noexcept = default;
    socket_file &operator=(socket_file &&other) noexcept = default;
    socket_file(const socket_file &) = delete;
    socket_file &operator=(const socket_file &) = delete;
    ~socket_file() {
        struct stat now = {};
        if (birth_.is_here() && ::lstat(path_.c_str(), &now) == 0 && is_same_file(now, status_)) {
            ::unlink(path_.c_str());
        }
    }

    enum class other_file { replace, keep };

    void rename(const std::string &path, other_file what) {
        constexpr unsigned no_replace = 1; // RENAME_NOREPLACE, include/uapi/linux/fs.h
        long result = -1;
        if (what == other_file::keep) {
            result = ::syscall(SYS_renameat2, AT_FDCWD, path_.c_str(), AT_FDCWD, path.c_str(),
                               no_replace);
        }
        // Not every file system has that. Then what another program made a moment ago is lost.
        if (what == other_file::replace || (result != 0 && errno == EINVAL)) {
            result = ::rename(path_.c_str(), path.c_str());
        }
        if (result != 0) {
            throw_errno(path);
        }
        path_ = path;
    }

private:
    std::string path_;
    struct stat status_ = {};
    birthmark birth_;
};

// ---- one at a time ----

// A file that is locked and still has its name. Removed at the end, while it is locked.
class name_lock {
public:
    explicit name_lock(std::string path) : path_(std::move(path)) {
        const deadline end = in(std::chrono::seconds(2));
        while (!take()) {
            if (left_until(end) == 0) {
                throw error(status::again, path_ + " is locked by another process");
            }
            const timespec a_moment = {0, 1'000'000};
            ::nanosleep(&a_moment, nullptr);
        }
    }
    name_lock(const name_lock &) = delete;
    name_lock &operator=(const name_lock &) = delete;
    name_lock(name_lock &&) = delete;
    name_lock &operator=(name_lock &&) = delete;
    ~name_lock() { ::unlink(path_.c_str()); }

private:
    bool take() {
        constexpr int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
        file_.reset(::open(path_.c_str(), flags, S_IRUSR | S_IWUSR));
        if (!file_) {
            throw_errno(path_);
        }
        if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
            return false;
        }
        struct stat locked = {};
        struct stat named = {};
        return ::fstat(file_.get(), &locked) == 0 && ::lstat(path_.c_str(), &named) == 0 &&
               is_same_file(locked, named);
    }

    std::string path_;
    unique_fd file_;
};

// ---- sockets ----

inline unique_fd make_socket() {
    unique_fd made(::socket(AF_UNIX, listener_type, 0));
    if (!made) {
        throw_errno("making a socket");
    }
    return made;
}

[[noreturn]] inline void throw_in_use(const place &where, pid_t pid) {
    throw error(status::io,
                where.text + " is in use" + (pid > 0 ? " by process " + std::to_string(pid) : ""),
                EADDRINUSE);
}

// Throws unless nobody listens there.
inline void check_stale(const place &where) {
    const unique_fd probe = make_socket();
    if (::connect(probe.get(), where.get(), where.size) == 0) {
        throw_in_use(where, credentials_of_peer(probe.get()).pid);
    }
    if (errno == EAGAIN) { // its queue is full
        throw_in_use(where, 0);
    }
    if (errno != ECONNREFUSED && errno != ENOENT) { // EPROTOTYPE: of another program
        throw_errno(where.text);
    }
}

// Whether a socket lies there that nobody listens at; else nothing does, or this throws.
inline bool has_stale_socket(const place &where) {
    struct stat status_of = {};
    if (::lstat(where.text.c_str(), &status_of) != 0) {
        if (errno == ENOENT) {
            return false;
        }
        throw_errno(where.text);
    }
    if (!S_ISSOCK(status_of.st_mode)) {
        throw error(status::refused, where.text + " exists and is not a socket");
    }
    check_stale(where);
    return true;
}

inline void bind_socket(const unique_fd &socket, const place &where, mode_t mode) {
    // The file gets the socket's mode less the umask (unix_bind_bsd in the kernel): set before,
    // it is never open wider.
    ::fchmod(socket.get(), mode);
    if (::bind(socket.get(), where.get(), where.size) != 0) {
        if (errno == EADDRINUSE && where.is_abstract()) {
            check_stale(where);
            errno = EADDRINUSE;
        }
        throw_errno(where.text);
    }
}

// As in the library: a stranger's descriptors are not even received, where the kernel (6.16) can
// refuse them. Connections inherit it.
inline void let_descriptors_in(int socket, bool in) noexcept {
    constexpr int passrights = 83; // SO_PASSRIGHTS, include/uapi/asm-generic/socket.h
    const int value = in ? 1 : 0;
    ::setsockopt(socket, SOL_SOCKET, passrights, &value, sizeof value);
}

inline void start_listening(const unique_fd &bound, const place &where) {
    let_descriptors_in(bound.get(), false);
    if (::listen(bound.get(), SOMAXCONN) != 0) {
        throw_errno(where.text);
    }
}

// ---- names ----

// For users but the owner, connecting needs permission to write.
constexpr mode_t mode_for(bool is_for_others) noexcept {
    constexpr mode_t owner = S_IRUSR | S_IWUSR;
    constexpr mode_t everyone = owner | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH;
    return is_for_others ? everyone : owner;
}

// Socket, and its file if it has one.
struct named_socket {
    unique_fd socket;
    std::optional<socket_file> file = {};
};

inline named_socket listen_at_abstract(const place &where) {
    named_socket made = {make_socket()};
    bind_socket(made.socket, where, S_IRUSR | S_IWUSR);
    start_listening(made.socket, where);
    return made;
}

// Where a socket is bound before it has its name.
struct fresh_place {
    std::string path;
    unique_fd directory; // what the address goes by
    place address;
};

inline fresh_place fresh_place_for(const std::string &path) {
    fresh_place fresh;
    fresh.path = companion_of(path, ".new");
    if (fresh.path.size() <= longest_name) {
        fresh.address = place_at(fresh.path);
        return fresh;
    }
    // A path that fits into an address just so. What is opened has a short one.
    const std::string directory = directory_of(path);
    char file[24] = {};
    std::snprintf(file, sizeof file, ".%016" PRIx64 ".new", hash(path.substr(directory.size())));
    fresh.path = directory + file;
    fresh.directory.reset(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fresh.directory) {
        throw_errno(directory);
    }
    fresh.address = place_at("/proc/self/fd/" + std::to_string(fresh.directory.get()) + "/" + file);
    return fresh;
}

inline named_socket listen_at_path(const place &where, mode_t mode) {
    const name_lock lock(companion_of(where.text, ".lock"));
    const bool is_stale = has_stale_socket(where);
    const fresh_place fresh = fresh_place_for(where.text);
    ::unlink(fresh.path.c_str()); // of one that crashed
    named_socket made = {make_socket()};
    bind_socket(made.socket, fresh.address, mode);
    made.file.emplace(fresh.path);
    // What the umask took away from others is given back.
    if ((mode & others) != 0 && ::chmod(fresh.path.c_str(), mode) != 0) {
        throw_errno(fresh.path);
    }
    start_listening(made.socket, where);
    using other_file = socket_file::other_file;
    made.file->rename(where.text, is_stale ? other_file::replace : other_file::keep);
    return made;
}

inline named_socket listen_at(const place &where, mode_t mode) {
    return where.is_abstract() ? listen_at_abstract(where) : listen_at_path(where, mode);
}

} // namespace ZBQ_NAMESPACE::detail
