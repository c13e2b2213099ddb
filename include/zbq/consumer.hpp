// SPDX-License-Identifier: MIT
/// @file
/// The consumer: messages in place, their descriptors, and waiting for more.
#pragma once

#include "descriptors.hpp"
#include "process.hpp"
#include "shared_state.hpp"
#include "start.hpp"
#include "time.hpp"

#include <concepts>
#include <cstddef>
#include <ctime>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

namespace ZBQ_NAMESPACE {

namespace detail {

// In a row, after which an observer gives up for now.
inline constexpr int most_laps = 8;

struct consumer_state {
    consumer_state() = default;
    consumer_state(const consumer_state &) = delete;
    consumer_state &operator=(const consumer_state &) = delete;
    consumer_state(consumer_state &&) = delete;
    consumer_state &operator=(consumer_state &&) = delete;
    ~consumer_state() { zbq_consumer_destroy(handle); }

    zbq_consumer *handle = nullptr;
    birthmark birth;               // in a forked child nothing of the ring is mapped
    unsigned references = 0;       // the consumer, and all messages and batches that live
    std::uint64_t batch_bytes = 0; // a batch visits no message that starts further on
    unsigned held = 0;             // messages and batches that hold room of the ring
    bool push = false;
    bool newest = false;    // each look skips to the newest message
    bool no_record = false; // none was there to collect, and no look for messages since
    zbq_read_window *window = nullptr;
    std::uint64_t released_to = 0;   // of what was let go, the highest end
    std::uint64_t waiting_begin = 0; // let go, but not what lies before; up to the tail: nothing
    std::uint64_t waiting_end = 0;
    std::uint64_t put_off = 0; // the newest record that is to be closed once nothing is held

    // All below it was taken.
    std::uint64_t cursor() const noexcept { return window->cursor; }
    bool knows_more() const noexcept {
        return window->cursor != window->head && window->unusual == 0;
    }

    // Whether there is a message to take, as far as that shows without taking it.
    status look() noexcept {
        const status quick = quick_look();
        return quick == status::again ? static_cast<status>(zbq_consumer_look(handle)) : quick;
    }

    // The same without a call. It asks for no lines of messages to come: in a dense stream the
    // producer is writing there.
    status quick_look() noexcept {
        no_record = no_record && knows_more();
        const bool seen = window->observes == 0 && (knows_more() || zbq_window_look(window));
        return !seen ? status::again : zbq_window_valid(window) ? status::ok : status::none;
    }

    [[gnu::noinline]] status take(zbq_msg_view *view) noexcept {
        skip();
        no_record = no_record && knows_more();
        return static_cast<status>(zbq_window_next(window, view));
    }

    // What it says, the look that follows says too.
    void skip() noexcept {
        if (newest) {
            zbq_consumer_seek(handle, ZBQ_SEEK_NEWEST);
        }
    }

    status copy(std::span<std::byte> into, zbq_msg_copy *out) noexcept {
        skip();
        no_record = no_record && knows_more();
        const bool is_oldest = window->tail == window->cursor;
        const int result = zbq_consumer_copy(handle, into.data(), into.size(), out);
        if (result == ZBQ_OK) { // after what is held
            if (out->header.fd_count != 0) {
                let_go_of_record(out->header.seq_id, is_oldest);
            }
            hold();
            let_go(out->logical_offset, cursor());
        }
        return static_cast<status>(result);
    }

    // What the header of an observer's message says of its record may be torn: then there is none.
    std::uint64_t whole(std::uint64_t seq_id, std::uint64_t offset) const noexcept {
        return window->observes == 0 || zbq_window_valid_from(window, offset) ? seq_id : 0;
    }

    descriptors collect(std::uint64_t seq_id) noexcept {
        descriptors got = descriptors::collect(handle, seq_id);
        no_record = got.why() == status::again;
        return got;
    }

