// SPDX-License-Identifier: MIT
/// @file
/// Where consumers find a producer: a named socket, and who may come in by it.
#pragma once

#include "greeting.hpp"
#include "place.hpp"
#include "producer.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/timerfd.h>
#include <vector>

namespace ZBQ_NAMESPACE {

/// Who has connected, by the kernel's account of who called connect. What it hands on, it
/// answers for: the one who reads may be another process.
struct peer {
    pid_t pid = 0;              ///< in this process's pid namespace; 0: in none that it sees
    uid_t uid = 0;              ///< its effective user
    gid_t gid = 0;              ///< its effective group
    wakeup mode = wakeup::push; ///< what it asks for
};

/// What became of one who asked to be let in.
struct newcomer {
    peer who = {};              ///< who it is
    status result = status::ok; ///< ok: it has a slot; full; refused; or why admitting failed
    std::uint32_t slot = 0;     ///< the slot, where ok
};

/// Who may join, and how much strangers may cost.
struct listener_options {
    /// Users that may join beside this process's own (its effective user).
    std::vector<uid_t> users = {};
    /// Groups whose members may join, by their effective or a supplementary group.
    std::vector<gid_t> groups = {};
    /// Asked last, when set: false refuses. Runs inside of serve.
    std::function<bool(const peer &)> accept = {};
    /// Connections that have not said what they want: the oldest makes way for a newer one.
    std::size_t max_strangers = 16;
    /// How long one may take to say it.
    std::chrono::nanoseconds patience = std::chrono::seconds(5);
};

/// Listens at a name and admits consumers to a producer. Nothing that a stranger does blocks
/// it: all sockets are non-blocking, and each call of serve does a bounded amount.
///
/// A name is a path if it has a slash, an abstract name if it begins with @, and else a file
/// in a directory that only this user can enter. A socket in the file system can be connected to
/// by its owner alone (mode 600), or by anyone (666) where other users or groups are on
/// the list; whoever connects is checked by the list in any case.
class listener {
public:
    /// Told of each decision: see serve.
    using observer = std::function<void(const newcomer &)>;

    /// Takes the name. A socket that nobody listens at any more is replaced.
    /// @throws error invalid (no name), too_large (its length), refused (the directory is not
    ///               private), io (in use: os_error() is EADDRINUSE; or a system call failed)
    explicit listener(const std::string &name, listener_options options = {});

    /// Takes over a Unix socket of type SOCK_SEQPACKET that listens already.
    /// @throws error invalid (it is another kind of descriptor, which is closed), io
    explicit listener(unique_fd listening, listener_options options = {})
        : listener(std::move(listening), std::move(options), file()) {}

    /// Takes over the socket that systemd listens at (ListenSequentialPacket=), as
    /// sd_listen_fds(3) describes.
    /// @param fd_name its FileDescriptorName=; empty: the first socket
    /// @param options who may join
    /// @throws error none (none was passed), and as above
    static listener from_systemd(const std::string &fd_name = {}, listener_options options = {});

    /// Takes over; the other one is empty then.
    listener(listener &&) noexcept = default;
    /// Lets go of its own and takes over; the other one is empty then.
    listener &operator=(listener &&other) noexcept {
        if (this != &other) {
            std::destroy_at(this); // its file before its socket: the name may find a next one
            std::construct_at(this, std::move(other));
        }
        return *this;
    }
    listener(const listener &) = delete;
    listener &operator=(const listener &) = delete;
    /// Removes the socket from the file system, if it is still this one.
    ~listener() = default;

    /// A descriptor that becomes readable when serve has something to do. It stays this
    /// listener's. -1 when moved from.
    [[nodiscard]] int event_fd() const noexcept { return watch_.get(); }

    /// Does what there is to do: accepts, listens to strangers, admits, drops. Never blocks.
    /// @param ring who gets the consumers
    /// @param on_decision told of each that was let in or not, when it is decided
    void serve(producer &ring, const observer &on_decision = {});

private:
    // The socket's file, removed with its last owner.
    class file {
    public:
        file() noexcept = default;
        explicit file(std::string path) : path_(std::move(path)) {
            struct stat status_of = {};
            if (::lstat(path_.c_str(), &status_of) != 0) {
                detail::throw_errno(path_);
            }
            device_ = status_of.st_dev;
            inode_ = status_of.st_ino;
        }
        file(file &&other) noexcept
            : path_(std::exchange(other.path_, {})), device_(other.device_), inode_(other.inode_) {}
        file &operator=(file &&other) noexcept {
            std::swap(path_, other.path_);
            std::swap(device_, other.device_);
            std::swap(inode_, other.inode_);
            return *this;
        }
        file(const file &) = delete;
        file &operator=(const file &) = delete;
        ~file() {
            struct stat status_of = {};
            if (!path_.empty() && ::lstat(path_.c_str(), &status_of) == 0 &&
                status_of.st_dev == device_ && status_of.st_ino == inode_) {
                ::unlink(path_.c_str());
            }
        }

