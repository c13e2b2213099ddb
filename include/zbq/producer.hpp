// SPDX-License-Identifier: MIT
/// @file
/// The producer: room, messages, consumers.
#pragma once

#include "attached.hpp"
#include "descriptors.hpp"
#include "shared_state.hpp"
#include "start.hpp"
#include "time.hpp"
#include "topology.hpp"

#include <algorithm>
#include <concepts>
#include <cstring>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>

namespace ZBQ_NAMESPACE {

/// How much of a producer's time may be spent waiting for one consumer, however it moves: so much
/// at once, which comes back at so much a second. Who uses it up is evicted (eviction::slow).
struct patience {
    std::chrono::nanoseconds at_once{};    ///< what there is at first, and at most
    std::chrono::nanoseconds per_second{}; ///< what comes back in each second
};

/// What a ring is like.
struct producer_options {
    /// Bytes of the ring: a multiple of 4096 and of the page size. A message takes its
    /// payload and 16 bytes, rounded up to 16. Unless it is given, 1 MiB where all processors share
    /// a cache, as far as the kernel says, and 64 MiB where they do not.
    std::uint64_t capacity = detail::suitable_capacity();
    /// How long a consumer may hold the producer back and move by less than what is wanted of it,
    /// or a sixteenth of the ring; 0: for ever.
    std::chrono::nanoseconds stall_timeout = std::chrono::seconds(1);
    /// Consumers at one time.
    std::uint32_t max_consumers = 16;
    /// Failed attempts at room in a row before the consumers are looked at.
    std::uint64_t clog_threshold = 16;
};

namespace detail {

inline constexpr std::size_t header_size = sizeof(zbq_msg_header);

// The room that a message takes; 0 when it cannot be.
constexpr std::uint64_t message_size(std::uint64_t payload_size) noexcept {
    constexpr std::uint64_t mask = ZBQ_MSG_ALIGN - 1;
    return payload_size > UINT32_MAX ? 0 : (header_size + payload_size + mask) & ~mask;
}

inline void write_header(std::byte *at, std::size_t payload_size, std::uint8_t flags,
                         std::size_t fd_count = 0, std::uint64_t seq_id = 0) noexcept {
    const zbq_msg_header header = {static_cast<std::uint32_t>(payload_size),
                                   static_cast<std::uint8_t>(fd_count), flags, 0, seq_id};
    std::memcpy(at, &header, sizeof header);
}

struct producer_state {
    producer_state() = default;
    producer_state(const producer_state &) = delete;
    producer_state &operator=(const producer_state &) = delete;
    producer_state(producer_state &&) = delete;
    producer_state &operator=(producer_state &&) = delete;
    ~producer_state() { zbq_producer_destroy(handle); }

    // Room for so many bytes at next().
    status find_room(std::uint64_t bytes) const noexcept {
        void *place = nullptr;
        return static_cast<status>(zbq_window_reserve(window, bytes, &place));
    }
    std::byte *next() const noexcept { return reinterpret_cast<std::byte *>(window->next); }

    // Of one message or more, that lie at next().
    status commit(std::uint64_t bytes) const noexcept {
        return zbq_window_commit(window, bytes) ? status::ok : status::invalid;
    }

    // Writes the header of a message, and asks for the cache lines of one that comes later: the
    // writing of many small ones would else wait for one line after the other.
    void begin_message(std::byte *at, std::size_t payload_size, std::uint64_t bytes,
                       std::uint8_t flags) const noexcept {
        constexpr std::uint64_t ahead = 1024;
        const auto begun = static_cast<std::uint64_t>(at - next());
        if (window->limit - window->head > begun + ahead + bytes) { // known to be free
            zbq_prefetch_for_writing(at + ahead, bytes);
        }
        write_header(at, payload_size, flags);
    }

