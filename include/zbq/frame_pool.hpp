// SPDX-License-Identifier: MIT
/// @file
/// Buffers for frames, which are sent by naming them and come back when all have let go.
#pragma once

#include "consumer.hpp"
#include "process.hpp"
#include "producer.hpp"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <sys/mman.h>
#include <sys/stat.h>
#include <utility>
#include <vector>

namespace ZBQ_NAMESPACE {

/// What a pool of frames is like.
struct frame_pool_options {
    std::size_t frames = 8;      ///< buffers, 1 to 64 (with what else is retained)
    std::size_t frame_size = 0;  ///< bytes of each, not 0
    std::uint16_t first_key = 1; ///< its buffers are retained under this key and the next ones
};

namespace detail {

// F_SEAL_FUTURE_WRITE, which Debian 12's <fcntl.h> has with _GNU_SOURCE alone.
inline constexpr int frame_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | 0x10;

inline constexpr std::size_t most_buffers = 64;                 // as many as a ring can retain
inline constexpr std::uint64_t frame_mark = 0x32656d6172667162; // tells both from what is none

// What is retained with a buffer's descriptor.
struct frame_buffer_note {
    std::uint64_t mark;
    std::uint64_t size;       // of a frame: the file has a page more, before it
    std::uint32_t key;        // that it is retained under
    std::uint32_t generation; // how often it was replaced
};

// What a message with a frame starts with.
struct frame_note {
    std::uint64_t mark;
    std::uint64_t size; // of what was filled
    std::uint32_t key;  // of the buffer
    std::uint32_t generation;
};

// The first word of a buffer: what an observer compares before and after it has read. The offset of
// the frame's message and 1; 0 while it is filled.
// NOLINTBEGIN(readability-non-const-parameter): the builtin writes there
inline void begin_frame(std::uint64_t *stamp) noexcept {
    __atomic_store_n(stamp, std::uint64_t{0}, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE); // pairs with is_frame: bytes written later show it
}
inline void end_frame(std::uint64_t *stamp, std::uint64_t offset) noexcept {
    // Release: pairs with is_frame's first load; carries the bytes.
    __atomic_store_n(stamp, offset + 1, __ATOMIC_RELEASE);
}
// NOLINTEND(readability-non-const-parameter)
inline bool is_frame(const std::uint64_t *stamp, std::uint64_t offset) noexcept {
    __atomic_thread_fence(__ATOMIC_ACQUIRE); // pairs with begin_frame
    return __atomic_load_n(stamp, __ATOMIC_ACQUIRE) == offset + 1;
}

// A mapped memory object, not there in forked children.
class frame_memory {
public:
    frame_memory() noexcept : birth_(nullptr) {}
    frame_memory(int fd, std::size_t size, int protection)
        : base_(::mmap(nullptr, size, protection, MAP_SHARED, fd, 0)), size_(size) {
        if (base_ == MAP_FAILED) { // NOLINT(*-int-to-ptr): the system's own
            base_ = nullptr;
            throw_errno("mapping a frame");
        }
        ::madvise(base_, size_, MADV_DONTFORK);
    }
    frame_memory(frame_memory &&other) noexcept
        : birth_(std::move(other.birth_)), base_(std::exchange(other.base_, nullptr)),
          size_(other.size_) {}
    frame_memory &operator=(frame_memory &&other) noexcept {
        std::swap(birth_, other.birth_);
        std::swap(base_, other.base_);
        std::swap(size_, other.size_);
        return *this;
    }
    frame_memory(const frame_memory &) = delete;
    frame_memory &operator=(const frame_memory &) = delete;
    ~frame_memory() {
        if (base_ != nullptr && birth_.is_here()) {
            ::munmap(base_, size_);
        }
    }

    [[nodiscard]] std::uint64_t *stamp() const noexcept {
        return static_cast<std::uint64_t *>(base_);
    }
    [[nodiscard]] std::byte *frame() const noexcept {
        return static_cast<std::byte *>(base_) + head_size();
    }
    // A page, so that frames are aligned to one.
    static std::size_t head_size() noexcept {
        return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    }

private:
    birthmark birth_;
    void *base_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace detail

class frame_pool;

/// A buffer to fill. Dropped without being published, it is free again.
class [[nodiscard]] frame {
public:
    frame() noexcept = default;
    /// Takes over; the other one is empty then.
    frame(frame &&other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)), index_(other.index_), why_(other.why_) {}
    /// Lets go of its own and takes over; the other one is empty then.
    frame &operator=(frame &&other) noexcept {
        frame old(std::move(*this));
        pool_ = std::exchange(other.pool_, nullptr);
        index_ = other.index_;
        why_ = other.why_;
        return *this;
    }
    frame(const frame &) = delete;
    frame &operator=(const frame &) = delete;
    ~frame();

