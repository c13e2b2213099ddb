// SPDX-License-Identifier: MIT
/// @file
/// One who reads from many: producers dial in.
#pragma once

#include "consumer.hpp"
#include "doorway.hpp"

#include <algorithm>
#include <concepts>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <utility>
#include <vector>

namespace ZBQ_NAMESPACE {

/// Who dials in, by the kernel's account of who called connect; its name is its own word for
/// itself.
struct caller {
    std::string name;   ///< any bytes but zeros, 24 at most: look before they are printed
    pid_t pid = 0;      ///< in this process's pid namespace; 0: nobody there
    uid_t uid = 0;      ///< its effective user
    gid_t gid = 0;      ///< its effective group
    bool waits = false; ///< whether it waits for this collector: else that is an observer
};

/// A producer that has dialed in.
class source {
public:
    /// Who it is.
    [[nodiscard]] const caller &who() const noexcept { return who_; }
    /// Tells it from all other sources of its collector: 1 for the first, then 2, ...
    [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
    /// Its ring, for capacity, type, id, what was lost and what is retained. Take no messages from
    /// it.
    [[nodiscard]] const consumer &ring() const noexcept { return ring_; }

private:
    friend class collector;
    source(caller who, std::uint64_t number, consumer ring)
        : who_(std::move(who)), number_(number), ring_(std::move(ring)) {}

    caller who_;
    std::uint64_t number_;
    consumer ring_;
    bool is_ready_ = false; // there may be messages
    message next_;          // taken, where they are given in order
    deadline taken_ = now;
};

/// Who may dial in, and how much of what.
struct collector_options {
    /// Users that may dial in beside this process's own (its effective user).
    std::vector<uid_t> users = {};
    /// Groups whose members may, by their effective or a supplementary group.
    std::vector<gid_t> groups = {};
    /// Asked last, when set: false refuses.
    std::function<bool(const caller &)> accept = {};
    /// Sources at one time. Each takes five descriptors of this process, and the address space of
    /// its ring twice. A user other than this process's own has half of the places at most.
    std::size_t max_sources = 200;
    /// Bytes of the largest ring that a source may have. One with a larger ring has been welcomed
    /// before that shows: it loses its slot at once, and is not told why.
    std::uint64_t max_capacity = std::uint64_t{1} << 30U;
    /// Messages that one source may have at a turn; 0 is as 1.
    std::size_t turn = 1024;
    /// How long messages that are given in order wait for those of silent sources: a day at most.
    std::chrono::nanoseconds hold = std::chrono::milliseconds(10);
    /// Callers that are not settled: the oldest makes way for a newer one.
    std::size_t max_strangers = 16;
    /// How long one may take to be settled.
    std::chrono::nanoseconds patience = std::chrono::seconds(5);
    /// Told of each source that comes, before its first message.
    std::function<void(const source &)> on_join = {};
    /// Told of each that goes, after its last message, and how: closed, producer_died, malformed
    /// (it broke the protocol), evicted (this collector was too slow for it).
    std::function<void(const source &, ending)> on_end = {};
    /// Told of each that was not let in: full, refused, too_large (its ring), or why its join
    /// failed.
    std::function<void(const caller &, status)> on_refusal = {};
};

/// Listens at a name (see listener) for producers that dial in (see dial), and reads all of their
/// rings. Nothing that one of them does blocks it, or keeps another's messages waiting for longer
/// than a turn.
///
///     zbq::collector logs("@trace");
///     while (logs.wait(zbq::never) == zbq::status::ok) {
///         logs.serve([](const zbq::source &from, zbq::message_batch &batch) {
///             for (const zbq::message_view &message : batch) {
///                 use(from.who().name, message.payload());
///             }
///         });
///     }
///
/// One thread at a time. In a forked child it does nothing. Its functions call those of its options
/// and the one that is given to serve, which must not serve it.
class collector {
public:
    /// Takes the name. @throws error as listener
    explicit collector(const std::string &name, collector_options options = {})
        : options_(within_reason(std::move(options))),
          door_(detail::listen_at(detail::place_of(name, detail::directory_use::create),
                                  detail::mode_for(is_for_others(options_))),
                {options_.max_strangers, options_.patience}),
          watch_(::epoll_create1(EPOLL_CLOEXEC)), bell_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
          timer_(detail::make_timer()) {
        if (!watch_ || !bell_ || !timer_ || !watch(door_.event_fd(), door_number) ||
            !watch(bell_.get(), bell_number) || !watch(timer_.get(), bell_number)) {
            detail::throw_errno("making a descriptor to wait for sources");
        }
    }