    zbq_producer *handle = nullptr; // null once the producer is destroyed
    zbq_commit_window *window = nullptr;
    std::uint64_t reservations = 0; // the newest is the one that can be committed
    unsigned references = 0;
    bool is_named = false;
};

// Room that can be committed once, while it is the newest.
class run {
public:
    run() noexcept = default;
    explicit run(status why) noexcept : why_(why) {}
    run(const shared<producer_state> &state, std::uint64_t bytes) noexcept
        : number_(++state->reservations), why_(state->find_room(bytes)) {
        if (why_ == status::ok) {
            state_ = state;
            base_ = state->next();
            head_ = state->window->head;
        }
    }
    run(run &&other) noexcept
        : state_(std::move(other.state_)), base_(std::exchange(other.base_, nullptr)),
          number_(other.number_), head_(other.head_),
          why_(std::exchange(other.why_, status::invalid)) {}
    run &operator=(run &&other) noexcept {
        state_ = std::move(other.state_);
        base_ = std::exchange(other.base_, nullptr);
        number_ = other.number_;
        head_ = other.head_;
        why_ = std::exchange(other.why_, status::invalid);
        return *this;
    }
    run(const run &) = delete;
    run &operator=(const run &) = delete;
    ~run() = default;

    // Whether it can still be committed.
    bool is_open() const noexcept {
        return state_ && state_->reservations == number_ &&
               state_->window->head == head_; // what was published since is written over it
    }
    std::byte *base() const noexcept { return base_; }
    status why() const noexcept { return why_; }
    zbq_producer *handle() const noexcept { return state_->handle; }
    std::uint64_t head() const noexcept { return head_; }
    void begin_message(std::byte *at, std::size_t payload_size, std::uint64_t bytes,
                       std::uint8_t flags) const noexcept {
        state_->begin_message(at, payload_size, bytes, flags);
    }

    // 0 bytes give it up.
    status commit(std::uint64_t bytes) noexcept {
        if (!is_open()) {
            return status::invalid;
        }
        const status result = bytes != 0 ? state_->commit(bytes) : status::ok;
        state_ = {};
        base_ = nullptr;
        why_ = status::invalid;
        return result;
    }

private:
    shared<producer_state> state_;
    std::byte *base_ = nullptr;
    std::uint64_t number_ = 0;
    std::uint64_t head_ = 0; // where it starts
    status why_ = status::invalid;
};

inline void name_if_nameless(producer &ring, const std::string &name) noexcept;

} // namespace detail

/// Room for one message, to be filled in place. Dropped without a commit, it never was. A
/// producer has one reservation (or batch) at a time: a newer one makes an older one void.
class [[nodiscard]] reservation {
public:
    reservation() noexcept = default;
    /// Takes over; the other one is empty then.
    reservation(reservation &&) noexcept = default;
    /// Lets go of its own and takes over; the other one is empty then.
    reservation &operator=(reservation &&) noexcept = default;
    reservation(const reservation &) = delete;
    reservation &operator=(const reservation &) = delete;
    ~reservation() = default;

    /// Whether there is room to fill.
    explicit operator bool() const noexcept { return run_.is_open(); }
    /// Why not: again (no room now), too_large (never), invalid (moved from, committed, void).
    [[nodiscard]] status why() const noexcept { return run_.is_open() ? status::ok : run_.why(); }

    /// The payload to fill, of the size asked for, aligned to 16. Never read it back: it holds
    /// what was there before. Valid until the commit, the next reservation, or the producer's
    /// end; empty when there is no room.
    [[nodiscard]] std::span<std::byte> payload() const noexcept {
        return run_.is_open() ? std::span(run_.base() + detail::header_size, size_)
                              : std::span<std::byte>();
    }

    /// Where in the stream the message will start, in bytes since the ring was made; 0 when there
    /// is no room.
    [[nodiscard]] std::uint64_t offset() const noexcept { return run_.is_open() ? run_.head() : 0; }

    /// Gives the message flags, the application's own, which are 0 before. Nothing, where there is
    /// no room.
    void set_flags(std::uint8_t flags) noexcept {
        flags_ = flags;
        if (run_.is_open()) {
            detail::write_header(run_.base(), size_, flags);
        }
    }

    /// Publishes all of the payload.
    status commit() noexcept { return run_.commit(detail::message_size(size_)); }