    // Of a message, or the last of a batch, that goes: closes what it has not taken, and all before
    // it. That waits where something older is held, for no record of that must go.
    void let_go_of_record(std::uint64_t seq_id, bool is_oldest) noexcept {
        if (is_oldest) {
            discard(seq_id);
        } else if (seq_id > put_off) {
            put_off = seq_id;
        }
    }

    // To find none clears the event descriptor, and the library lets it tell of messages that no
    // look has seen but once: whoever drops messages, one after the other, does not know that this
    // looks.
    void discard(std::uint64_t seq_id) noexcept {
        if (push && !no_record) {
            static_cast<void>(collect(seq_id));
        }
    }

    void hold() noexcept { ++held; }

    // Of [begin, end). The tail passes only what nobody holds any more. What is let go before
    // something older waits for that, as far as it is one piece; the rest for all to be let go.
    void let_go(std::uint64_t begin, std::uint64_t end) noexcept {
        released_to = end > released_to ? end : released_to;
        if (--held == 0) {
            if (put_off != 0) {
                discard(std::exchange(put_off, 0));
            }
            publish(released_to);
        } else if (begin == window->tail) {
            publish(end == waiting_begin ? waiting_end : end);
        } else if (begin == waiting_end) {
            waiting_end = end;
        } else if (waiting_begin <= window->tail && begin != end) { // nothing waits
            waiting_begin = begin;
            waiting_end = end;
        }
    }

    void publish(std::uint64_t new_tail) noexcept {
        if (new_tail != window->tail) {
            zbq_window_release(window, new_tail);
        }
    }
};

} // namespace detail

/// A message as it lies in the ring. Its bytes are valid while the message, or the batch, that
/// it came from lives.
class message_view {
public:
    message_view() noexcept = default;

    /// The bytes, in place, aligned to 16. An evicted reader's bytes may change while it reads
    /// (see intact), and a hostile producer's at any time: copy what you decide by first.
    [[nodiscard]] std::span<const std::byte> payload() const noexcept {
        return {static_cast<const std::byte *>(view_.payload), view_.payload_len};
    }
    /// Where in the stream it starts, in bytes since the ring was made.
    [[nodiscard]] std::uint64_t offset() const noexcept { return view_.logical_offset; }
    /// The application's own flags.
    [[nodiscard]] std::uint8_t flags() const noexcept {
        return view_.header != nullptr ? view_.header->flags : std::uint8_t{0};
    }
    /// The key of a message that is, or was, retained; 0 for all others.
    [[nodiscard]] std::uint16_t key() const noexcept {
        return view_.header != nullptr ? zbq_msg_key(view_.header) : std::uint16_t{0};
    }
    /// Whether it says that its key is retained no more; it is empty then.
    [[nodiscard]] bool is_forgotten() const noexcept {
        return view_.header != nullptr && zbq_msg_is_forgotten(view_.header);
    }
    /// How many descriptors it was sent with.
    [[nodiscard]] unsigned descriptor_count() const noexcept {
        return view_.header != nullptr ? view_.header->fd_count : 0;
    }

protected:
    /// Where the next message starts.
    [[nodiscard]] std::uint64_t end_offset() const noexcept {
        constexpr std::uint64_t mask = ZBQ_MSG_ALIGN - 1;
        return (view_.logical_offset + view_.total_len + mask) & ~mask;
    }
    /// The id of the descriptors' record; 0: there is none. What the header says of descriptors is
    /// checked against the record that comes.
    [[nodiscard]] std::uint64_t record_id() const noexcept {
        return descriptor_count() != 0 ? view_.header->seq_id : 0;
    }

    /// As the C interface gave it, which writes it here: it is never copied on the way.
    zbq_msg_view view_ = {};

private:
    friend class message_batch;
    friend class retained_messages;
    friend class consumer;
};

/// The messages that were retained when a consumer joined: a range, in the order in which they were
/// retained. What changed since comes in the stream. Its views stay valid as long as the consumer.
class retained_messages {
public:
    /// Of a single pass.
    class iterator {
    public:
        using value_type = message_view;                   ///< what it gives
        using difference_type = std::ptrdiff_t;            ///< as std::input_iterator wants
        using reference = const message_view &;            ///< in place
        using pointer = const message_view *;              ///< in place
        using iterator_category = std::input_iterator_tag; ///< one pass