    collector(const collector &) = delete;
    collector &operator=(const collector &) = delete;
    collector(collector &&) = delete;
    collector &operator=(collector &&) = delete;
    ~collector() = default;

    /// A descriptor that becomes readable when serve has something to do. It stays this
    /// collector's.
    [[nodiscard]] int event_fd() const noexcept { return watch_.get(); }

    /// Waits until serve has something to do, or the deadline. Sleeps in poll.
    /// @return ok, again (not before the deadline), io
    status wait(deadline end) const noexcept {
        for (;;) {
            pollfd polled = {watch_.get(), POLLIN, 0};
            const int got = ::poll(&polled, 1, detail::poll_timeout(end, ZBQ_WAIT_SLICE_NS));
            if (got > 0) {
                return status::ok;
            }
            if (got < 0 && errno != EINTR) {
                return status::io;
            }
            if (detail::left_until(end) == 0) {
                return status::again;
            }
        }
    }

    /// Lets newcomers in, and gives each source that has messages a turn. Never blocks.
    /// @param use given a source and a batch of its messages, of which there is one at least, that
    ///            counts as visited: what else it does not visit comes with the next turn. As
    ///            message_batch::intact says, what was read of one that does not wait for this
    ///            collector may be torn
    /// @return how many batches it gave; 0: there is nothing to read now
    template <std::invocable<const source &, message_batch &> Use>
    std::size_t serve(Use &&use) {
        if (!birth_.is_here()) {
            return 0;
        }
        ringing after(this);
        look_around();
        std::size_t given = 0;
        for (std::size_t turns = ready_.size(); turns != 0; --turns) {
            given += give_turn(use);
        }
        after.is_more = !ready_.empty();
        return given;
    }

    /// The same, one message after the other in the order of a key over all sources: the time of
    /// day in each message, for instance. A message is given once every source has a later one, or
    /// it has waited for options.hold. What comes later than that is given at once, after those
    /// that should have come behind it. Use one of the two, not both.
    /// @param key_of makes the key of a message. It may read torn bytes, as above
    /// @param use given a source and a message, which holds its room in the ring as long as it
    /// lives
    /// @return how many messages it gave
    template <typename KeyOf, std::invocable<const source &, message &> Use>
    requires std::is_invocable_r_v<std::uint64_t, KeyOf, const message &> std::size_t
    serve_in_order(KeyOf &&key_of, Use &&use) {
        if (!birth_.is_here()) {
            return 0;
        }
        ringing after(this);
        look_around();
        std::size_t given = 0;
        const std::size_t most = options_.turn * std::max<std::size_t>(sources_.size(), 1);
        take_all(key_of);
        const auto due = due_key(clock::now() - options_.hold);
        while (!order_.empty() && given != most &&
               (is_complete() || (due && order_.begin()->first <= *due))) {
            give_first(use);
            ++given;
            take_all(key_of);
        }
        after.is_more = given == most || !ready_.empty();
        set_timer();
        return given;
    }

    /// How many sources there are.
    [[nodiscard]] std::size_t size() const noexcept { return sources_.size(); }

private:
    // One who was welcomed, and whose join is to come.
    struct affair {
        std::optional<caller> welcome;
    };
    using doorway = detail::doorway<affair>;
    using source_map = std::map<std::uint64_t, source>;
    static constexpr std::uint64_t bell_number = 0; // beside those of sources
    static constexpr std::uint64_t door_number = UINT64_MAX;

    static collector_options within_reason(collector_options options) noexcept {
        options.turn = std::clamp<std::size_t>(options.turn, 1, UINT32_MAX);
        options.hold = std::min<std::chrono::nanoseconds>(options.hold, std::chrono::hours(24));
        return options;
    }

    static bool is_for_others(const collector_options &options) noexcept {
        return !options.users.empty() || !options.groups.empty();
    }

    bool watch(int fd, std::uint64_t number, int operation = EPOLL_CTL_ADD) noexcept {
        // A source is told once, until it has been read to the end of what is there.
        const bool is_source = number != bell_number && number != door_number;
        return detail::watch(watch_, fd, EPOLLIN | (is_source ? std::uint32_t{EPOLLONESHOT} : 0U),
                             operation, number);
    }

    // ---- who comes ----