    private:
        std::string path_; // empty: none
        dev_t device_ = 0;
        ino_t inode_ = 0;
    };

    struct stranger {
        unique_fd socket;
        deadline until;
    };

    listener(unique_fd listening, listener_options options, file owned);

    void set_timer();
    void pause(deadline until);
    void watch(int fd, std::uint32_t events, int operation) const;
    void accept_some(producer &ring, const observer &on_decision);
    bool is_settled(const stranger &who, producer &ring, const observer &on_decision) const;
    void answer_hello(int socket, peer who, producer &ring, const observer &on_decision) const;
    status decide(const peer &who, int socket, const producer &ring) const;
    status admit(const peer &who, int socket, const producer &ring, std::uint32_t *slot) const;
    [[nodiscard]] bool is_listed(const peer &who, int socket) const;

    listener_options options_;
    unique_fd watch_; // epoll of all that follow
    unique_fd timer_; // the next stranger's end, or the end of a pause
    unique_fd listening_;
    std::deque<stranger> strangers_; // the oldest first
    deadline paused_until_ = now;    // after running out of descriptors
    file file_;
};

namespace detail {

// ---- taking a name ----

inline std::string directory_of(const std::string &path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

// Two listeners that find the same stale socket shall not remove each other's new one.
inline unique_fd lock_directory(const std::string &path) {
    const std::string directory = directory_of(path);
    unique_fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) {
        throw_errno(directory);
    }
    const deadline end = in(std::chrono::seconds(2));
    while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        if (left_until(end) == 0) {
            throw error(status::again, directory + " is locked by another process");
        }
        const timespec a_moment = {0, 20'000'000};
        ::nanosleep(&a_moment, nullptr);
    }
    return fd;
}

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

inline void remove_stale(const place &where) {
    struct stat status_of = {};
    if (::lstat(where.text.c_str(), &status_of) != 0) {
        if (errno == ENOENT) {
            return;
        }
        throw_errno(where.text);
    }
    if (!S_ISSOCK(status_of.st_mode)) {
        throw error(status::refused, where.text + " exists and is not a socket");
    }
    check_stale(where);
    if (::unlink(where.text.c_str()) != 0 && errno != ENOENT) {
        throw_errno(where.text);
    }
}

// For users but the owner, connecting needs permission to write.
inline mode_t mode_for(const listener_options &options) {
    constexpr mode_t owner = S_IRUSR | S_IWUSR;
    constexpr mode_t everyone = owner | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH;
    return options.users.empty() && options.groups.empty() ? owner : everyone;
}

// As in the library: a stranger's descriptors are not even received, where the kernel (6.16) can
// refuse them. Connections inherit it.
inline void refuse_descriptors(int socket) noexcept {
    constexpr int passrights = 83; // SO_PASSRIGHTS, include/uapi/asm-generic/socket.h
    const int off = 0;
    ::setsockopt(socket, SOL_SOCKET, passrights, &off, sizeof off);
}

inline unique_fd bind_to(const place &where, mode_t mode) {
    unique_fd listening = make_socket();
    // The file gets the socket's mode less the umask (unix_bind_bsd in the kernel): set before,
    // it is never open wider.
    ::fchmod(listening.get(), mode);
    if (::bind(listening.get(), where.get(), where.size) != 0) {
        if (errno == EADDRINUSE && where.is_abstract()) {
            check_stale(where);
            errno = EADDRINUSE;
        }
        throw_errno(where.text);
    }
    return listening;
}

inline void start_listening(const unique_fd &bound, const place &where, mode_t mode) {
    // What the umask took away from others is given back.
    const bool widen = !where.is_abstract() && (mode & others) != 0;
    if ((widen && ::chmod(where.text.c_str(), mode) != 0) ||
        ::listen(bound.get(), SOMAXCONN) != 0) {
        throw_errno(where.text);
    }
}

inline int int_option(int fd, int option) noexcept {
    int value = -1;
    socklen_t size = sizeof value;
    return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

inline bool is_in_group(int socket, gid_t group) {
    std::vector<gid_t> groups(64);
    auto size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    int got = ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size);
    if (got != 0 && errno == ERANGE) {
        groups.resize(size / sizeof(gid_t));
        got = ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size);
    }
    groups.resize(got == 0 ? size / sizeof(gid_t) : 0);
    return std::find(groups.begin(), groups.end(), group) != groups.end();
}