        iterator() noexcept = default;
        /// @param consumer whose, or nullptr
        explicit iterator(const zbq_consumer *consumer) noexcept : consumer_(consumer) { look(); }
        reference operator*() const noexcept { return current_; } ///< the message
        pointer operator->() const noexcept { return &current_; } ///< the message
        iterator &operator++() noexcept {                         ///< the next one
            ++index_;
            look();
            return *this;
        }
        void operator++(int) noexcept { ++*this; } ///< the next one
        /// Whether there are no more.
        friend bool operator==(const iterator &it, std::default_sentinel_t /*end*/) noexcept {
            return it.consumer_ == nullptr;
        }

    private:
        void look() noexcept {
            if (zbq_consumer_retained(consumer_, index_, &current_.view_) != ZBQ_OK) {
                consumer_ = nullptr;
            }
        }

        const zbq_consumer *consumer_ = nullptr;
        std::uint32_t index_ = 0;
        message_view current_;
    };

    /// @param consumer whose, or nullptr
    explicit retained_messages(const zbq_consumer *consumer) noexcept : consumer_(consumer) {}
    /// The first one.
    [[nodiscard]] iterator begin() const noexcept { return iterator(consumer_); }
    /// The end.
    [[nodiscard]] static std::default_sentinel_t end() noexcept { return {}; }

private:
    const zbq_consumer *consumer_;
};

/// A message that holds its room in the ring until it goes. Several may live at one time; the
/// producer gets room back in the order of the stream. It may outlive its consumer object,
/// whose slot it then keeps.
class [[nodiscard]] message : public message_view {
public:
    message() noexcept = default;
    /// Takes over; the other one is empty then.
    message(message &&other) noexcept
        : message_view(other), state_(std::move(other.state_)), why_(other.why_),
          collected_(other.collected_) {
        other.why_ = status::invalid;
    }
    /// Lets go of its own and takes over; the other one is empty then.
    message &operator=(message &&other) noexcept {
        release();
        message_view::operator=(other);
        state_ = std::move(other.state_);
        why_ = std::exchange(other.why_, status::invalid);
        collected_ = other.collected_;
        return *this;
    }
    message(const message &) = delete;
    message &operator=(const message &) = delete;
    ~message() { release(); }

    /// Whether there is a message.
    explicit operator bool() const noexcept { return static_cast<bool>(state_); }
    /// Why not: again (nothing now), none (the end, or this consumer was evicted; see
    /// consumer::ending), protocol (the stream is malformed), invalid (moved from, released).
    [[nodiscard]] status why() const noexcept { return state_ ? status::ok : why_; }

    /// Asked after reading: true means that the bytes read were whole. False: the consumer was
    /// evicted, or is an observer that was lapped, and they may have been overwritten meanwhile.
    [[nodiscard]] bool intact() const noexcept {
        return state_ && zbq_window_valid_from(state_->window, offset());
    }

    /// Takes the descriptors, waiting for them until the deadline. Take those of an earlier
    /// message first: taking later ones closes them. What is never taken is closed.
    [[nodiscard]] descriptors take_descriptors(deadline end = now) noexcept;

    /// Lets go of the room now. The bytes must not be read any more.
    void release() noexcept {
        if (state_) {
            if (state_->birth.is_here()) {
                give_back();
            }
            state_ = {};
            why_ = status::invalid;
        }
    }

private:
    friend class consumer;
    friend class subscription;
    explicit message(status why) noexcept : why_(why) {}
    // The next one, if there is one.
    explicit message(const detail::shared<detail::consumer_state> &state) noexcept
        : why_(state->take(&view_)) {
        if (why_ == status::ok) {
            state_ = state;
            state_->hold();
        } else {
            view_ = {}; // what was found to be none
        }
    }