    // Then whoever has something to read is ready.
    void look_around() {
        constexpr int most = 64; // the kernel gives the others next
        epoll_event events[most];
        const int count = ::epoll_wait(watch_.get(), events, most, 0);
        bool is_at_door = false;
        for (int i = 0; i < count; ++i) {
            const std::uint64_t number = events[i].data.u64;
            if (const auto found = sources_.find(number); found != sources_.end()) {
                make_ready(&found->second); // who is told once, and not of what somebody throws
            }
            is_at_door |= number == door_number;
        }
        if (is_at_door) {
            door_.serve([this](doorway::stranger &who) { return is_settled(&who); });
        }
    }

    void make_ready(source *from) {
        if (!std::exchange(from->is_ready_, true)) {
            ready_.push_back(from);
        }
    }

    source *first_ready() {
        source *first = ready_.front();
        ready_.pop_front();
        first->is_ready_ = false;
        return first;
    }

    bool is_settled(doorway::stranger *who) {
        const int socket = who->socket.get();
        if (who->affair.welcome) {
            return join(socket, *who->affair.welcome);
        }
        detail::hello hello = {};
        const ssize_t size = detail::receive_packet(socket, &hello);
        if (size < 0) {
            return errno != EAGAIN && errno != EINTR;
        }
        const std::optional<detail::call> asked = detail::call_in(hello, size);
        if (!asked) {
            if (size > 0) {
                detail::send_answer(
                    socket, detail::answer_to_stray(detail::wish_in(hello, size).has_value() ||
                                                    detail::is_inquiry(hello, size)));
            }
            return true;
        }
        const ucred credentials = detail::credentials_of_peer(socket);
        caller from = {std::string(asked->name), credentials.pid, credentials.uid, credentials.gid,
                       (asked->mode & ZBQ_OBSERVE_PUSH) == 0};
        return !is_welcomed(socket, from) || join(socket, who->affair.welcome.emplace(from));
    }

    bool is_welcomed(int socket, const caller &who) {
        const status decided = decide(socket, who);
        const detail::answer said = decided == status::ok     ? detail::answer::welcome
                                    : decided == status::full ? detail::answer::full
                                                              : detail::answer::refused;
        if (decided == status::ok) { // those of its join
            detail::let_descriptors_in(socket, true);
        } else {
            refuse(who, decided);
        }
        const bool told = detail::send_answer(socket, said);
        return told && decided == status::ok;
    }

    status decide(int socket, const caller &who) const {
        const bool is_listed =
            detail::is_own_user(who.uid) ||
            detail::is_one_of(options_.users, options_.groups, who.uid, who.gid, socket);
        if (!is_listed || (options_.accept && !options_.accept(who))) {
            return status::refused;
        }
        return has_place_for(who) ? status::ok : status::full;
    }

    // No other user can take the places of all.
    [[nodiscard]] bool has_place_for(const caller &who) const {
        const auto count = std::ranges::count(sources_, who.uid,
                                              [](const auto &one) { return one.second.who().uid; });
        const std::size_t share =
            detail::is_own_user(who.uid) ? options_.max_sources : (options_.max_sources + 1) / 2;
        return sources_.size() < options_.max_sources && static_cast<std::size_t>(count) < share;
    }

    void refuse(const caller &who, status why) const {
        if (options_.on_refusal) {
            options_.on_refusal(who, why);
        }
    }

    // Of the ring that is on its way, before it is mapped, which takes long for a large one; 0: it
    // is no join. Nothing has come yet, where there is none. One who has gone with an answer unread
    // shows that first, once.
    static std::optional<std::uint64_t> announced_capacity(int socket) noexcept {
        zbq_join_payload payload = {};
        ssize_t size = 0;
        do {
            size = ::recv(socket, &payload, sizeof payload, MSG_PEEK | MSG_DONTWAIT);
        } while (size < 0 && errno == ECONNRESET);
        if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
            return std::nullopt;
        }
        return size == sizeof payload ? payload.ring_capacity : 0;
    }

    // Whether it has joined, or never will.
    bool join(int socket, const caller &who) {
        const std::optional<std::uint64_t> capacity = announced_capacity(socket);
        if (!capacity) {
            return false;
        }
        status why = status::too_large;
        const source *came = nullptr;
        try {
            if (*capacity <= options_.max_capacity) {
                came = add(
                    who, consumer(socket, wakeup::push, who.waits ? flow::lossless : flow::follow),
                    &why);
            }
        } catch (const error &failure) {
            why = static_cast<status>(failure.code().value());
        }
        if (came == nullptr) {
            refuse(who, why);
        } else if (options_.on_join) {
            options_.on_join(*came);
        }
        return true;
    }