// ---- systemd ----

inline std::string environment(const char *name) {
    const char *value = std::getenv(name);
    return value != nullptr ? value : "";
}

// The number of the socket passed under a name; -1: none.
inline int passed_socket(const std::string &fd_name) {
    constexpr int first = 3;
    if (environment("LISTEN_PID") != std::to_string(::getpid())) {
        return -1;
    }
    const int count = std::atoi(environment("LISTEN_FDS").c_str()); // NOLINT(cert-err34-c): 0
    if (fd_name.empty()) {
        return count > 0 ? first : -1;
    }
    const std::string names = environment("LISTEN_FDNAMES") + ":";
    std::size_t begin = 0;
    for (int i = 0; i < count; ++i) {
        const std::size_t end = names.find(':', begin);
        if (end == std::string::npos) {
            break;
        }
        if (names.compare(begin, end - begin, fd_name) == 0) {
            return first + i;
        }
        begin = end + 1;
    }
    return -1;
}

inline constexpr std::uint64_t timer_tag = UINT64_MAX;

} // namespace detail

inline listener::listener(const std::string &name, listener_options options)
    : options_(std::move(options)) {
    const detail::place where = detail::place_of(name, detail::directory_use::create);
    unique_fd lock;
    if (!where.is_abstract()) {
        lock = detail::lock_directory(where.text);
        detail::remove_stale(where);
    }
    const mode_t mode = detail::mode_for(options_);
    unique_fd bound = detail::bind_to(where, mode);
    file owned = where.is_abstract() ? file() : file(where.text);
    detail::start_listening(bound, where, mode);
    *this = listener(std::move(bound), std::move(options_), std::move(owned));
}

inline listener::listener(unique_fd listening, listener_options options, file owned)
    : options_(std::move(options)), watch_(::epoll_create1(EPOLL_CLOEXEC)),
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)),
      listening_(std::move(listening)), file_(std::move(owned)) {
    const int fd = listening_.get();
    if (detail::int_option(fd, SO_DOMAIN) != AF_UNIX ||
        detail::int_option(fd, SO_TYPE) != SOCK_SEQPACKET ||
        detail::int_option(fd, SO_ACCEPTCONN) != 1) {
        throw error(status::invalid, "descriptor " + std::to_string(fd) +
                                         " is not a listening Unix socket of packets");
    }
    detail::refuse_descriptors(fd);
    if (!watch_ || !timer_ || ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
        ::fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        detail::throw_errno("watching a socket");
    }
    watch(fd, EPOLLIN, EPOLL_CTL_ADD);
    watch(timer_.get(), EPOLLIN, EPOLL_CTL_ADD);
}

inline listener listener::from_systemd(const std::string &fd_name, listener_options options) {
    const int fd = detail::passed_socket(fd_name);
    if (fd < 0) {
        throw error(status::none, "systemd passed no socket" +
                                      (fd_name.empty() ? "" : " named '" + fd_name + "'"));
    }
    return listener(unique_fd(fd), std::move(options));
}

inline void listener::watch(int fd, std::uint32_t events, int operation) const {
    epoll_event event = {};
    event.events = events;
    event.data.fd = fd;
    if (::epoll_ctl(watch_.get(), operation, fd, &event) != 0) {
        detail::throw_errno("watching a socket");
    }
}

// The timer serves strangers who are late, and the end of a pause.
inline void listener::set_timer() {
    deadline next = paused_until_ > now ? paused_until_ : never;
    if (!strangers_.empty()) {
        next = std::min(next, strangers_.front().until);
    }
    itimerspec when = {};
    if (next != never) {
        const auto left = static_cast<long>(std::max<std::uint64_t>(detail::left_until(next), 1));
        when.it_value = {left / 1'000'000'000, left % 1'000'000'000};
    }
    ::timerfd_settime(timer_.get(), 0, &when, nullptr);
}