    void give_back() noexcept {
        const std::uint64_t record = collected_ ? 0 : record_id();
        if (record != 0) {
            state_->let_go_of_record(state_->whole(record, offset()), is_oldest());
        }
        state_->let_go(offset(), end_offset());
    }

    // Of those held: collecting a later record would close those of an earlier message.
    [[nodiscard]] bool is_oldest() const noexcept { return offset() == state_->window->tail; }

    detail::shared<detail::consumer_state> state_;
    status why_ = status::invalid;
    bool collected_ = false;
};

/// Messages that are there: a range of message_view to go through once. When it goes, the
/// producer gets back the room of all that was visited, in one go.
///
///     zbq::consumer reader = zbq::connect("numbers", zbq::never);
///     while (reader.wait(zbq::never) == zbq::status::ok) {
///         std::size_t bytes = 0;
///         zbq::message_batch batch = reader.take_batch();
///         for (const zbq::message_view &message : batch) {
///             bytes += message.payload().size();
///         }
///         if (batch.intact()) {
///             use(bytes);
///         }
///     }
class [[nodiscard]] message_batch {
public:
    /// Of a single pass.
    class iterator {
    public:
        using value_type = message_view;                   ///< what it gives
        using difference_type = std::ptrdiff_t;            ///< as std::input_iterator wants
        using reference = const message_view &;            ///< in place
        using pointer = const message_view *;              ///< in place
        using iterator_category = std::input_iterator_tag; ///< one pass

        iterator() noexcept = default;
        /// @param batch whose messages it goes through
        explicit iterator(message_batch *batch) noexcept
            : batch_(batch), next_(batch->window_ != nullptr ? batch->window_->next : nullptr),
              offset_(batch->end_) {}
        reference operator*() const noexcept { return batch_->current_; } ///< the message
        pointer operator->() const noexcept { return &batch_->current_; } ///< the message
        iterator &operator++() noexcept {                                 ///< the next one
            batch_->advance(&next_, &offset_);
            return *this;
        }
        void operator++(int) noexcept { ++*this; } ///< the next one
        /// Whether the batch is through.
        friend bool operator==(const iterator &it, std::default_sentinel_t /*end*/) noexcept {
            return it.is_done();
        }

    private:
        [[nodiscard]] bool is_done() const noexcept { return batch_ == nullptr || batch_->done_; }
        message_batch *batch_ = nullptr;
        // Where the next message is: not in the batch, so that it stays in registers.
        const char *next_ = nullptr;
        std::uint64_t offset_ = 0;
    };

    message_batch(message_batch &&) = delete; // iterators point here: returned in place
    message_batch &operator=(message_batch &&) = delete;
    message_batch(const message_batch &) = delete;
    message_batch &operator=(const message_batch &) = delete;
    ~message_batch() {
        if (state_ && state_->birth.is_here()) {
            if (record_ != 0) {
                state_->let_go_of_record(state_->whole(record_, record_offset_),
                                         begin_ == state_->window->tail);
            }
            state_->let_go(begin_, end_);
        }
    }

    /// The first message, or where an earlier pass stopped.
    [[nodiscard]] iterator begin() noexcept {
        if (!started_) {
            started_ = true;
            start();
        }
        return iterator(this);
    }
    /// The end.
    [[nodiscard]] static std::default_sentinel_t end() noexcept { return {}; }

    /// Asked after reading, as for a message: for all that was visited. Of an observer's batch,
    /// which goes on where it was lapped in its midst, rather ask for each message.
    [[nodiscard]] bool intact() const noexcept {
        return state_ && zbq_window_valid_from(state_->window, begin_);
    }
    /// The same for one that was visited.
    [[nodiscard]] bool intact(const message_view &one) const noexcept {
        return state_ && zbq_window_valid_from(state_->window, one.offset());
    }
    /// How many were visited.
    [[nodiscard]] std::size_t visited() const noexcept { return most_ - left_; }
    /// Why it ended: ok (it gave what was there, or as many as it may), or as message::why.
    [[nodiscard]] status why() const noexcept { return why_; }