    // nullptr: why not.
    const source *add(const caller &who, consumer ring, status *why) {
        if (!has_place_for(who)) { // others came between welcome and join
            *why = status::full;
            return nullptr;
        }
        const int fd = ring.event_fd();
        const std::uint64_t number = ++last_number_;
        const auto [place, is_new] = sources_.emplace(number, source(who, number, std::move(ring)));
        if (!is_new || !watch(fd, number)) {
            sources_.erase(place);
            *why = status::io;
            return nullptr;
        }
        return &place->second;
    }

    // ---- turns ----

    // To the first of those that are ready.
    template <typename Use>
    std::size_t give_turn(Use &use) {
        source *from = first_ready();
        {
            message_batch batch = from->ring_.take_batch(options_.turn);
            if (batch.begin() != std::default_sentinel) {
                make_ready(from); // behind the others, also where this throws
                use(std::as_const(*from), batch);
                return 1;
            }
        }
        rest(from);
        return 0;
    }

    // Of one that gave nothing: it waits for its descriptor, or has ended.
    void rest(source *from) {
        const status seen = from->ring_.wait(now);
        if (seen == status::ok) { // meanwhile
            make_ready(from);
        } else if (seen != status::again) {
            end(*from);
        } else {
            watch(from->ring_.event_fd(), from->number_, EPOLL_CTL_MOD);
        }
    }

    void end(const source &from) {
        const ending how = from.ring_.ending();
        ::epoll_ctl(watch_.get(), EPOLL_CTL_DEL, from.ring_.event_fd(), nullptr);
        auto gone = sources_.extract(from.number_);
        if (options_.on_end) {
            options_.on_end(gone.mapped(), how == ending::none ? ending::malformed : how);
        }
    }

    // Its own readiness does not show in any descriptor.
    void ring_bell(bool more) noexcept {
        if (more != rings_) {
            std::uint64_t count = 1;
            const ssize_t done = more ? ::write(bell_.get(), &count, sizeof count)
                                      : ::read(bell_.get(), &count, sizeof count);
            rings_ = done > 0 ? more : rings_;
        }
    }

    // Rings at the end of a call, also where a function that was given to it throws.
    struct ringing {
        explicit ringing(collector *whose) noexcept : of(whose) {}
        ringing(const ringing &) = delete;
        ringing &operator=(const ringing &) = delete;
        ringing(ringing &&) = delete;
        ringing &operator=(ringing &&) = delete;
        ~ringing() { of->ring_bell(is_more); }

        collector *of;
        bool is_more = true;
    };

    // ---- in order ----

    // The next message of each that has none.
    template <typename KeyOf>
    void take_all(const KeyOf &key_of) {
        for (std::size_t turns = ready_.size(); turns != 0; --turns) {
            source *from = first_ready();
            if (from->next_) { // it is ready again when that has gone
                continue;
            }
            message next = from->ring_.try_next();
            if (!next) {
                rest(from);
                continue;
            }
            make_ready(from); // behind the others, where no key can be made
            order_.emplace(key_of(std::as_const(next)), from);
            ready_.pop_back();
            from->is_ready_ = false;
            from->next_ = std::move(next);
            from->taken_ = clock::now();
        }
    }

    template <typename Use>
    void give_first(Use &use) {
        source *from = order_.begin()->second;
        order_.erase(order_.begin());
        message next = std::exchange(from->next_, message());
        make_ready(from);
        use(std::as_const(*from), next);
    }

    [[nodiscard]] bool is_complete() const noexcept { return order_.size() == sources_.size(); }

    // The highest key of those that were taken before: with it all below are due.
    [[nodiscard]] std::optional<std::uint64_t> due_key(deadline before) const {
        std::optional<std::uint64_t> highest;
        for (const auto &[key, from] : order_) {
            if (from->taken_ <= before) {
                highest = key;
            }
        }
        return highest;
    }

    // For the next that is due.
    void set_timer() noexcept {
        deadline next = never;
        for (const auto &[key, from] : order_) {
            next = std::min(next, from->taken_ + options_.hold);
        }
        detail::set_timer(timer_, next);
    }

    collector_options options_;
    detail::birthmark birth_;
    doorway door_;
    unique_fd watch_; // epoll of the door, the sources, and the next two
    unique_fd bell_;  // readable while a source is ready
    unique_fd timer_; // what waits in order is due
    source_map sources_;
    std::deque<source *> ready_;                   // each once; who comes first has the next turn
    std::multimap<std::uint64_t, source *> order_; // keys, and the sources that hold them
    std::uint64_t last_number_ = 0;
    bool rings_ = false;
};

} // namespace ZBQ_NAMESPACE
