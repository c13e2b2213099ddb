// SPDX-License-Identifier: MIT
/// @file
/// Where consumers find a producer: a named socket, and who may come in by it.
#pragma once

#include "name.hpp"
#include "passed.hpp"
#include "producer.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <vector>

namespace ZBQ_NAMESPACE {

/// Who has connected, by the kernel's account of who called connect. What it hands on, it
/// answers for: the one who reads may be another process.
struct peer {
    pid_t pid = 0;              ///< in this process's pid namespace; 0: nobody there
    uid_t uid = 0;              ///< its effective user
    gid_t gid = 0;              ///< its effective group
    wakeup mode = wakeup::push; ///< how it wants to learn of messages
    bool observes = false;      ///< whether it wants to be an observer, for whom nobody waits
    start from = {};            ///< where it wants to start
};

/// On what terms one is let in, as accept decides.
struct terms {
    std::uint64_t history = UINT64_MAX; ///< bytes that it may start back, at most
    std::optional<patience> limit = {}; ///< how long the producer waits for it, if not as for all
};

/// What became of one who asked to be let in.
struct newcomer {
    peer who = {};              ///< who it is
    status result = status::ok; ///< ok: it has a slot; full; refused; or why admitting failed
    std::uint32_t slot = 0;     ///< the slot, where ok
};

/// Who may join, and how much strangers may cost.
///
/// Only numbers count that the kernel has for somebody. 65534, or what overflowuid and overflowgid
/// in /proc/sys/kernel say, stands for all whom this process's user namespace has no number for,
/// so it admits nobody: not on a list, and not as this process's own.
struct listener_options {
    /// Users that may join beside this process's own (its effective user).
    std::vector<uid_t> users = {};
    /// Groups whose members may join, by their effective or a supplementary group.
    std::vector<gid_t> groups = {};
    /// Users that may observe, and nothing else: they can harm nobody.
    std::vector<uid_t> observing_users = {};
    /// Groups whose members may observe, and nothing else.
    std::vector<gid_t> observing_groups = {};
    /// Slots of the ring that observers may have, at one time.
    std::uint32_t max_observers = UINT32_MAX;
    /// Asked last, when set: false refuses. It may change the terms. Runs inside of serve.
    std::function<bool(const peer &, terms &)> accept = {};
    /// Connections that have not said what they want: the oldest makes way for a newer one.
    std::size_t max_strangers = 16;
    /// How long one may take to say it.
    std::chrono::nanoseconds patience = std::chrono::seconds(5);
};

/// Listens at a name and admits consumers to a producer. Nothing that a stranger does blocks
/// it: all sockets are non-blocking, and each call of serve does a bounded amount, after which
/// strangers are left alone for four times as long as it took, but 100 ms at most.
///
/// A name is a path if it has a slash, an abstract name if it begins with @, and else a file
/// in a directory that only this user can enter. A socket in the file system can be connected to
/// by its owner alone (mode 600), or by anyone (666) where other users or groups are on
/// the list; whoever connects is checked by the list in any case.
class listener {
public:
    /// Told of each decision: see serve.
    using report = std::function<void(const newcomer &)>;

    /// Takes the name, which appears when it can be joined. A socket that nobody listens at any
    /// more is replaced. Waits while another process takes the same name, for two seconds at most.
    /// @throws error invalid (no name), too_large (its length), refused (the directory is not
    ///               private, or what is there is no socket), again (the name is locked),
    ///               no_memory, io (in use: os_error() is EADDRINUSE; or a system call failed)
    explicit listener(const std::string &name, listener_options options = {});

    /// Takes over a Unix socket of type SOCK_SEQPACKET that listens already.
    /// @throws error invalid (it is another kind of descriptor, which is closed), io
    explicit listener(unique_fd listening, listener_options options = {})
        : listener(detail::take_over(std::move(listening)), std::move(options), delegated()) {}

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
    /// Removes the socket from the file system, if it is still this one. In a forked child it
    /// stays: there this only closes the child's copies.
    ~listener() = default;

    /// A descriptor that becomes readable when serve has something to do. It stays this
    /// listener's. -1 when moved from.
    [[nodiscard]] int event_fd() const noexcept { return watch_.get(); }