    /// Whether there is one.
    explicit operator bool() const noexcept { return pool_ != nullptr; }
    /// Why not: again (none came back before the deadline), or what replacing one has met.
    [[nodiscard]] status why() const noexcept { return pool_ != nullptr ? status::ok : why_; }
    /// Its bytes, aligned to a page; empty when there is none.
    [[nodiscard]] std::span<std::byte> bytes() const noexcept;
    /// Publishes the first `used` bytes, with a payload of the application's own beside them.
    /// Waits for room until the deadline.
    /// @return as producer::publish; unless ok, the frame stays
    status publish(std::size_t used, deadline end, std::span<const std::byte> beside = {}) noexcept;

private:
    friend class frame_pool;
    explicit frame(status why) noexcept : why_(why) {}
    frame(frame_pool *pool, std::size_t index) noexcept : pool_(pool), index_(index) {}

    frame_pool *pool_ = nullptr;
    std::size_t index_ = 0;
    status why_ = status::invalid;
};

/// A few buffers of one size that are sealed, and retained by a ring: each reader maps them once,
/// read-only, and a frame is a message that names one. A buffer is used again when every consumer
/// has released its frame's message; one that an evicted consumer may still look at is replaced
/// by a new one. It must not outlive its producer, and its frames must not outlive it.
///
///     zbq::producer ring;
///     zbq::frame_pool pool(ring, {.frame_size = 1U << 20U}, zbq::never);
///     if (zbq::frame picture = pool.acquire(zbq::never)) {
///         std::ranges::fill(picture.bytes(), std::byte{255});
///         std::ignore = picture.publish(picture.bytes().size(), zbq::never);
///     }
class frame_pool {
public:
    /// Makes the buffers and retains them. Waits for room in the ring until the deadline.
    /// @throws error invalid (an option), no_memory, again (no room in time), too_large (more than
    ///               the ring can retain), io
    frame_pool(producer &ring, const frame_pool_options &options, deadline end)
        : ring_(ring), options_(checked(options)), buffers_(options.frames) {
        note_evictions(); // of before, which are nothing to it
        for (std::size_t i = 0; i < buffers_.size(); ++i) {
            detail::require(static_cast<int>(renew(i, end)), "retaining a buffer for frames");
        }
    }
    frame_pool(const frame_pool &) = delete;
    frame_pool &operator=(const frame_pool &) = delete;
    frame_pool(frame_pool &&) = delete;
    frame_pool &operator=(frame_pool &&) = delete;
    ~frame_pool() = default;

    /// A buffer to fill: one that never was used, or the one that was published first and that all
    /// have let go of. Waits for that until the deadline; who is in the way for the stall timeout
    /// is evicted meanwhile.
    frame acquire(deadline end) {
        for (;;) {
            const std::optional<std::size_t> oldest = oldest_idle();
            if (!oldest) {
                return frame(status::again); // all are being filled
            }
            const status back = ring_.wait_released(buffers_[*oldest].end, end);
            if (back != status::ok) {
                return frame(back);
            }
            note_evictions();
            if (buffers_[*oldest].may_be_looked_at) {
                const status renewed = renew(*oldest, end);
                if (renewed != status::ok) {
                    return frame(renewed);
                }
            }
            buffers_[*oldest].filling = true;
            detail::begin_frame(buffers_[*oldest].memory.stamp());
            return {this, *oldest};
        }
    }

    /// How often a buffer was replaced since an evicted consumer might still look at it.
    [[nodiscard]] std::uint64_t replaced() const noexcept { return replaced_; }

private:
    friend class frame;

    static constexpr std::size_t largest = std::size_t{1} << 62U;

    static const frame_pool_options &checked(const frame_pool_options &options) {
        if (options.frames == 0 || options.frame_size == 0) {
            throw error(status::invalid, "a pool of no frames");
        }
        if (options.frames > detail::most_buffers || options.frame_size > largest) {
            throw error(status::too_large, "a pool of so many frames, or of such a size");
        }
        return options;
    }

