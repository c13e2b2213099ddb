// SPDX-License-Identifier: MIT
#include "frame.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <fmt/core.h>

namespace zbq::bridge {

namespace {

static_assert(std::endian::native == std::endian::little, "as rings are written");

constexpr std::array<char, 4> magic = {'z', 'b', 'q', 'f'};
constexpr std::uint16_t forgotten_bit = 0x8000;
constexpr std::size_t facts_size = 30; // with the two lengths, and without host and name
constexpr std::uint64_t last_offset = UINT64_MAX >> 2U;

template <typename T>
T load(const std::byte *from) {
    T value = {};
    std::memcpy(&value, from, sizeof value);
    return value;
}

// Gives the place after it.
template <typename T>
std::byte *store(std::byte *to, const T &value) {
    std::memcpy(to, &value, sizeof value);
    return to + sizeof value;
}

std::byte *store_text(std::byte *to, const std::string &text) {
    std::memcpy(to, text.data(), text.size());
    return to + text.size();
}

std::size_t size_of(const ring_facts &facts) {
    return facts_size + facts.host.size() + facts.name.size();
}

std::optional<ring_facts> facts_in(std::span<const std::byte> body) {
    if (body.size() < facts_size) {
        return std::nullopt;
    }
    ring_facts facts;
    facts.capacity = load<std::uint64_t>(body.data());
    facts.type = {load<std::uint64_t>(&body[8]), load<std::uint32_t>(&body[16]),
                  load<std::uint32_t>(&body[20])};
    facts.pid = load<std::uint32_t>(&body[24]);
    const auto host = static_cast<std::size_t>(body[28]);
    const auto name = static_cast<std::size_t>(body[29]);
    if (body.size() != facts_size + host + name) {
        return std::nullopt;
    }
    const auto *text = reinterpret_cast<const char *>(body.data()) + facts_size;
    facts.host.assign(text, host);
    facts.name.assign(text + host, name);
    return facts;
}

// An entry's fields, by its kind. Its head and body were found to be there.
bool is_message(entry *what, std::uint16_t key) {
    what->key = key & ~forgotten_bit;
    what->forgotten = (key & forgotten_bit) != 0;
    what->next = what->offset + room_of(what->body.size());
    return !what->forgotten || (what->key != 0 && what->body.empty());
}

bool is_gap(entry *what, std::uint16_t key) {
    if (what->body.size() != 8 || what->flags >= causes || key > 1) {
        return false;
    }
    what->at_least = key != 0;
    what->next = load<std::uint64_t>(what->body.data());
    return what->next >= what->offset && (what->next > what->offset || what->at_least);
}

bool is_count(entry *what, std::uint16_t key) {
    if (what->body.size() != 4 || key != 0 || what->flags != 0) {
        return false;
    }
    what->count = load<std::uint32_t>(what->body.data());
    return true;
}

bool is_sound(entry *what, std::uint16_t key) {
    what->next = what->offset;
    switch (what->kind) {
    case entry_kind::message:
        return is_message(what, key);
    case entry_kind::gap:
        return is_gap(what, key);
    case entry_kind::descriptors:
    case entry_kind::retained_end:
        return is_count(what, key);
    case entry_kind::retained:
        what->key = key;
        return key != 0 && (key & forgotten_bit) == 0;
    case entry_kind::end:
        return what->body.empty() && what->flags <= 2 && key == 0;
    case entry_kind::ring:
        return false; // it is the first alone
    }
    return false;
}

} // namespace

const char *to_string(cause why) noexcept {
    static constexpr std::array<const char *, causes> words = {
        "lapped", "evicted", "producer restarted", "history gone", "truncated", "too large"};
    return words[static_cast<std::size_t>(why)];
}

const char *to_string(end_cause why) noexcept {
    return why == end_cause::closed ? "closed" : why == end_cause::died ? "died" : "malformed";
}

// ---- reading ----

std::optional<entry> frame::next(cursor *at) {
    if (at->rest.size() < entry_head_size) {
        return std::nullopt;
    }
    const auto length = load<std::uint32_t>(at->rest.data());
    if (length > at->rest.size() - entry_head_size) {
        return std::nullopt;
    }
    entry found;
    found.kind = static_cast<entry_kind>(at->rest[4]);
    found.flags = static_cast<std::uint8_t>(at->rest[5]);
    found.offset = at->offset;
    found.body = at->rest.subspan(entry_head_size, length);
    if (!is_sound(&found, load<std::uint16_t>(&at->rest[6])) || found.next > last_offset) {
        return std::nullopt;
    }
    at->rest = at->rest.subspan(entry_head_size + length);
    at->offset = found.next;
    return found;
}

bool frame::is_other_version(std::span<const std::byte> bytes) {
    return bytes.size() >= 8 && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0 &&
           load<std::uint16_t>(&bytes[4]) != frame_version;
}

std::optional<frame> frame::read(std::span<const std::byte> bytes, std::string *why) {
    const auto refuse = [why](std::string text) {
        *why = std::move(text);
        return std::nullopt;
    };
    if (bytes.size() < 8 || std::memcmp(bytes.data(), magic.data(), magic.size()) != 0) {
        return refuse("no frame of zbq");
    }
    if (const auto version = load<std::uint16_t>(&bytes[4]); version != frame_version) {
        return refuse(
            fmt::format("a frame of version {}, of which this knows {}", version, frame_version));
    }
    if (load<std::uint16_t>(&bytes[6]) != frame_header_size || bytes.size() < frame_header_size) {
        return refuse("a frame that is cut off");
    }
    frame found;
    std::memcpy(found.head_.ring.data(), &bytes[8], found.head_.ring.size());
    found.head_.session = load<std::uint64_t>(&bytes[24]);
    found.head_.number = load<std::uint64_t>(&bytes[32]);
    found.head_.first = load<std::uint64_t>(&bytes[40]);
    found.head_.end = load<std::uint64_t>(&bytes[48]);
    found.head_.time = load<std::uint64_t>(&bytes[56]);
    found.head_.entries = load<std::uint32_t>(&bytes[64]);
    constexpr std::uint64_t misaligned = ZBQ_MSG_ALIGN - 1;
    if (load<std::uint32_t>(&bytes[68]) != 0 || found.head_.entries == 0 ||
        found.head_.first > last_offset || (found.head_.first & misaligned) != 0) {
        return refuse("a frame with a malformed head");
    }
    const auto rest = bytes.subspan(frame_header_size);
    if (rest.size() < entry_head_size || static_cast<entry_kind>(rest[4]) != entry_kind::ring) {
        return refuse("a frame that does not say of which ring");
    }
    const auto length = load<std::uint32_t>(rest.data());
    const std::optional<ring_facts> facts = length <= rest.size() - entry_head_size
                                                ? facts_in(rest.subspan(entry_head_size, length))
                                                : std::nullopt;
    if (!facts) {
        return refuse("a frame that is malformed in what it says of its ring");
    }
    found.ring_ = *facts;
    found.entries_ = rest.subspan(entry_head_size + length);
    cursor at = found.start();
    for (std::uint32_t i = 1; i < found.head_.entries; ++i) {
        const std::optional<entry> one = next(&at);
        if (!one || (one->next & misaligned) != 0) {
            return refuse(fmt::format("a frame whose entry {} is malformed", i));
        }
    }
    if (!at.rest.empty() || at.offset != found.head_.end) {
        return refuse("a frame whose entries do not end where it says");
    }
    return found;
}

// ---- writing ----

void frame_writer::set_limit(std::size_t limit) {
    limit_ = limit;
    if (bytes_.size() < limit) {
        bytes_.resize(limit);
    }
}

void frame_writer::begin_ring(const ring_id &ring, const ring_facts &facts, std::uint64_t offset) {
    has_ring_ = true;
    facts_ = facts;
    facts_.host.resize(std::min<std::size_t>(facts_.host.size(), 255));
    facts_.name.resize(std::min<std::size_t>(facts_.name.size(), 255));
    facts_end_ = frame_header_size + entry_head_size + size_of(facts_);
    head_.ring = ring;
    head_.first = head_.end = offset;
    head_.entries = 0;
    size_ = 0;
}

std::size_t frame_writer::largest_message() const {
    const std::size_t beside = facts_end_ + before_message + entry_head_size;
    return limit_ > beside ? limit_ - beside : 0;
}

void frame_writer::open() {
    if (!is_empty()) {
        return;
    }
    size_ = frame_header_size;
    std::byte *at =
        add_entry(entry_kind::ring, 0, 0, size_of(facts_)); // makes it one that is not empty
    at = store(at, facts_.capacity);
    at = store(at, facts_.type.hash);
    at = store(at, facts_.type.size);
    at = store(at, facts_.type.align);
    at = store(at, facts_.pid);
    at = store(at, static_cast<std::uint8_t>(facts_.host.size()));
    at = store(at, static_cast<std::uint8_t>(facts_.name.size()));
    at = store_text(at, facts_.host);
    store_text(at, facts_.name);
}

std::byte *frame_writer::add_entry(entry_kind kind, std::uint8_t flags, std::uint16_t key,
                                   std::size_t body) {
    std::byte *at = bytes_.data() + size_;
    at = store(at, static_cast<std::uint32_t>(body));
    at = store(at, static_cast<std::uint8_t>(kind));
    at = store(at, flags);
    at = store(at, key);
    size_ += entry_head_size + body;
    ++head_.entries;
    return at;
}

std::span<std::byte> frame_writer::prepare() {
    const std::size_t at = start_size() + before_message + entry_head_size;
    return at < limit_ ? std::span(bytes_).subspan(at, limit_ - at) : std::span<std::byte>();
}

// The payload lies behind what can stand before it, which it seldom does.
void frame_writer::add_message(const copied &what, cause gap_before) {
    const std::byte *payload = prepare().data();
    open();
    if (what.offset != head_.end) {
        add_gap(gap_before, what.offset, false);
    }
    if (what.descriptors != 0) {
        store(add_entry(entry_kind::descriptors, 0, 0, 4), std::uint32_t{what.descriptors});
    }
    const auto key =
        static_cast<std::uint16_t>(what.key | (what.forgotten ? forgotten_bit : std::uint16_t{0}));
    std::byte *const to = bytes_.data() + size_ + entry_head_size;
    if (what.size != 0) {
        std::memmove(to, payload, what.size);
    }
    add_entry(entry_kind::message, what.flags, key, what.size);
    head_.end = what.offset + room_of(what.size);
}

void frame_writer::add_gap(cause why, std::uint64_t next, bool at_least) {
    open();
    store(add_entry(entry_kind::gap, static_cast<std::uint8_t>(why), at_least ? 1 : 0, 8), next);
    head_.end = next;
}

void frame_writer::add_end(end_cause why) {
    open();
    add_entry(entry_kind::end, static_cast<std::uint8_t>(why), 0, 0);
}

void frame_writer::add_retained(std::uint16_t key, std::span<const std::byte> payload) {
    open();
    std::byte *const to = add_entry(entry_kind::retained, 0, key, payload.size());
    std::copy(payload.begin(), payload.end(), to);
}

void frame_writer::add_retained_end(std::uint32_t count) {
    open();
    store(add_entry(entry_kind::retained_end, 0, 0, 4), count);
}

std::span<const std::byte> frame_writer::seal(std::uint64_t time) {
    open();
    std::byte *at = bytes_.data();
    at = store(at, magic);
    at = store(at, frame_version);
    at = store(at, static_cast<std::uint16_t>(frame_header_size));
    at = store(at, head_.ring);
    at = store(at, session_);
    at = store(at, ++head_.number);
    at = store(at, head_.first);
    at = store(at, head_.end);
    at = store(at, time);
    at = store(at, head_.entries);
    store(at, std::uint32_t{0});
    id_ = fmt::format("{}.{}", to_hex(head_.ring), head_.first);
    if (head_.end == head_.first) { // the next one begins there too
        id_ += fmt::format(".{:x}.{}", session_, head_.number);
    }
    const std::size_t size = size_;
    head_.first = head_.end;
    head_.entries = 0;
    size_ = 0;
    return std::span(bytes_).first(size);
}

// ---- names ----

std::string to_hex(std::span<const std::uint8_t> bytes) {
    std::string text;
    for (const std::uint8_t each : bytes) {
        text += fmt::format("{:02x}", each);
    }
    return text;
}

std::optional<ring_id> ring_of(std::string_view hex) {
    ring_id id = {};
    if (hex.size() != 2 * id.size()) {
        return std::nullopt;
    }
    for (std::size_t i = 0; i < id.size(); ++i) {
        const char *const at = hex.data() + 2 * i;
        const auto [rest, error] = std::from_chars(at, at + 2, id[i], 16);
        if (error != std::errc() || rest != at + 2) {
            return std::nullopt;
        }
    }
    return id;
}

} // namespace zbq::bridge