    /// Publishes the first `used` bytes of the payload, with descriptors.
    ///
    /// The descriptors stay the caller's. They are sent first, so that no consumer that sees
    /// the message can miss them.
    ///
    /// @return ok: published, and the reservation is used up. Else nothing is published:
    ///   - again: a consumer has no room for descriptors. The reservation stays: call again
    ///     with the same descriptors, which goes on where this stopped, or drop it
    ///   - invalid: the reservation is void, `used` is more than the payload, there are more
    ///     than 253 descriptors or a bad one. The reservation stays
    status commit(std::size_t used, std::span<const int> fds = {}) noexcept {
        if (!run_.is_open() || used > size_ || fds.size() > ZBQ_MAX_FD_PER_MSG) {
            return status::invalid;
        }
        if (!fds.empty()) {
            const status sent = send(fds);
            if (sent != status::ok) {
                return sent;
            }
        }
        if (used != size_ || !fds.empty()) {
            detail::write_header(run_.base(), used, flags_, fds.size(), fds.empty() ? 0 : seq_id_);
        }
        return run_.commit(detail::message_size(used));
    }

private:
    friend class producer;
    explicit reservation(status why) noexcept : run_(why) {}
    // The header goes first: to come back to its cache line after the payload would take it from
    // a reader of the message before, which lies there too.
    reservation(const detail::shared<detail::producer_state> &state, std::size_t size) noexcept
        : run_(make(state, size)), size_(size) {
        if (run_.why() == status::ok) {
            run_.begin_message(run_.base(), size, detail::message_size(size), 0);
        }
    }

    static detail::run make(const detail::shared<detail::producer_state> &state,
                            std::size_t size) noexcept {
        if (!state) {
            return detail::run(status::invalid);
        }
        const std::uint64_t bytes = detail::message_size(size);
        return bytes == 0 ? detail::run(status::too_large) : detail::run(state, bytes);
    }

    status send(std::span<const int> fds) noexcept {
        if (seq_id_ == 0) {
            seq_id_ = zbq_producer_next_seq_id(run_.handle());
        }
        return static_cast<status>(zbq_producer_broadcast_fds(
            run_.handle(), seq_id_, fds.data(), static_cast<std::uint8_t>(fds.size())));
    }

    detail::run run_;
    std::size_t size_ = 0;
    std::uint64_t seq_id_ = 0; // once descriptors were sent for it
    std::uint8_t flags_ = 0;
};

/// Room for several messages that are published by one commit. As a reservation in all else.
class [[nodiscard]] batch {
public:
    batch() noexcept = default;
    /// Takes over; the other one is empty then.
    batch(batch &&) noexcept = default;
    /// Lets go of its own and takes over; the other one is empty then.
    batch &operator=(batch &&) noexcept = default;
    batch(const batch &) = delete;
    batch &operator=(const batch &) = delete;
    ~batch() = default;

    /// Whether there is room to fill.
    explicit operator bool() const noexcept { return run_.is_open(); }
    /// Why not, as for a reservation.
    [[nodiscard]] status why() const noexcept { return run_.is_open() ? status::ok : run_.why(); }
    /// Messages added so far.
    [[nodiscard]] std::size_t size() const noexcept { return messages_; }

    /// Adds a message, with flags of the application's own, and gives its payload to fill, which is
    /// aligned to 16. With no room left for it, or with a batch that is void, the span has no
    /// data() and the batch is as it was.
    [[nodiscard]] std::span<std::byte> add(std::size_t payload_size,
                                           std::uint8_t flags = 0) noexcept {
        const std::uint64_t bytes = detail::message_size(payload_size);
        if (bytes == 0 || bytes > static_cast<std::uint64_t>(end_ - next_) || !run_.is_open()) {
            return {};
        }
        std::byte *at = next_;
        run_.begin_message(at, payload_size, bytes, flags);
        next_ += bytes;
        ++messages_;
        return {at + detail::header_size, payload_size};
    }

    /// Publishes all that was added; none is fine.
    /// @return ok, or invalid: the batch is void
    status commit() noexcept {
        return run_.commit(static_cast<std::uint64_t>(next_ - run_.base()));
    }

private:
    friend class producer;
    batch(const detail::shared<detail::producer_state> &state, std::uint64_t bytes) noexcept
        : run_(state ? detail::run(state, bytes) : detail::run(status::invalid)),
          next_(run_.base()), end_(next_ != nullptr ? next_ + bytes : nullptr) {}