    /// Takes the descriptors of the message being visited, as message::take_descriptors. Those
    /// not taken are closed when later ones are, or when the batch goes.
    [[nodiscard]] descriptors take_descriptors(deadline end = now) noexcept;

private:
    friend class consumer;
    message_batch(const detail::shared<detail::consumer_state> &state, std::size_t most) noexcept
        : state_(state), most_(state ? most : 0), left_(most_) {
        if (state_) {
            state_->hold();
            window_ = state_->window;
            begin_ = end_ = window_->cursor;
        } else {
            why_ = status::invalid;
        }
    }

    void start() noexcept {
        if (most_ == 0) {
            done_ = true;
            return;
        }
        const status result = state_->take(&current_.view_);
        if (result != status::ok) {
            end_with(result);
            return;
        }
        begin_ = current_.offset();
        // What one look found: each look at the head takes its cache line from the producer.
        stop_ = std::min(begin_ + state_->batch_bytes, state_->window->head);
        visit();
    }

    // It is one piece: where another call took a message meanwhile, who may hold it, it ends.
    [[gnu::always_inline]] void advance(const char **next, std::uint64_t *offset) noexcept {
        if (*offset >= stop_ || left_ == 0) {
            done_ = true;
            return;
        }
        if (window_->next != *next) [[unlikely]] {
            if (window_->cursor != *offset) {
                done_ = true;
                return;
            }
            *next = window_->next; // a look at the head has moved it by a ring's length
        }
        // What one look found lies in one piece.
        const bool fits = zbq_window_view(window_, *next, *offset, &current_.view_);
        const std::uint64_t end = current_.end_offset();
        if (fits && zbq_window_valid_from(window_, *offset)) {
            *next += end - *offset;
            *offset = end;
            window_->next = *next;
            window_->cursor = end;
        } else if (!take_after_all()) {
            return;
        } else {
            *next = window_->next;
            *offset = window_->cursor;
        }
        visit();
    }

    // An observer goes on where it was lapped.
    [[gnu::noinline]] bool take_after_all() noexcept {
        const int result = zbq_consumer_next(state_->handle, &current_.view_);
        if (result != ZBQ_OK) {
            end_with(static_cast<status>(result));
        }
        return result == ZBQ_OK;
    }

    void visit() noexcept {
        end_ = window_->cursor;
        --left_;
        if (current_.descriptor_count() != 0) {
            record_ = current_.record_id();
            record_offset_ = current_.offset();
        }
    }

    [[gnu::noinline]] void end_with(status why) noexcept {
        current_.view_ = {}; // what was found to be none
        done_ = true;
        why_ = why == status::again && visited() != 0 ? status::ok : why;
    }