    /// Does what there is to do: accepts, listens to strangers, admits, drops. Never blocks.
    /// Nothing in a forked child, and nothing while strangers are left alone.
    /// @param ring who gets the consumers
    /// @param on_decision told of each that was let in or not, when it is decided
    void serve(producer &ring, const report &on_decision = {});

private:
    struct stranger {
        unique_fd socket;
        deadline until;
    };

    using strangers = std::deque<stranger>; // the oldest first
    struct delegated {};
    static constexpr std::chrono::milliseconds longest_rest{100};

    listener(detail::named_socket &&named, listener_options &&options, delegated how);

    void set_timer();
    void rest(deadline until);
    void rest_from(std::chrono::nanoseconds work);
    void give_up();
    bool hear_strangers(producer &ring, const report &on_decision);
    bool accept_some(producer &ring, const report &on_decision);
    strangers::iterator drop(const strangers::iterator &who);
    void keep(stranger who);
    bool is_settled(const stranger &who, producer &ring, const report &on_decision) const;
    void answer_hello(int socket, peer who, producer &ring, const report &on_decision) const;
    status decide(const peer &who, int socket, const producer &ring, terms *given) const;
    status admit(const peer &who, int socket, producer &ring, std::uint32_t *slot) const;
    [[nodiscard]] bool is_listed(const peer &who, int socket) const;
    [[nodiscard]] bool is_full(const peer &who, const producer &ring) const;

    listener_options options_;
    unique_fd watch_; // epoll of the next two
    unique_fd door_;  // epoll of the socket and the strangers
    unique_fd timer_; // the next stranger's end, or the end of a rest
    unique_fd listening_;
    strangers strangers_;
    deadline resting_until_ = now;
    detail::birthmark birth_;
    std::optional<detail::socket_file> file_;
};

namespace detail {

// For users but the owner, connecting needs permission to write.
inline mode_t mode_for(const listener_options &options) {
    constexpr mode_t owner = S_IRUSR | S_IWUSR;
    constexpr mode_t everyone = owner | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH;
    const bool only_owner = options.users.empty() && options.groups.empty() &&
                            options.observing_users.empty() && options.observing_groups.empty();
    return only_owner ? owner : everyone;
}

// Adds a descriptor to an epoll, or changes what is waited for.
inline bool watch(const unique_fd &epoll, int fd, std::uint32_t events, int operation) noexcept {
    epoll_event event = {};
    event.events = events;
    event.data.fd = fd;
    return ::epoll_ctl(epoll.get(), operation, fd, &event) == 0;
}

} // namespace detail

inline listener::listener(const std::string &name, listener_options options)
    : listener(detail::listen_at(detail::place_of(name, detail::directory_use::create),
                                 detail::mode_for(options)),
               std::move(options), delegated()) {}

inline listener::listener(detail::named_socket &&named, listener_options &&options,
                          [[maybe_unused]] delegated how)
    : options_(std::move(options)), watch_(::epoll_create1(EPOLL_CLOEXEC)),
      door_(::epoll_create1(EPOLL_CLOEXEC)),
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)),
      listening_(std::move(named.socket)), file_(std::move(named.file)) {
    const bool is_watched = watch_ && door_ && timer_ &&
                            detail::watch(door_, listening_.get(), EPOLLIN, EPOLL_CTL_ADD) &&
                            detail::watch(watch_, door_.get(), EPOLLIN, EPOLL_CTL_ADD) &&
                            detail::watch(watch_, timer_.get(), EPOLLIN, EPOLL_CTL_ADD);
    if (!is_watched) {
        detail::throw_errno("watching a socket");
    }
    detail::read_overflow_ids();
}

inline listener listener::from_systemd(const std::string &fd_name, listener_options options) {
    const int fd = detail::passed_socket(fd_name);
    if (fd < 0) {
        throw error(status::none, "systemd passed no socket" +
                                      (fd_name.empty() ? "" : " named '" + fd_name + "'"));
    }
    return listener(unique_fd(fd), std::move(options));
}

// The timer serves strangers who are late, and the end of a rest.
inline void listener::set_timer() {
    deadline next = never;
    if (resting_until_ > now) {
        next = resting_until_;
    } else if (!strangers_.empty()) {
        next = strangers_.front().until;
    }
    itimerspec when = {};
    if (next != never) {
        const auto left = static_cast<long>(std::max<std::uint64_t>(detail::left_until(next), 1));
        when.it_value = {left / 1'000'000'000, left % 1'000'000'000};
    }
    ::timerfd_settime(timer_.get(), 0, &when, nullptr);
}