    detail::run run_;
    std::byte *next_ = nullptr;
    std::byte *end_ = nullptr;
    std::size_t messages_ = 0;
};

/// The one who publishes. Destroying it ends the stream; consumers read on to its end.
///
///     zbq::producer ring;
///     std::ignore = ring.publish(zbq::bytes_of("a copy"), zbq::never);
///     if (zbq::reservation room = ring.reserve(5, zbq::never)) {
///         std::ranges::copy(zbq::bytes_of("place"), room.payload().begin());
///         std::ignore = room.commit();
///     }
///
/// A producer that was moved from answers everything with status::invalid.
class producer {
public:
    /// Makes a ring.
    /// @throws error invalid (an option), no_memory, io
    explicit producer(const producer_options &options = {}) : state_(make(options)) {}
    /// Takes over; the other one is empty then.
    producer(producer &&other) noexcept = default;
    /// Lets go of its own and takes over; the other one is empty then.
    producer &operator=(producer &&other) noexcept {
        if (this != &other) {
            end();
            state_ = std::move(other.state_);
            attached_ = std::move(other.attached_);
        }
        return *this;
    }
    producer(const producer &) = delete;
    producer &operator=(const producer &) = delete;
    ~producer() { end(); }

    // ---- messages ----

    /// Room for a message with a payload of this size; 0 is fine. Never waits.
    reservation try_reserve(std::size_t payload_size) noexcept { return {state_, payload_size}; }

    /// The same, waiting for room until the deadline. Sleeps in poll; consumers that hold it
    /// back for the stall timeout are evicted meanwhile.
    reservation reserve(std::size_t payload_size, deadline end) noexcept {
        reservation got;
        const status found = until(end, [&] {
            got = try_reserve(payload_size);
            return got.why();
        });
        return found == got.why() ? std::move(got) : reservation(found);
    }

    /// Room for messages that take so many bytes in all, each counted by size_of. Never waits.
    batch try_batch(std::uint64_t bytes) noexcept { return {state_, bytes}; }

    /// Bytes of the ring that a message with such a payload takes; 0: none can be so large.
    static constexpr std::uint64_t size_of(std::uint64_t payload_size) noexcept {
        return detail::message_size(payload_size);
    }

    /// Publishes a message with a payload of this size that `fill` writes in place, given the
    /// span; as try_reserve and commit, and cheaper than the two. Makes an older reservation void,
    /// also where there is no room. Nothing is published when `fill` throws. Never waits.
    /// `fill` publishes nothing itself. The flags are the application's own.
    /// @return ok, again (no room now), too_large (never), invalid (moved from, or `fill` has
    ///         published)
    template <std::invocable<std::span<std::byte>> Fill>
    [[gnu::always_inline]] status try_fill(
        std::size_t payload_size, Fill &&fill,
        std::uint8_t flags = 0) noexcept(std::is_nothrow_invocable_v<Fill, std::span<std::byte>>) {
        const std::uint64_t bytes = detail::message_size(payload_size);
        if (!state_ || bytes == 0) {
            return state_ ? status::too_large : status::invalid;
        }
        const status found = state_->find_room(bytes);
        if (found != status::ok) {
            ++state_->reservations;
            return found;
        }
        if constexpr (!std::is_nothrow_invocable_v<Fill, std::span<std::byte>>) {
            ++state_->reservations; // what an open one has written is written over in any case
        }
        zbq_commit_window *const window = state_->window;
        const std::uint64_t head = window->head;
        const std::uint64_t limit = window->limit;
        std::byte *at = state_->next();
        state_->begin_message(at, payload_size, bytes, flags);
        std::forward<Fill>(fill)(std::span(at + detail::header_size, payload_size));
        if (window->head != head) { // `fill` has published something else there
            return status::invalid;
        }
        window->limit = limit; // it may have asked for more, in vain
        zbq_window_publish(window, bytes);
        return status::ok;
    }

    /// Publishes a copy of these bytes. Never waits.
    /// @return as try_fill
    status try_publish(std::span<const std::byte> payload, std::uint8_t flags = 0) noexcept {
        return try_fill(
            payload.size(), [payload](std::span<std::byte> to) noexcept { copy(payload, to); },
            flags);
    }

    /// Publishes a copy of these bytes, waiting for room until the deadline.
    /// @return as try_publish; again: not before the deadline; io: cannot wait
    status publish(std::span<const std::byte> payload, deadline end,
                   std::uint8_t flags = 0) noexcept {
        return until(end, [&] { return try_publish(payload, flags); });
    }