    struct buffer {
        detail::frame_memory memory;
        std::uint32_t generation = 0;
        std::uint64_t start = 0; // of the message that it was last published with,
        std::uint64_t end = 0;   // and its end; 0: never
        bool filling = false;
        bool may_be_looked_at = false; // by one who was evicted
    };

    std::optional<std::size_t> oldest_idle() const noexcept {
        std::optional<std::size_t> oldest;
        for (std::size_t i = 0; i < buffers_.size(); ++i) {
            if (!buffers_[i].filling && (!oldest || buffers_[i].end < buffers_[*oldest].end)) {
                oldest = i;
            }
        }
        return oldest;
    }

    // Of those that left or died nobody looks any more. Where it is not sure which frames one had,
    // all are.
    void note_evictions() noexcept {
        const zbq_producer_statistics now_is = ring_.statistics();
        if (now_is.evicted[0] == evicted_) {
            return;
        }
        std::uint64_t seen = 0;
        joined_.resize(now_is.max_consumers);
        for (std::uint32_t slot = 0; slot < now_is.max_consumers; ++slot) {
            zbq_consumer_info gone = {};
            if (ring_.consumer_info(slot, gone) != status::none ||
                gone.join_number <= joined_[slot]) {
                continue;
            }
            joined_[slot] = gone.join_number;
            ++seen;
            if (gone.eviction != ZBQ_EVICTION_DEAD) {
                mark_from(gone.tail);
            }
        }
        if (seen < now_is.evicted[0] - evicted_) {
            mark_from(0);
        }
        evicted_ = now_is.evicted[0];
    }

    void mark_from(std::uint64_t tail) noexcept {
        for (buffer &one : buffers_) {
            one.may_be_looked_at = one.may_be_looked_at || (one.end != 0 && one.start >= tail);
        }
    }

    std::uint32_t key_of(std::size_t index) const noexcept {
        return options_.first_key + static_cast<std::uint32_t>(index);
    }

    // Makes a new one, and says so.
    status renew(std::size_t index, deadline end) noexcept {
        try {
            return make(index, end);
        } catch (const error &failure) { // it cannot be mapped
            return static_cast<status>(failure.code().value());
        }
    }

    status make(std::size_t index, deadline end) {
        buffer &one = buffers_[index];
        const std::size_t size = detail::frame_memory::head_size() + options_.frame_size;
        const int made = zbq_memory_create(size);
        if (made < 0) {
            return static_cast<status>(made);
        }
        const unique_fd fd(made);
        detail::frame_memory memory(fd.get(), size, PROT_READ | PROT_WRITE);
        if (::fcntl(fd.get(), F_ADD_SEALS, detail::frame_seals) != 0) {
            return status::io;
        }
        const detail::frame_buffer_note note = {detail::frame_mark, options_.frame_size,
                                                key_of(index), one.generation + 1};
        const int fds[] = {fd.get()};
        const status told = ring_.retain(static_cast<std::uint16_t>(note.key),
                                         std::as_bytes(std::span(&note, 1)), fds, end);
        if (told == status::ok) {
            replaced_ += one.generation != 0 ? 1 : 0;
            one.memory = std::move(memory);
            one.generation = note.generation;
            one.end = one.start = 0;
            one.may_be_looked_at = false;
        }
        return told;
    }

    status publish(std::size_t index, std::size_t used, std::span<const std::byte> beside,
                   deadline end) noexcept {
        buffer &one = buffers_[index];
        const detail::frame_note note = {detail::frame_mark, used, key_of(index), one.generation};
        if (used > options_.frame_size) {
            return status::invalid;
        }
        reservation room = ring_.reserve(sizeof note + beside.size(), end);
        if (!room) {
            return room.why();
        }
        one.start = room.offset();
        std::memcpy(room.payload().data(), &note, sizeof note);
        if (!beside.empty()) {
            std::memcpy(room.payload().data() + sizeof note, beside.data(), beside.size());
        }
        detail::end_frame(one.memory.stamp(), one.start);
        const status result = room.commit();
        one.end = ring_.head();
        one.filling = result != status::ok;
        return result;
    }