// Out of descriptors or memory: the queue would keep the descriptor readable all the while.
inline void listener::pause(deadline until) {
    const bool pausing = until > now;
    if (pausing != (paused_until_ > now)) {
        watch(listening_.get(), pausing ? 0U : std::uint32_t{EPOLLIN}, EPOLL_CTL_MOD);
    }
    paused_until_ = until;
}

inline bool listener::is_listed(const peer &who, int socket) const {
    const auto lists = [](const auto &list, auto id) {
        return std::find(list.begin(), list.end(), id) != list.end();
    };
    return who.uid == ::geteuid() || lists(options_.users, who.uid) ||
           lists(options_.groups, who.gid) ||
           std::any_of(options_.groups.begin(), options_.groups.end(),
                       [socket](gid_t group) { return detail::is_in_group(socket, group); });
}

inline status listener::decide(const peer &who, int socket, const producer &ring) const {
    if (!is_listed(who, socket) || (options_.accept && !options_.accept(who))) {
        return status::refused;
    }
    const auto is_full = [&ring] {
        const zbq_producer_statistics counters = ring.statistics();
        return counters.consumers >= counters.max_consumers;
    };
    if (is_full()) {
        zbq_producer_scan(ring.get()); // some may be gone
    }
    return is_full() ? status::full : status::ok;
}

inline status listener::admit(const peer &who, int socket, const producer &ring,
                              std::uint32_t *slot) const {
    const status decided = decide(who, socket, ring);
    const auto answer = decided == status::ok     ? detail::answer::welcome
                        : decided == status::full ? detail::answer::full
                                                  : detail::answer::refused;
    const bool told = detail::send_greeting(socket, static_cast<unsigned char>(answer));
    if (decided != status::ok) {
        return decided;
    }
    if (!told) {
        return status::io;
    }
    return static_cast<status>(
        zbq_producer_handshake(ring.get(), socket, static_cast<zbq_wakeup_mode>(who.mode), slot));
}

inline void listener::answer_hello(int socket, peer who, producer &ring,
                                   const observer &on_decision) const {
    newcomer decided = {who, status::ok, 0};
    decided.result = admit(who, socket, ring, &decided.slot);
    if (on_decision) {
        on_decision(decided);
    }
}

// Whether there is nothing more to expect of this one. A greeting is one packet: whole, or
// not a greeting.
inline bool listener::is_settled(const stranger &who, producer &ring,
                                 const observer &on_decision) const {
    detail::greeting hello = {};
    const int socket = who.socket.get();
    const ssize_t size = detail::receive_greeting(socket, &hello);
    if (size < 0) {
        return errno != EAGAIN && errno != EINTR;
    }
    const unsigned char code = detail::code_of(hello);
    if (size > 0 && detail::is_greeting(hello, size) &&
        (code == ZBQ_WAKEUP_PUSH || code == ZBQ_WAKEUP_PULL)) {
        const ucred credentials = detail::credentials_of_peer(socket);
        answer_hello(socket,
                     {credentials.pid, credentials.uid, credentials.gid, static_cast<wakeup>(code)},
                     ring, on_decision);
    } else if (size > 0) {
        detail::send_greeting(socket, static_cast<unsigned char>(detail::answer::refused));
    }
    return true;
}

inline void listener::accept_some(producer &ring, const observer &on_decision) {
    for (std::size_t i = 0; i < std::max<std::size_t>(options_.max_strangers, 1); ++i) {
        stranger who = {
            unique_fd(::accept4(listening_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)),
            in(options_.patience)};
        if (!who.socket) {
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
                pause(in(std::chrono::milliseconds(100)));
                strangers_.clear();
            }
            return;
        }
        if (is_settled(who, ring, on_decision)) {
            continue;
        }
        if (!strangers_.empty() && strangers_.size() >= options_.max_strangers) {
            strangers_.pop_front();
        }
        watch(who.socket.get(), EPOLLIN, EPOLL_CTL_ADD);
        strangers_.push_back(std::move(who));
    }
}

inline void listener::serve(producer &ring, const observer &on_decision) {
    if (!watch_) {
        return;
    }
    for (auto who = strangers_.begin(); who != strangers_.end();) {
        who = is_settled(*who, ring, on_decision) ? strangers_.erase(who) : who + 1;
    }
    while (!strangers_.empty() && detail::left_until(strangers_.front().until) == 0) {
        strangers_.pop_front();
    }
    if (detail::left_until(paused_until_) == 0) {
        pause(now);
        accept_some(ring, on_decision);
    }
    set_timer();
}

} // namespace ZBQ_NAMESPACE