    /// Publishes a copy of these bytes with descriptors, which stay the caller's. Waits until
    /// the deadline for room in the ring and for consumers to collect earlier descriptors.
    /// After `again` some consumers may have been sent descriptors of a message that never
    /// comes; they drop them. To try again without waiting here use a reservation.
    /// @return as publish; invalid also for more than 253 descriptors or a bad one
    status publish(std::span<const std::byte> payload, std::span<const int> fds,
                   deadline end) noexcept {
        std::uint64_t seq_id = 0;
        return until(end, [&] { // what is attached may publish between two attempts
            reservation room = try_reserve(payload.size());
            if (!room) {
                return room.why();
            }
            room.seq_id_ = seq_id;
            copy(payload, room.payload());
            const status sent = room.commit(payload.size(), fds);
            seq_id = room.seq_id_;
            return sent;
        });
    }

    // ---- retained messages ----

    /// Publishes a copy of these bytes that is kept under a key (1 to 32,767), in place of an
    /// earlier one of that key: each newcomer has it before its first message. See
    /// zbq_producer_retain. The descriptors stay the caller's. Makes an open reservation void.
    /// Waits until the deadline, as publish.
    /// @return as publish; too_large also where too much would be retained; no_memory, io
    status retain(std::uint16_t key, std::span<const std::byte> payload, std::span<const int> fds,
                  deadline end) noexcept {
        if (!state_ || fds.size() > ZBQ_MAX_FD_PER_MSG) {
            return status::invalid;
        }
        if (payload.size() > UINT32_MAX) {
            return status::too_large;
        }
        const auto count = static_cast<std::uint8_t>(fds.size());
        const std::uint64_t id = count != 0 ? zbq_producer_next_seq_id(get()) : 0;
        const zbq_msg_header header = {static_cast<std::uint32_t>(payload.size()), count, 0, 0, id};
        const status sent =
            until(end, [&] { return zbq_producer_broadcast_fds(get(), id, fds.data(), count); });
        return sent != status::ok ? sent : change(end, [&] {
            return zbq_producer_retain(get(), key, &header, payload.data(), fds.data());
        });
    }
    /// The same, without descriptors.
    status retain(std::uint16_t key, std::span<const std::byte> payload, deadline end) noexcept {
        return retain(key, payload, {}, end);
    }
    /// Retains no more what is under a key, and says so in the stream. Waits until the deadline.
    /// @return as retain; none: nothing is
    status forget(std::uint16_t key, deadline end) noexcept {
        return state_ ? change(end, [&] { return zbq_producer_forget(get(), key); })
                      : status::invalid;
    }

    // ---- waiting ----

    /// A descriptor that becomes readable when it is worth while to try again what gave
    /// `again`: see zbq_producer_event_fd. It stays this producer's.
    /// @throws error invalid (moved from), no_memory, io
    [[nodiscard]] int event_fd() const {
        const int fd = zbq_producer_event_fd(get());
        detail::require(fd, "making a descriptor to wait for room");
        return fd;
    }

    /// Sleeps until it is worth while to try again what gave `again`, or the deadline. Serves what
    /// is attached meanwhile. Spurious returns are possible.
    /// @return ok, again (the deadline has passed), invalid (moved from), io
    status wait_for_room(deadline end) noexcept {
        const int fd = zbq_producer_event_fd(get());
        if (fd < 0) {
            return static_cast<status>(fd);
        }
        const int ready = attached_.wait(*this, fd, detail::poll_timeout(end, ZBQ_WAIT_SLICE_NS));
        if (ready < 0 && errno != EINTR) {
            return status::io;
        }
        return ready > 0 || detail::left_until(end) != 0 ? status::ok : status::again;
    }

    // ---- serving ----

    /// From now on all calls that take a deadline serve this while they wait, and some hundred
    /// times a second while they need not: newcomers come in by a listener, a collector by a
    /// dialing. It stays the caller's, where it is, until it is detached or this producer goes. A
    /// program whose producer is silent calls serve_until or serve.
    template <service Service>
    void attach(Service &served) {
        attached_.add(&served);
    }
    /// Serves it no more.
    template <service Service>
    void detach(const Service &served) noexcept {
        attached_.remove(&served);
    }

