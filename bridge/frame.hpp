// SPDX-License-Identifier: MIT
//
// A frame: some of a ring's messages as one message of a carrier, byte by byte as docs/bridge.md
// has it. Frames of a ring tile its offsets: what lies between first and end is there as a
// message, or as a gap.
#pragma once

#include <zbq.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace zbq::bridge {

inline constexpr std::uint16_t frame_version = 1;
inline constexpr std::size_t frame_header_size = 72;
inline constexpr std::size_t entry_head_size = 8;

enum class entry_kind : std::uint8_t {
    message = 1,
    descriptors = 2,  // of the message that follows: how many there were
    gap = 3,          // up to `next` there is nothing
    ring = 4,         // what the ring is: the first entry of each frame
    retained = 5,     // what is retained now under a key
    retained_end = 6, // these were all
    end = 7,          // the ring has ended here
};

// Why something is missing. The first four are zbq's own.
enum class cause : std::uint8_t {
    lapped = 0,
    evicted = 1,
    restarted = 2,
    history = 3,
    truncated = 4, // the stream does not have it any more
    too_large = 5, // for a message of the carrier, or for the ring there
};
inline constexpr std::uint8_t causes = 6;
[[nodiscard]] const char *to_string(cause why) noexcept;

enum class end_cause : std::uint8_t { closed = 0, died = 1, malformed = 2 };
[[nodiscard]] const char *to_string(end_cause why) noexcept;

// What is common to all frames of a ring.
struct ring_facts {
    std::uint64_t capacity = 0;
    zbq_type type = {};
    std::uint32_t pid = 0;
    std::string host = {}; // 255 bytes at most, as the name
    std::string name = {};
    bool operator==(const ring_facts &other) const {
        return capacity == other.capacity && type.hash == other.type.hash &&
               type.size == other.type.size && type.align == other.type.align && pid == other.pid &&
               host == other.host && name == other.name;
    }
};

struct frame_head {
    ring_id ring = {};
    std::uint64_t session = 0; // of the exporter
    std::uint64_t number = 0;  // in it, from 1
    std::uint64_t first = 0;   // offset where it begins
    std::uint64_t end = 0;     // and where the next one does
    std::uint64_t time = 0;    // when it was made, nanoseconds since 1970
    std::uint32_t entries = 0;
};

struct entry {
    entry_kind kind = entry_kind::message;
    std::uint8_t flags = 0;   // of a message: its own; of a gap or an end: the cause
    std::uint16_t key = 0;    // of a message, or of what is retained
    bool forgotten = false;   // of a message
    bool at_least = false;    // of a gap
    std::uint64_t offset = 0; // where it begins
    std::uint64_t next = 0;   // where the next one does
    std::uint32_t count = 0;  // of descriptors, or of what is retained
    std::span<const std::byte> body = {};
};

// The room that a message takes in a ring.
[[nodiscard]] constexpr std::uint64_t room_of(std::uint64_t payload_size) noexcept {
    constexpr std::uint64_t mask = ZBQ_MSG_ALIGN - 1;
    return (sizeof(zbq_msg_header) + payload_size + mask) & ~mask;
}

// ---- reading ----

// Checked whole before anything of it is used; refers to the bytes that it was read from.
class frame {
public:
    // Nothing where these bytes are no frame: then why, in words.
    static std::optional<frame> read(std::span<const std::byte> bytes, std::string *why);

    // Whether they are a frame, but of another version.
    static bool is_other_version(std::span<const std::byte> bytes);

    [[nodiscard]] const frame_head &head() const { return head_; }
    [[nodiscard]] const ring_facts &ring() const { return ring_; }

    // Calls visit(entry) for each but the ring's.
    template <typename Visit>
    void visit(Visit &&visit) const {
        cursor at = start();
        for (std::uint32_t i = 1; i < head_.entries; ++i) {
            visit(*next(&at));
        }
    }

private:
    struct cursor {
        std::span<const std::byte> rest;
        std::uint64_t offset = 0;
    };
    [[nodiscard]] cursor start() const { return {entries_, head_.first}; }
    static std::optional<entry> next(cursor *at);

    frame_head head_;
    ring_facts ring_;
    std::span<const std::byte> entries_; // after the ring's
};

// ---- writing ----

// One frame after the other, in one buffer. No frame is larger than the limit.
class frame_writer {
public:
    explicit frame_writer(std::uint64_t session) : session_(session) {}

    // At least as much as a frame's head, the ring's facts and a gap.
    void set_limit(std::size_t limit);
    [[nodiscard]] std::size_t limit() const { return limit_; }

    // The frames that follow are of this ring, from this offset on.
    void begin_ring(const ring_id &ring, const ring_facts &facts, std::uint64_t offset);
    [[nodiscard]] bool has_ring() const { return has_ring_; }
    // Whether it has more than the ring's facts.
    [[nodiscard]] bool is_empty() const { return head_.entries == 0; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::uint64_t next_offset() const { return head_.end; }

    // Whether a body of this size has room, with what can stand before a message.
    [[nodiscard]] bool has_room(std::size_t body) const {
        return body <= limit_ && start_size() + before_message + entry_head_size <= limit_ - body;
    }
    // What a message can have in an otherwise empty frame.
    [[nodiscard]] std::size_t largest_message() const;

    // Where a message's payload is to be put, and then the message: where it is of a later offset,
    // a gap of this cause goes before it.
    [[nodiscard]] std::span<std::byte> prepare();
    void add_message(const copied &what, cause gap_before);

    // These want room: entry_head_size and 8 bytes, or the body.
    void add_gap(cause why, std::uint64_t next, bool at_least);
    void add_end(end_cause why);
    void add_retained(std::uint16_t key, std::span<const std::byte> payload);
    void add_retained_end(std::uint32_t count);

    // Ends the frame, and gives its bytes until the next call.
    std::span<const std::byte> seal(std::uint64_t time);
    // Of the frame that was sealed last: its number, and a name that tells it from all others.
    [[nodiscard]] std::uint64_t sealed_number() const { return head_.number; }
    [[nodiscard]] const std::string &sealed_id() const { return id_; }

private:
    static constexpr std::size_t before_message = 2 * entry_head_size + 8 + 4; // gap, descriptors
    [[nodiscard]] std::size_t start_size() const { return is_empty() ? facts_end_ : size_; }
    void open();
    std::byte *add_entry(entry_kind kind, std::uint8_t flags, std::uint16_t key, std::size_t body);

    std::uint64_t session_;
    std::size_t limit_ = 0;
    bool has_ring_ = false;
    ring_facts facts_;
    std::size_t facts_end_ = frame_header_size;
    frame_head head_;
    std::vector<std::byte> bytes_;
    std::size_t size_ = 0;
    std::string id_;
};

[[nodiscard]] std::string to_hex(std::span<const std::uint8_t> bytes);
// Nothing where it is not of this length.
[[nodiscard]] std::optional<ring_id> ring_of(std::string_view hex);

} // namespace zbq::bridge