    producer &ring_;
    frame_pool_options options_;
    std::vector<buffer> buffers_;
    std::vector<std::uint64_t> joined_; // join numbers of the evicted that were seen, by slot
    std::uint64_t evicted_ = 0;
    std::uint64_t replaced_ = 0;
};

inline frame::~frame() {
    if (pool_ != nullptr) {
        pool_->buffers_[index_].filling = false;
    }
}

inline std::span<std::byte> frame::bytes() const noexcept {
    return pool_ != nullptr
               ? std::span(pool_->buffers_[index_].memory.frame(), pool_->options_.frame_size)
               : std::span<std::byte>();
}

inline status frame::publish(std::size_t used, deadline end,
                             std::span<const std::byte> beside) noexcept {
    const status result =
        pool_ != nullptr ? pool_->publish(index_, used, beside, end) : status::invalid;
    if (result == status::ok) {
        pool_ = nullptr;
        why_ = status::invalid;
    }
    return result;
}

/// A frame as it lies in its buffer, held until it goes.
class [[nodiscard]] received_frame {
public:
    received_frame() noexcept = default;
    /// Takes over; the other one is empty then.
    received_frame(received_frame &&other) noexcept { *this = std::move(other); }
    /// Lets go of its own and takes over; the other one is empty then.
    received_frame &operator=(received_frame &&other) noexcept {
        message_ = std::move(other.message_);
        memory_ = std::move(other.memory_);
        bytes_ = std::exchange(other.bytes_, {});
        why_ = std::exchange(other.why_, status::invalid);
        return *this;
    }
    received_frame(const received_frame &) = delete;
    received_frame &operator=(const received_frame &) = delete;
    ~received_frame() = default;

    /// Whether there is one.
    explicit operator bool() const noexcept { return static_cast<bool>(message_); }
    /// Why not: as message::why; protocol also where the message names no buffer.
    [[nodiscard]] status why() const noexcept { return why_; }
    /// Its bytes, aligned to a page, in place.
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }
    /// What the application has put beside it, in the ring: ask beside_intact after reading.
    [[nodiscard]] std::span<const std::byte> beside() const noexcept {
        return message_ ? message_.payload().subspan(sizeof(detail::frame_note))
                        : std::span<const std::byte>();
    }
    /// Its message's place in the stream.
    [[nodiscard]] std::uint64_t offset() const noexcept { return message_.offset(); }
    /// Asked after reading: true means that the bytes read were whole. An observer's, and those
    /// that were published before a reader joined (history), may be filled anew at any time; an
    /// evicted consumer's stay as they are, since a new buffer takes the place. It says nothing of
    /// what lies beside.
    [[nodiscard]] bool intact() const noexcept {
        return message_ && detail::is_frame(memory_->stamp(), offset());
    }
    /// The same of what lies beside, as message::intact.
    [[nodiscard]] bool beside_intact() const noexcept { return message_.intact(); }
    /// Lets go of it now. The bytes must not be read any more.
    void release() noexcept { *this = received_frame(); }

private:
    friend class frames;
    explicit received_frame(status why) noexcept : why_(why) {}

    message message_;
    std::shared_ptr<const detail::frame_memory> memory_; // its buffer may be replaced meanwhile
    std::span<const std::byte> bytes_;
    status why_ = status::invalid;
};

/// The reader of a pool of frames: a consumer in push mode. One that wants the newest frame alone
/// follows, and takes the last: flow::newest would skip the messages that tell of new buffers.
///
///     zbq::frames reader(zbq::connect("camera", zbq::never));
///     while (reader.wait(zbq::never) == zbq::status::ok) {
///         if (const zbq::received_frame picture = reader.try_next()) {
///             use(picture.bytes(), picture.intact());
///         }
///     }
class frames {
public:
    /// Takes over a consumer that has just joined, and maps the buffers.
    /// @throws error invalid (pull mode, or moved from), protocol (what is retained are no
    ///               buffers), io
    explicit frames(consumer &&reader) : reader_(std::move(reader)) {
        if (reader_.mode() != wakeup::push) {
            throw error(status::invalid, "buffers for frames come in push mode alone");
        }
        for (const message_view &each : reader_.retained()) {
            map(note_in<detail::frame_buffer_note>(each), each.key(),
                reader_.take_descriptors(each));
        }
    }