    /// Serves what is attached and has something to do. Never blocks.
    /// @throws what one of them threw, the last time, now or while this waited
    void serve() {
        attached_.wait(*this, -1, 0);
        attached_.rethrow();
    }

    /// Serves what is attached until it is enough, which is asked after each time and some ten
    /// times a second, or the deadline. Sleeps in poll.
    /// @return ok, again (not before the deadline), invalid (moved from)
    /// @throws as serve
    template <std::predicate<> Enough>
    status serve_until(deadline end, Enough &&enough) {
        if (!state_) {
            return status::invalid;
        }
        while (!enough()) {
            if (detail::left_until(end) == 0) {
                return status::again;
            }
            attached_.wait(*this, -1, detail::poll_timeout(end, ZBQ_WAIT_SLICE_NS));
            attached_.rethrow();
        }
        return status::ok;
    }

    // ---- consumers ----

    /// Gives the process at the other end of a connected Unix socket a slot: see
    /// zbq_producer_handshake. The socket stays the caller's. Never waits.
    /// @return its slot
    /// @throws error invalid (also: nothing starts where it is to start), none (no slot is free),
    ///               no_memory, io (it is gone)
    std::uint32_t admit(int socket, wakeup mode = wakeup::push, flow how = flow::lossless,
                        const start &from = {}) {
        std::uint32_t slot = 0;
        detail::require(
            zbq_producer_admit(get(), socket, detail::mode_of(mode, how), &from.get(), &slot),
            "admitting a consumer");
        return slot;
    }

    // ---- what was let go ----

    /// Whether every consumer but the observers has released all below an offset: see
    /// zbq_producer_released. A reservation's offset and what it takes tell where its message ends.
    /// @return ok, again (not yet), invalid (past the head, or moved from)
    status released(std::uint64_t offset) noexcept {
        return static_cast<status>(zbq_producer_released(get(), offset));
    }
    /// The same, waiting for it until the deadline; who is in the way for too long is evicted.
    /// @return as released; io: cannot wait
    status wait_released(std::uint64_t offset, deadline end) noexcept {
        return until(end, [&] { return released(offset); });
    }
    /// Where the next message starts. 0 when moved from.
    [[nodiscard]] std::uint64_t head() const noexcept { return state_ ? state_->window->head : 0; }
    /// Tells this ring from all others; all zero when moved from.
    [[nodiscard]] ring_id id() const noexcept { return detail::id_of(zbq_producer_ctrl(get())); }

    /// Limits how long this producer waits for the consumer in a slot: see
    /// zbq_producer_set_patience. No patience takes the limit away, as at the start.
    /// @return ok, none (the slot is free), invalid
    status set_patience(std::uint32_t slot, const std::optional<patience> &limit) noexcept {
        const auto nanoseconds = [](std::chrono::nanoseconds time) {
            return static_cast<std::uint64_t>(std::max(time.count(), std::int64_t{0}));
        };
        zbq_patience given = {};
        if (limit) {
            given = {nanoseconds(limit->at_once), nanoseconds(limit->per_second)};
        }
        return static_cast<status>(
            zbq_producer_set_patience(get(), slot, limit ? &given : nullptr));
    }
    /// The same for every consumer, those that join later included.
    status set_patience(const std::optional<patience> &limit) noexcept {
        return set_patience(ZBQ_ALL_CONSUMERS, limit);
    }

    /// Evicts consumers that are dead or hung: see zbq_producer_scan. Never waits.
    /// @return ok, or invalid (moved from)
    status scan() noexcept { return static_cast<status>(zbq_producer_scan(get())); }

    /// Counters; all zero for a producer that was moved from.
    [[nodiscard]] zbq_producer_statistics statistics() const noexcept {
        zbq_producer_statistics counters = {};
        zbq_producer_stats(get(), &counters);
        return counters;
    }

    /// What is known of the consumer in a slot: see zbq_producer_consumer_info.
    /// @param slot as admit gave it
    /// @param[out] out the consumer's, or that of the one last evicted from there
    /// @return ok, none (the slot is free), invalid
    status consumer_info(std::uint32_t slot, zbq_consumer_info &out) const noexcept {
        return static_cast<status>(zbq_producer_consumer_info(get(), slot, &out));
    }