// Nothing of what strangers do makes the descriptor readable until then.
inline void listener::rest(deadline until) {
    const bool resting = until > now;
    if (resting != (resting_until_ > now)) {
        // Were it to fail: a wait that ends too early.
        detail::watch(watch_, door_.get(), resting ? 0U : std::uint32_t{EPOLLIN}, EPOLL_CTL_MOD);
    }
    resting_until_ = until;
}

namespace detail {

inline bool is_one_of(const std::vector<uid_t> &users, const std::vector<gid_t> &groups,
                      const peer &who, int socket) {
    if (lists_user(users, who.uid) || lists_group(groups, who.gid)) {
        return true;
    }
    const std::vector<gid_t> more = groups.empty() ? std::vector<gid_t>() : groups_of_peer(socket);
    return std::any_of(more.begin(), more.end(),
                       [&groups](gid_t group) { return lists_group(groups, group); });
}

// Where one starts that may not start further back.
inline start within(const start &wanted, const terms &given, const producer &ring) {
    const zbq_start &wish = wanted.get();
    const bool is_here = wanted.ring() == whichever_ring || wanted.ring() == ring.id();
    const bool is_offset = wish.at == ZBQ_START_OFFSET && is_here;
    // What is asked for, and not the message before it that the producer knows.
    if ((wish.at == ZBQ_START_LAST && wish.offset <= given.history) ||
        (is_offset && ring.head() - wish.offset <= given.history)) {
        return wanted;
    }
    const start most = start::within(given.history);
    std::uint64_t from = 0;
    std::uint64_t least = 0;
    zbq_producer_find_start(ring.get(), &wanted.get(), &from);
    zbq_producer_find_start(ring.get(), &most.get(), &least);
    return from < least ? most : wanted;
}

// How many slots observers have.
inline std::uint32_t observers_of(const producer &ring) {
    const std::uint32_t slots = ring.statistics().max_consumers;
    std::uint32_t count = 0;
    zbq_consumer_info info = {};
    for (std::uint32_t i = 0; i < slots; ++i) {
        count += ring.consumer_info(i, info) == status::ok && (info.mode & ZBQ_OBSERVE_PUSH) != 0;
    }
    return count;
}

} // namespace detail

inline bool listener::is_listed(const peer &who, int socket) const {
    return detail::is_own_user(who.uid) ||
           detail::is_one_of(options_.users, options_.groups, who, socket) ||
           (who.observes &&
            detail::is_one_of(options_.observing_users, options_.observing_groups, who, socket));
}

inline bool listener::is_full(const peer &who, const producer &ring) const {
    const zbq_producer_statistics counters = ring.statistics();
    return counters.consumers >= counters.max_consumers ||
           (who.observes && options_.max_observers < counters.max_consumers &&
            detail::observers_of(ring) >= options_.max_observers);
}

inline status listener::decide(const peer &who, int socket, const producer &ring,
                               terms *given) const {
    if (!is_listed(who, socket) || (options_.accept && !options_.accept(who, *given))) {
        return status::refused;
    }
    std::uint64_t offset = 0;
    if (zbq_producer_find_start(ring.get(), &who.from.get(), &offset) != ZBQ_OK) {
        return status::invalid;
    }
    if (is_full(who, ring)) {
        zbq_producer_scan(ring.get()); // some may be gone
    }
    return is_full(who, ring) ? status::full : status::ok;
}

namespace detail {

constexpr answer answer_for(status decided) noexcept {
    return decided == status::ok        ? answer::welcome
           : decided == status::full    ? answer::full
           : decided == status::invalid ? answer::no_such_start
                                        : answer::refused;
}

} // namespace detail

inline status listener::admit(const peer &who, int socket, producer &ring,
                              std::uint32_t *slot) const {
    terms given;
    const status decided = decide(who, socket, ring, &given);
    const bool told = detail::send_answer(socket, detail::answer_for(decided));
    if (decided != status::ok) {
        return decided;
    }
    if (!told) {
        return status::io;
    }
    const start from = detail::within(who.from, given, ring);
    const zbq_wakeup_mode mode =
        detail::mode_of(who.mode, who.observes ? flow::follow : flow::lossless);
    const auto joined =
        static_cast<status>(zbq_producer_admit(ring.get(), socket, mode, &from.get(), slot));
    if (joined == status::ok && given.limit) {
        return ring.set_patience(*slot, given.limit);
    }
    return joined;
}