    /// The next frame; empty when there is none now, or never. Never waits.
    /// @throws error protocol, io: a new buffer cannot be mapped
    received_frame try_next() {
        for (;;) {
            message next = reader_.try_next();
            if (!next) {
                return received_frame(next.why());
            }
            const std::uint16_t key = next.key();
            const auto named = note_in<detail::frame_note>(next);
            const auto retained = note_in<detail::frame_buffer_note>(next);
            if (!next.intact()) { // it was overwritten meanwhile, and is no frame and no buffer
                continue;
            }
            if (key != 0) {
                map(retained, key, next.take_descriptors());
                continue;
            }
            received_frame found = frame_of(std::move(next), named);
            if (found.why() != status::none) {
                return found;
            }
            ++skipped_;
        }
    }

    /// How many frames were skipped since their buffer is not known: those of history whose buffer
    /// was replaced since; and those of an observer that was lapped where a new buffer took the
    /// place of another. To join again gives it all buffers.
    [[nodiscard]] std::uint64_t skipped() const noexcept { return skipped_; }

    /// Waits as consumer::wait. Afterwards there may be no frame all the same, but a new buffer.
    status wait(deadline end, std::chrono::nanoseconds spin = {}) noexcept {
        return reader_.wait(end, spin);
    }

    /// The consumer, for all else. Take no messages from it.
    [[nodiscard]] consumer &reader() noexcept { return reader_; }

private:
    struct buffer {
        detail::frame_buffer_note note = {};
        std::shared_ptr<const detail::frame_memory> memory;
    };

    // What a message starts with, which may be torn.
    template <typename Note>
    static std::optional<Note> note_in(const message_view &from) {
        Note note = {};
        if (from.payload().size() < sizeof note) {
            return std::nullopt;
        }
        std::memcpy(&note, from.payload().data(), sizeof note);
        return note.mark == detail::frame_mark ? std::optional(note) : std::nullopt;
    }

    // An honest producer's: what named a buffer was overwritten, or its descriptor dropped.
    [[nodiscard]] bool misses_buffers() const noexcept {
        return zbq_consumer_window(reader_.get())->observes != 0;
    }

    // Where it is a buffer's: any that is retained may be another thing.
    void map(const std::optional<detail::frame_buffer_note> &note, std::uint16_t key,
             descriptors fds) {
        if (!note || note->key != key || fds.size() != 1) {
            return;
        }
        buffer fresh = {*note, nullptr};
        const std::size_t head = detail::frame_memory::head_size();
        struct stat status_of = {};
        const int seals = ::fcntl(fds[0], F_GET_SEALS);
        const bool is_sealed = seals >= 0 && (seals & F_SEAL_SHRINK) != 0;
        if (!is_sealed || ::fstat(fds[0], &status_of) != 0 ||
            static_cast<std::uint64_t>(status_of.st_size) < head ||
            fresh.note.size > static_cast<std::uint64_t>(status_of.st_size) - head) {
            throw error(status::protocol, "a buffer for frames that is none");
        }
        fresh.memory =
            std::make_shared<const detail::frame_memory>(fds[0], head + fresh.note.size, PROT_READ);
        const auto same = std::find_if(buffers_.begin(), buffers_.end(), [&](const buffer &one) {
            return one.note.key == fresh.note.key;
        });
        // What names the one before has come already.
        if (same == buffers_.end()) {
            if (buffers_.size() < detail::most_buffers) { // else a hostile producer's
                buffers_.push_back(std::move(fresh));
            }
        } else {
            *same = std::move(fresh);
        }
    }

    // Why not: none, where its buffer is one that this reader need not know.
    received_frame frame_of(message next, const std::optional<detail::frame_note> &note) {
        const auto one = std::find_if(buffers_.begin(), buffers_.end(), [&](const buffer &each) {
            return note && each.note.key == note->key;
        });
        const bool is_known = one != buffers_.end() && one->note.generation == note->generation;
        if (is_known && note->size <= one->note.size) {
            received_frame found(status::ok);
            found.memory_ = one->memory;
            found.bytes_ = {one->memory->frame(), note->size};
            found.message_ = std::move(next);
            return found;
        }
        const bool is_old = one != buffers_.end() && note->generation < one->note.generation;
        return received_frame(is_old || misses_buffers() ? status::none : status::protocol);
    }

    consumer reader_;
    std::vector<buffer> buffers_;
    std::uint64_t skipped_ = 0;
};

} // namespace ZBQ_NAMESPACE