    detail::shared<detail::consumer_state> state_;
    zbq_read_window *window_ = nullptr; // its
    message_view current_;
    std::uint64_t begin_ = 0;
    std::uint64_t end_ = 0;    // of what it visited
    std::uint64_t stop_ = 0;   // it visits no message that starts here or further on
    std::uint64_t record_ = 0; // of the last message with descriptors that it visited
    std::uint64_t record_offset_ = 0;
    std::size_t most_ = 0;
    std::size_t left_ = 0; // of those that it may visit
    status why_ = status::ok;
    bool started_ = false;
    bool done_ = false;
};

/// What an observer has missed.
struct loss {
    std::uint64_t bytes = 0; ///< that were overwritten before it read them
    std::uint64_t times = 0; ///< how often it was lapped
};

/// What became of a message that was to be copied.
struct copied {
    status why = status::again; ///< ok: it is whole. Else as message::why, or too_large
    std::size_t size = 0;       ///< of the payload, also where that is too large
    std::uint64_t offset = 0;   ///< as message_view::offset
    std::uint8_t flags = 0;     ///< the application's own
    std::uint16_t key = 0;      ///< as message_view::key
    unsigned descriptors = 0;   ///< as message_view::descriptor_count
    bool forgotten = false;     ///< as message_view::is_forgotten
    /// Whether there is a copy.
    explicit operator bool() const noexcept { return why == status::ok; }
};

/// One who reads. It starts with the next message that is committed after it was admitted, unless
/// it asked for history.
///
///     zbq::consumer reader = zbq::connect("greetings", zbq::never);
///     while (reader.wait(zbq::never) == zbq::status::ok) {
///         const zbq::message message = reader.try_next();
///         const std::string text(zbq::text_of(message.payload())); // from where it lies
///         if (message.intact()) {                                  // and that was whole
///             use(text);
///         }
///     }
///
/// A consumer that was moved from answers everything with status::invalid, or nothing.
class consumer {
public:
    /// Joins through a socket that is connected to one which the producer admits; zbq::connect
    /// does all of that by name. Waits as the socket does: for ever, for its SO_RCVTIMEO, or
    /// not at all. The socket stays the caller's.
    /// @throws error invalid (not a Unix socket), again (nothing there in time), protocol
    ///               (malformed, or another mode), no_memory, io (the peer is gone)
    explicit consumer(int socket, wakeup mode = wakeup::push, flow how = flow::lossless)
        : state_(make(socket, mode, how)) {}
    /// Takes over; the other one is empty then.
    consumer(consumer &&) noexcept = default;
    /// Lets go of its own and takes over; the other one is empty then.
    consumer &operator=(consumer &&) noexcept = default;
    consumer(const consumer &) = delete;
    consumer &operator=(const consumer &) = delete;
    /// Leaves the ring, once the last of its messages has gone.
    ~consumer() = default;

    // ---- messages ----

    /// The next message; empty when there is none now, or never. Never waits.
    message try_next() noexcept { return state_ ? message(state_) : message(status::invalid); }

    /// The messages that are there, at most so many, and no more than what takes a sixteenth of
    /// the ring (but one at least), so that the producer gets room back while a long backlog is
    /// read. It ends where another call takes a message meanwhile. Never waits.
    message_batch take_batch(std::size_t most = SIZE_MAX) noexcept { return {state_, most}; }

    /// Copies the payload of the next message, and lets go of it: what was copied was whole. The
    /// shortest way to read safely. An observer that is lapped meanwhile goes on. Its descriptors
    /// are closed. Never waits.
    /// @return too_large with the size of the message, which stays, where it does not fit
    copied try_copy(std::span<std::byte> into) noexcept {
        zbq_msg_copy what = {};
        const status result = state_ ? state_->copy(into, &what) : status::invalid;
        return {result,
                what.header.payload_len,
                what.logical_offset,
                what.header.flags,
                zbq_msg_key(&what.header),
                what.header.fd_count,
                zbq_msg_is_forgotten(&what.header)};
    }
    /// The same, into a vector that becomes as large as the message. @throws std::bad_alloc
    copied try_copy(std::vector<std::byte> &into) {
        copied result = try_copy(std::span(into));
        while (result.why == status::too_large) {
            into.resize(result.size);
            result = try_copy(std::span(into));
        }
        into.resize(result ? result.size : 0);
        return result;
    }

    /// Reads the next message in place: `extract` is given its payload, which may be torn, and
    /// makes something of it; `use` is given that, once it is sure that the payload was whole. An
    /// observer that is lapped meanwhile goes on, so that `extract` may be called several times.
    /// Never waits.
    /// @return ok, or as message::why; again also where it was lapped again and again
    template <std::invocable<std::span<const std::byte>> Extract, typename Use>
    status try_read(Extract &&extract, Use &&use) {
        for (int i = 0; i < detail::most_laps; ++i) {
            message next = try_next();
            if (!next) {
                return next.why();
            }
            auto found = extract(next.payload());
            if (next.intact()) {
                std::forward<Use>(use)(std::move(found));
                return status::ok;
            }
        }
        return status::again;
    }

