// SPDX-License-Identifier: MIT
/// @file
/// Where consumers find a producer: a named socket, and who may come in by it.
#pragma once

#include "doorway.hpp"
#include "passed.hpp"
#include "producer.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
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
    bool inspects = false;      ///< whether it asks for the statistics alone, and takes no slot
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

/// Listens at a name and admits consumers to a producer. Who asks for the producer's statistics
/// (see inspect) gets them where it could join as an observer: they take no slot, and are not
/// reported. Nothing that a stranger does blocks
/// it: all sockets are non-blocking, and each call of serve does a bounded amount, after which
/// strangers are left alone for four times as long as it took, but 100 ms at most.
///
/// A name is a path if it has a slash, an abstract name if it begins with @, and else a file
/// in a directory that only this user can enter. A socket in the file system can be connected to
/// by its owner alone (mode 600), or by anyone (666) where other users or groups are on
/// the list; whoever connects is checked by the list in any case.
///
///     zbq::listener door("camera");
///     zbq::producer ring;
///     ring.attach(door); // newcomers come in while it waits
///     const auto has_reader = [&] { return ring.statistics().consumers != 0; };
///     std::ignore = ring.serve_until(zbq::never, has_reader);
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
        : listener(detail::take_over(std::move(listening)), std::move(options)) {}

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
    [[nodiscard]] int event_fd() const noexcept { return door_.event_fd(); }

    /// Does what there is to do: accepts, listens to strangers, admits, drops. Never blocks.
    /// Nothing in a forked child, and nothing while strangers are left alone.
    /// @param ring who gets the consumers
    /// @param on_decision told of each that was let in or not, when it is decided
    void serve(producer &ring, const report &on_decision = {});

private:
    struct nothing {};
    using doorway = detail::doorway<nothing>;

    listener(detail::named_socket &&named, listener_options &&options, std::string name = {})
        : name_(std::move(name)), options_(std::move(options)),
          door_(std::move(named), {options_.max_strangers, options_.patience}) {}

    bool is_settled(int socket, producer &ring, const report &on_decision) const;
    void answer_hello(int socket, peer who, producer &ring, const report &on_decision) const;
    status decide(const peer &who, int socket, const producer &ring, terms *given) const;
    status admit(const peer &who, int socket, producer &ring, std::uint32_t *slot) const;
    void answer_inquiry(int socket, producer &ring) const;
    [[nodiscard]] bool is_listed(const peer &who, int socket) const;
    [[nodiscard]] bool is_full(const peer &who, const producer &ring) const;

    std::string name_; // as it was given; empty: it was not
    listener_options options_;
    doorway door_;
};

namespace detail {

inline bool is_for_others(const listener_options &options) noexcept {
    return !options.users.empty() || !options.groups.empty() || !options.observing_users.empty() ||
           !options.observing_groups.empty();
}

} // namespace detail

inline listener::listener(const std::string &name, listener_options options)
    : listener(detail::listen_at(detail::place_of(name, detail::directory_use::create),
                                 detail::mode_for(detail::is_for_others(options))),
               std::move(options), name) {}

inline listener listener::from_systemd(const std::string &fd_name, listener_options options) {
    const int fd = detail::passed_socket(fd_name);
    if (fd < 0) {
        throw error(status::none, "systemd passed no socket" +
                                      (fd_name.empty() ? "" : " named '" + fd_name + "'"));
    }
    return listener(unique_fd(fd), std::move(options));
}

namespace detail {

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
           detail::is_one_of(options_.users, options_.groups, who.uid, who.gid, socket) ||
           (who.observes && detail::is_one_of(options_.observing_users, options_.observing_groups,
                                              who.uid, who.gid, socket));
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

// To whom an observer's place would be given.
inline void listener::answer_inquiry(int socket, producer &ring) const {
    const ucred credentials = detail::credentials_of_peer(socket);
    const peer who = {.pid = credentials.pid,
                      .uid = credentials.uid,
                      .gid = credentials.gid,
                      .mode = wakeup::pull,
                      .observes = true,
                      .inspects = true};
    terms given;
    const bool may = is_listed(who, socket) && (!options_.accept || options_.accept(who, given));
    const bool told =
        detail::send_answer(socket, may ? detail::answer::welcome : detail::answer::refused);
    if (may && told) {
        detail::name_if_nameless(ring, name_);
        std::ignore = ring.send_statistics(socket); // else it finds the connection closed
    }
}

// Whether there is nothing more to expect of this one. A greeting is one packet: whole, or
// not a greeting.
inline bool listener::is_settled(int socket, producer &ring, const report &on_decision) const {
    detail::hello hello = {};
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
    } else if (detail::is_inquiry(hello, size)) {
        answer_inquiry(socket, ring);
    } else if (size > 0) {
        detail::send_answer(socket,
                            detail::answer_to_stray(detail::call_in(hello, size).has_value()));
    }
    return true;
}

inline void listener::serve(producer &ring, const report &on_decision) {
    door_.serve([&](const doorway::stranger &who) {
        return is_settled(who.socket.get(), ring, on_decision);
    });
}

} // namespace ZBQ_NAMESPACE