    // ---- statistics for others ----

    /// What people call this ring, in its statistics; without it, the name of the listener that
    /// hands them out. Empty: none.
    /// @return ok, too_large (111 bytes at most), invalid (moved from)
    status set_name(const std::string &name) noexcept {
        const auto result = static_cast<status>(zbq_producer_set_name(get(), name.c_str()));
        if (result == status::ok) {
            state_->is_named = true;
        }
        return result;
    }
    /// The descriptor of the statistics page, which others can read (see zbq::statistics): made by
    /// the first call. It stays this producer's.
    /// @throws error invalid (moved from), no_memory, io
    [[nodiscard]] int statistics_fd() const {
        const int fd = zbq_producer_stats_fd(get());
        detail::require(fd, "making a page for statistics");
        return fd;
    }
    /// Writes an account there now: see zbq_producer_refresh_stats. Never waits.
    /// @return ok, or invalid (moved from)
    status refresh_statistics() noexcept {
        return static_cast<status>(zbq_producer_refresh_stats(get()));
    }
    /// Sends the page to the process at the other end of a connected Unix socket, which takes no
    /// slot: see zbq_producer_send_stats. A listener does. Never waits.
    /// @return ok, none (too many are on their way to that user), no_memory, io, invalid
    status send_statistics(int socket) noexcept {
        return static_cast<status>(zbq_producer_send_stats(get(), socket));
    }

    /// The C handle, for calls that have no counterpart here; nullptr when moved from. Room and
    /// commits are this object's.
    [[nodiscard]] zbq_producer *get() const noexcept { return state_ ? state_->handle : nullptr; }

private:
    friend class serving_thread;
    friend void detail::name_if_nameless(producer &ring, const std::string &name) noexcept;

    // Sleeps in poll until this descriptor or what is attached is readable, or a slice is over.
    // false: it cannot.
    bool serve_beside(int fd) noexcept {
        return attached_.wait(*this, fd, detail::poll_timeout(never, ZBQ_WAIT_SLICE_NS)) >= 0 ||
               errno == EINTR;
    }

    static detail::shared<detail::producer_state> make(const producer_options &options) {
        detail::shared<detail::producer_state> state(new detail::producer_state);
        if (options.stall_timeout.count() < 0) {
            throw error(status::invalid, "a stall timeout below 0");
        }
        const zbq_producer_params params = {
            options.capacity, options.clog_threshold,
            static_cast<std::uint64_t>(options.stall_timeout.count()), options.max_consumers};
        detail::require(zbq_producer_create(&state->handle, &params),
                        "making a ring of " + std::to_string(options.capacity) + " bytes for " +
                            std::to_string(options.max_consumers) + " consumers");
        state->window = zbq_producer_window(state->handle);
        return state;
    }

    // Tries, and waits, until the deadline.
    template <typename Try>
    status until(deadline end, const Try &attempt) noexcept {
        attached_.look(*this);
        auto result = static_cast<status>(attempt());
        while (result == status::again) {
            const status waited = wait_for_room(end);
            if (waited != status::ok) {
                return waited;
            }
            result = static_cast<status>(attempt());
        }
        return result;
    }

    // The same, of what publishes by itself.
    template <typename Try>
    status change(deadline end, const Try &attempt) noexcept {
        ++state_->reservations;
        return until(end, attempt);
    }

    static void copy(std::span<const std::byte> from, std::span<std::byte> to) noexcept {
        if (!from.empty()) {
            std::memcpy(to.data(), from.data(), from.size());
        }
    }

    // At once, whatever still refers to it: the stream's end is this object's.
    void end() noexcept {
        if (state_) {
            ++state_->reservations;
            zbq_producer_destroy(std::exchange(state_->handle, nullptr));
            state_ = {};
        }
    }

    detail::shared<detail::producer_state> state_;
    detail::attachments attached_;
};

namespace detail {

inline void name_if_nameless(producer &ring, const std::string &name) noexcept {
    if (ring.state_ && !ring.state_->is_named && !name.empty()) {
        std::ignore = ring.set_name(name);
    }
}

} // namespace detail

} // namespace ZBQ_NAMESPACE