    /// What was retained when this consumer joined: see producer::retain.
    [[nodiscard]] retained_messages retained() const noexcept { return retained_messages(get()); }
    /// The descriptors of one of these: to be taken in their order, and before those of messages
    /// in the stream.
    [[nodiscard]] descriptors take_descriptors(const message_view &one) noexcept {
        return descriptors::collect(get(), one.record_id());
    }

    // ---- waiting ----

    /// Waits until there is something to read, or the deadline: first it spins for so long at
    /// most, then it sleeps. A consumer in push mode is woken; one in pull mode looks every
    /// millisecond. Where it spins and messages come faster than one at a time, it leaves
    /// two microseconds before it looks, which lets both sides go faster.
    /// @return ok (there is something), again (not before the deadline), none (the end, or this
    ///         consumer was evicted), protocol (the stream is malformed), invalid (moved from), io
    ///         (cannot sleep). After ok a message may still be missing: this consumer may be
    ///         evicted before it is taken
    status wait(deadline end, std::chrono::nanoseconds spin = {}) noexcept;

    /// A descriptor that becomes readable when there is something to read, or the end: see
    /// zbq_consumer_event_fd. Read until try_next gives nothing, then wait for it. It stays
    /// this consumer's.
    /// @throws error invalid (pull mode, or moved from), no_memory, io
    [[nodiscard]] int event_fd() const {
        const int fd = zbq_consumer_event_fd(get());
        detail::require(fd, "making a descriptor to wait for messages");
        return fd;
    }

    // ---- how it stands ----

    /// How the stream stands. A producer that was killed is noticed by waiting.
    [[nodiscard]] zbq::ending ending() const noexcept {
        return static_cast<zbq::ending>(zbq_consumer_ending(get(), nullptr));
    }
    /// Why this consumer was evicted, if it was.
    [[nodiscard]] zbq::eviction eviction() const noexcept {
        std::uint32_t reason = 0;
        zbq_consumer_ending(get(), &reason);
        return static_cast<zbq::eviction>(reason);
    }
    /// Whether the producer's process runs. Makes a system call.
    [[nodiscard]] bool producer_is_alive() const noexcept {
        return zbq_consumer_is_producer_alive(get());
    }
    /// Bytes committed and not yet released here.
    [[nodiscard]] std::uint64_t lag() const noexcept {
        const std::uint64_t head = zbq_consumer_acquire_head(get());
        const std::uint64_t tail = zbq_consumer_tail(get());
        return head > tail ? head - tail : 0; // a hostile producer's may be anywhere
    }
    /// Bytes of the ring; 0 when moved from.
    [[nodiscard]] std::uint64_t capacity() const noexcept {
        return state_ ? state_->window->capacity : 0;
    }
    /// Where the next message starts that it has not taken; for a new one, where its history does.
    [[nodiscard]] std::uint64_t offset() const noexcept { return state_ ? state_->cursor() : 0; }
    /// Tells this ring from all others; all zero when moved from.
    [[nodiscard]] ring_id id() const noexcept { return detail::id_of(zbq_consumer_ctrl(get())); }
    /// What it has missed, as an observer. Where, the offsets of messages tell.
    [[nodiscard]] loss lost() const noexcept {
        zbq_loss until_now = {};
        zbq_consumer_lost(get(), &until_now);
        return {until_now.bytes, until_now.times};
    }
    /// What the producer said that its payloads are.
    [[nodiscard]] zbq_type type() const noexcept {
        zbq_type told = {};
        zbq_consumer_type(get(), &told);
        return told;
    }
    /// How it learns of messages; pull when moved from.
    [[nodiscard]] wakeup mode() const noexcept {
        return state_ && state_->push ? wakeup::push : wakeup::pull;
    }
    /// The C handle, for calls that have no counterpart here; nullptr when moved from.
    [[nodiscard]] zbq_consumer *get() const noexcept { return state_ ? state_->handle : nullptr; }

private:
    static detail::shared<detail::consumer_state> make(int socket, wakeup mode, flow how) {
        detail::shared<detail::consumer_state> state(new detail::consumer_state);
        detail::require(zbq_consumer_join(socket, detail::mode_of(mode, how), &state->handle),
                        "joining a producer");
        state->push = mode == wakeup::push;
        state->newest = how == flow::newest;
        zbq_consumer_set_resume(state->handle,
                                how == flow::newest ? ZBQ_SEEK_NEWEST : ZBQ_SEEK_OLDEST);
        state->window = zbq_consumer_window(state->handle);
        state->batch_bytes = state->window->capacity / 16;
        return state;
    }