inline void listener::answer_hello(int socket, peer who, producer &ring,
                                   const report &on_decision) const {
    newcomer decided = {who, status::ok, 0};
    decided.result = admit(who, socket, ring, &decided.slot);
    if (on_decision) {
        on_decision(decided);
    }
}

// Whether there is nothing more to expect of this one. A greeting is one packet: whole, or
// not a greeting.
inline bool listener::is_settled(const stranger &who, producer &ring,
                                 const report &on_decision) const {
    detail::hello hello = {};
    const int socket = who.socket.get();
    const ssize_t size = detail::receive_packet(socket, &hello);
    if (size < 0) {
        return errno != EAGAIN && errno != EINTR;
    }
    if (const std::optional<detail::wish> asked = detail::wish_in(hello, size)) {
        const ucred credentials = detail::credentials_of_peer(socket);
        const auto mode = static_cast<wakeup>(asked->mode & ZBQ_WAKEUP_PULL);
        answer_hello(socket,
                     {credentials.pid, credentials.uid, credentials.gid, mode,
                      (asked->mode & ZBQ_OBSERVE_PUSH) != 0, start(asked->from)},
                     ring, on_decision);
    } else if (size > 0) {
        detail::send_answer(socket, detail::answer::refused);
    }
    return true;
}

// While it is watched: a forked child may have a copy, and the entry would outlive it here.
inline listener::strangers::iterator listener::drop(const strangers::iterator &who) {
    detail::watch(door_, who->socket.get(), 0, EPOLL_CTL_DEL);
    return strangers_.erase(who);
}

inline void listener::keep(stranger who) {
    if (!strangers_.empty() && strangers_.size() >= options_.max_strangers) {
        drop(strangers_.begin());
    }
    if (detail::watch(door_, who.socket.get(), EPOLLIN, EPOLL_CTL_ADD)) { // else it is dropped
        strangers_.push_back(std::move(who));
    }
}

// Whether any of them has been answered.
inline bool listener::hear_strangers(producer &ring, const report &on_decision) {
    const std::size_t before = strangers_.size();
    for (auto who = strangers_.begin(); who != strangers_.end();) {
        who = is_settled(*who, ring, on_decision) ? drop(who) : who + 1;
    }
    const bool answered = strangers_.size() != before;
    while (!strangers_.empty() && detail::left_until(strangers_.front().until) == 0) {
        drop(strangers_.begin());
    }
    return answered;
}

// Whether there was anybody.
inline bool listener::accept_some(producer &ring, const report &on_decision) {
    const std::size_t most = std::max<std::size_t>(options_.max_strangers, 1);
    for (std::size_t i = 0; i < most; ++i) {
        stranger who = {
            unique_fd(::accept4(listening_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)),
            in(options_.patience)};
        if (!who.socket) {
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
                give_up();
            }
            return i != 0;
        }
        if (!is_settled(who, ring, on_decision)) {
            keep(std::move(who));
        }
    }
    return true;
}

// Out of descriptors or memory: the queue would keep the descriptor readable all the while.
inline void listener::give_up() {
    rest(in(longest_rest));
    while (!strangers_.empty()) {
        drop(strangers_.begin());
    }
}

// Whoever comes, the producer has four fifths of its time to itself.
inline void listener::rest_from(std::chrono::nanoseconds work) {
    rest(std::max(resting_until_, in(std::min<std::chrono::nanoseconds>(4 * work, longest_rest))));
}

inline void listener::serve(producer &ring, const report &on_decision) {
    if (!birth_.is_here() || detail::left_until(resting_until_) != 0) {
        return;
    }
    rest(now);
    const deadline start = clock::now();
    const bool answered = hear_strangers(ring, on_decision);
    const bool accepted = accept_some(ring, on_decision);
    if (answered || accepted) {
        rest_from(clock::now() - start);
    }
    set_timer();
}

} // namespace ZBQ_NAMESPACE
