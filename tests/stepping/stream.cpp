// SPDX-License-Identifier: MIT
#include "stream.hpp"

#include "consumer.hpp"
#include "ring.hpp"

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <vector>

namespace test {

namespace {

// As many as any test needs.
constexpr std::uint64_t known_messages = 8192;

struct known_stream {
    std::vector<std::string> payloads;
    std::vector<std::uint64_t> offsets; // one more: where the last ends

    known_stream() {
        std::uint64_t offset = 0;
        for (std::uint64_t number = 0; number < known_messages; ++number) {
            std::string payload(number * 83 % 509, '\0');
            for (std::size_t i = 0; i < payload.size(); ++i) {
                payload[i] = static_cast<char>(number * 31 + i * 7);
            }
            offsets.push_back(offset);
            offset += zbq::core::round_up(sizeof(zbq_msg_header) + payload.size());
            payloads.push_back(std::move(payload));
        }
        offsets.push_back(offset);
    }
};

const known_stream &stream() {
    static const known_stream known;
    return known;
}

bool is_message(const zbq_msg_header &header, const char *payload, std::uint64_t number) {
    const std::string &wanted = payload_of(number);
    return header.payload_len == wanted.size() &&
           header.flags == static_cast<std::uint8_t>(number) && header.reserved == 0 &&
           header.fd_count == 0 && header.seq_id == 0 &&
           std::memcmp(payload, wanted.data(), wanted.size()) == 0;
}

} // namespace

const std::string &payload_of(std::uint64_t number) {
    return stream().payloads.at(number);
}

std::uint64_t size_of(std::uint64_t number) {
    return offset_of(number + 1) - offset_of(number);
}

std::uint64_t offset_of(std::uint64_t number) {
    return stream().offsets.at(number);
}

std::optional<std::uint64_t> number_at(std::uint64_t offset) {
    const std::vector<std::uint64_t> &offsets = stream().offsets;
    const auto found = std::ranges::lower_bound(offsets, offset);
    if (found == offsets.end() || *found != offset) {
        return std::nullopt;
    }
    return static_cast<std::uint64_t>(found - offsets.begin());
}

bool is_message(const zbq_msg_view &view, std::uint64_t number) {
    return view.logical_offset == offset_of(number) &&
           view.payload_len == payload_of(number).size() &&
           is_message(*view.header, static_cast<const char *>(view.payload), number);
}

bool prepare(zbq_producer *prod, std::uint64_t number, unsigned count) {
    zbq_contiguous_run run = {};
    const std::uint64_t bytes = offset_of(number + count) - offset_of(number);
    if (zbq_producer_reserve(prod, bytes, &run) != ZBQ_OK) {
        return false;
    }
    auto *at = static_cast<char *>(run.base);
    for (const std::uint64_t end = number + count; number != end; ++number) {
        const std::string &payload = payload_of(number);
        const zbq_msg_header header = {static_cast<std::uint32_t>(payload.size()), 0,
                                       static_cast<std::uint8_t>(number), 0, 0};
        std::memcpy(at, &header, sizeof header);
        payload.copy(at + sizeof header, payload.size());
        at += size_of(number);
    }
    return true;
}

bool put(zbq_producer *prod, std::uint64_t number) {
    return prepare(prod, number) && zbq_producer_commit(prod, size_of(number), ZBQ_COMMIT_NONE);
}

std::string flaw_between(const char *ring, std::uint64_t capacity, std::uint64_t from,
                         std::uint64_t to) {
    std::optional<std::uint64_t> number = number_at(from);
    if (!number) {
        return "no message starts at " + std::to_string(from);
    }
    for (; offset_of(*number) < to; ++*number) {
        const char *at = ring + offset_of(*number) % capacity;
        zbq_msg_header header = {};
        std::memcpy(&header, at, sizeof header);
        if (!is_message(header, at + sizeof header, *number)) {
            return "message " + std::to_string(*number) + " is not whole";
        }
    }
    return offset_of(*number) == to ? "" : "no message ends at " + std::to_string(to);
}

int try_join(reader &who) {
    zbq_consumer *cons = nullptr;
    const int result = zbq_consumer_join(who.rendezvous.get(), who.mode, &cons);
    if (result == ZBQ_OK) {
        who.consumer.reset(cons);
        const std::optional<std::uint64_t> first = number_at(zbq_consumer_tail(cons));
        EXPECT_TRUE(first.has_value());
        who.next = first.value_or(0);
    }
    return result;
}

int read(reader &who, std::uint64_t most) {
    int result = ZBQ_OK;
    for (; most != 0; --most) {
        zbq_msg_view view = {};
        result = zbq_consumer_peek(who.consumer.get(), &view);
        if (result != ZBQ_OK) {
            break;
        }
        EXPECT_TRUE(is_message(view, who.next)) << "message " << who.next;
        zbq_consumer_publish(who.consumer.get(), view.logical_offset + view.total_len);
        ++who.next;
    }
    return result;
}

std::string look(const reader &who, std::uint64_t *end) {
    zbq_consumer *cons = who.consumer.get();
    zbq_read_window ahead = *zbq_consumer_window(cons); // with a cursor of its own
    std::uint64_t number = who.next;
    int result = ZBQ_OK;
    while (result == ZBQ_OK && (ahead.cursor != ahead.head || zbq_window_look(&ahead))) {
        zbq_msg_view view = {};
        result = zbq_window_next(&ahead, &view);
        if (result == ZBQ_OK && !is_message(view, number)) {
            return "a consumer reads something else than message " + std::to_string(number);
        }
        number += result == ZBQ_OK ? 1 : 0;
    }
    *end = offset_of(number);
    zbq_consumer_acquire_head(cons);
    return zbq_consumer_ending(cons, nullptr) != ZBQ_ENDING_MALFORMED ? "" : "malformed";
}

} // namespace test