    detail::shared<detail::consumer_state> state_;
};

namespace detail {

// The longest sleep of a consumer that nobody wakes.
inline constexpr std::uint64_t pull_sleep = 1'000'000;

inline status sleep_for_event(consumer_state *state, std::uint32_t token,
                              std::uint64_t left) noexcept {
    if (state->push) {
        const int result = zbq_consumer_wait(state->handle, token, left);
        return result == ZBQ_ERROR_IO ? status::io : status::ok;
    }
    const timespec time = {0, static_cast<long>(std::min(left, pull_sleep))};
    ::nanosleep(&time, nullptr);
    zbq_consumer_is_producer_alive(state->handle); // what it finds, the next look tells
    return status::ok;
}

inline descriptors take_descriptors(consumer_state *state, std::uint64_t said, std::uint64_t offset,
                                    deadline end) noexcept {
    const std::uint64_t seq_id = state->whole(said, offset);
    while (seq_id != 0) {
        const std::uint32_t token = zbq_consumer_get_futex_token(state->handle);
        descriptors got = state->collect(seq_id);
        const std::uint64_t left = left_until(end);
        if (got.why() != status::again || left == 0) {
            return got;
        }
        // The end of the stream shows in what collecting gives, unless a forked child of the
        // producer keeps the socket.
        zbq_consumer_wait(state->handle, token, left);
        if (zbq_consumer_ending(state->handle, nullptr) != ZBQ_ENDING_NONE) {
            return state->collect(seq_id);
        }
    }
    return {};
}

} // namespace detail

inline descriptors message::take_descriptors(deadline end) noexcept {
    if (!state_) {
        return {};
    }
    descriptors got = detail::take_descriptors(state_.get(), record_id(), offset(), end);
    collected_ = got.why() != status::again;
    return got;
}

inline descriptors message_batch::take_descriptors(deadline end) noexcept {
    return state_ ? detail::take_descriptors(state_.get(), current_.record_id(), current_.offset(),
                                             end)
                  : descriptors();
}

inline status consumer::wait(deadline end, std::chrono::nanoseconds spin) noexcept {
    if (!state_) {
        return status::invalid;
    }
    status result = state_->quick_look();
    if (result == status::again && spin.count() > 0) {
        const auto longest = static_cast<std::uint64_t>(
            spin != std::chrono::nanoseconds::max() ? spin.count() : -1); // -1: for ever
        result = static_cast<status>(
            zbq_consumer_spin(state_->handle, std::min(longest, detail::left_until(end))));
    }
    while (result == status::again) {
        const std::uint32_t token = zbq_consumer_get_futex_token(state_->handle);
        result = state_->look();
        const std::uint64_t left = detail::left_until(end);
        if (result != status::again || left == 0) {
            break;
        }
        const status slept = detail::sleep_for_event(state_.get(), token, left);
        result = slept == status::ok ? state_->look() : slept;
    }
    return result;
}

} // namespace ZBQ_NAMESPACE
