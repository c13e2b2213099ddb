// SPDX-License-Identifier: MIT
#include "exposition.hpp"

#include "units.hpp"
#include "words.hpp"

#include <fmt/core.h>

#include <array>
#include <functional>
#include <map>
#include <string_view>

namespace zbq::tool {

namespace {

// Without what is not printable: a name is any bytes.
std::string in_quotes(std::string_view text) {
    std::string value = "\"";
    for (const char c : printable(text)) {
        value += c == '\\' || c == '"' ? std::string("\\") + c : std::string(1, c);
    }
    return value + "\"";
}

// A family of samples, with what it is.
class family {
public:
    family(std::string_view name, std::string_view type, std::string_view help)
        : name_(name), text_(fmt::format("# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help)) {}

    void add(const std::string &labels, double value) {
        text_ += fmt::format("{}{{{}}} {}\n", name_, labels, value);
    }
    void add(const std::string &labels, uint64_t value) {
        text_ += fmt::format("{}{{{}}} {}\n", name_, labels, value);
    }
    [[nodiscard]] const std::string &text() const { return text_; }

private:
    std::string name_;
    std::string text_;
};

std::string label_of(const finding &one) {
    return "ring=" + in_quotes(one.name);
}

template <typename Value>
struct ring_sample {
    const char *name;
    const char *type;
    const char *help;
    Value (*value)(const zbq_ring_stats &);
};

template <typename Value>
struct reader_sample {
    const char *name;
    const char *type;
    const char *help;
    Value (*value)(const zbq_slot_stats &, uint64_t now);
};

constexpr std::array ring_counts = {
    ring_sample<uint64_t>{"zbq_ring_published_bytes_total", "counter",
                          "Bytes committed since the ring was made, headers included.",
                          [](const zbq_ring_stats &ring) { return ring.head; }},
    ring_sample<uint64_t>{"zbq_ring_capacity_bytes", "gauge", "Bytes of the ring.",
                          [](const zbq_ring_stats &ring) { return ring.capacity; }},
    ring_sample<uint64_t>{
        "zbq_ring_lag_bytes", "gauge", "Bytes that the slowest lossless reader has yet to release.",
        [](const zbq_ring_stats &ring) { return since(ring.slowest_tail, ring.head); }},
    ring_sample<uint64_t>{"zbq_ring_readers", "gauge", "Slots taken.",
                          [](const zbq_ring_stats &ring) { return uint64_t{ring.consumers}; }},
    ring_sample<uint64_t>{"zbq_ring_slots", "gauge", "Slots.",
                          [](const zbq_ring_stats &ring) { return uint64_t{ring.max_consumers}; }},
    ring_sample<uint64_t>{"zbq_ring_joins_total", "counter", "Readers that ever got a slot.",
                          [](const zbq_ring_stats &ring) { return ring.joined; }},
    ring_sample<uint64_t>{"zbq_ring_failed_attempts_total", "counter",
                          "Attempts at room, or at sending descriptors, that were in vain.",
                          [](const zbq_ring_stats &ring) { return ring.failures; }},
    ring_sample<uint64_t>{"zbq_ring_scans_total", "counter", "Looks at all readers.",
                          [](const zbq_ring_stats &ring) { return ring.scans; }},
    ring_sample<uint64_t>{"zbq_ring_wakeups_total", "counter", "Wake-ups made.",
                          [](const zbq_ring_stats &ring) { return ring.wakes; }},
    ring_sample<uint64_t>{"zbq_ring_held_back", "gauge", "1: the publisher waits for a reader.",
                          [](const zbq_ring_stats &ring) {
                              return uint64_t{ring.slowest_slot != ZBQ_NO_SLOT ? 1U : 0U};
                          }},
};

constexpr std::array ring_times = {
    ring_sample<double>{"zbq_ring_full_seconds_total", "counter",
                        "For how long the publisher has waited for room.",
                        [](const zbq_ring_stats &ring) { return as_seconds(ring.full_ns); }},
    ring_sample<double>{"zbq_ring_age_seconds", "gauge", "Since the ring was made.",
                        [](const zbq_ring_stats &ring) {
                            return as_seconds(since(ring.created_at, ring.written_at));
                        }},
};

constexpr std::array reader_counts = {
    reader_sample<uint64_t>{"zbq_reader_lag_bytes", "gauge", "Bytes that it has yet to release.",
                            [](const zbq_slot_stats &slot, uint64_t) { return slot.lag; }},
    reader_sample<uint64_t>{
        "zbq_reader_slowest_looks_total", "counter",
        "Looks at which the publisher waited for room, and nobody was further behind.",
        [](const zbq_slot_stats &slot, uint64_t) { return slot.times_slowest; }},
    reader_sample<uint64_t>{"zbq_reader_lost_bytes_total", "counter",
                            "Of an observer, by its own word: what it has missed.",
                            [](const zbq_slot_stats &slot, uint64_t) { return slot.lost_bytes; }},
    reader_sample<uint64_t>{
        "zbq_reader_dropped_records_total", "counter",
        "Of an observer: records of descriptors that it had no room for.",
        [](const zbq_slot_stats &slot, uint64_t) { return slot.dropped_records; }},
    reader_sample<uint64_t>{
        "zbq_reader_descriptors_in_flight", "gauge", "Descriptors that it has not collected.",
        [](const zbq_slot_stats &slot, uint64_t) { return uint64_t{slot.fds_in_flight}; }},
    reader_sample<uint64_t>{"zbq_reader_in_the_way", "gauge", "1: the publisher waits for it.",
                            [](const zbq_slot_stats &slot, uint64_t) {
                                return uint64_t{slot.in_the_way != 0 ? 1U : 0U};
                            }},
};

constexpr std::array reader_times = {
    reader_sample<double>{"zbq_reader_unmoved_seconds", "gauge", "Since it last released anything.",
                          [](const zbq_slot_stats &slot, uint64_t now) {
                              return as_seconds(since(slot.moved_at, now));
                          }},
    reader_sample<double>{
        "zbq_reader_held_seconds_total", "counter",
        "For how long the publisher has waited with this one in the way.",
        [](const zbq_slot_stats &slot, uint64_t) { return as_seconds(slot.held_ns); }},
};

using visit_reader =
    std::function<void(const std::string &labels, const zbq_slot_stats &slot, uint64_t now)>;

// Of the readers that have a slot, as far as they are no more than so many: of a hostile publisher
// each number could be one.
constexpr size_t most_readers = 1000;
void for_each_reader(const finding &one, const visit_reader &visit) {
    size_t left = most_readers;
    for (uint32_t i = 0; left != 0 && i < one.account->ring().slots; ++i) {
        const std::optional<zbq_slot_stats> slot = one.account->slot(i);
        if (slot && slot->eviction == ZBQ_EVICTION_NONE) {
            --left;
            visit(fmt::format("{},reader=\"{}\"", label_of(one), slot->join_number), *slot,
                  one.account->ring().written_at);
        }
    }
}

template <typename Samples>
std::string of_rings(const std::vector<finding> &found, const Samples &samples) {
    std::string text;
    for (const auto &sample : samples) {
        family all(sample.name, sample.type, sample.help);
        for (const finding &one : found) {
            if (one.account) {
                all.add(label_of(one), sample.value(one.account->ring()));
            }
        }
        text += all.text();
    }
    return text;
}

template <typename Samples>
std::string of_readers(const std::vector<finding> &found, const Samples &samples) {
    std::string text;
    for (const auto &sample : samples) {
        family all(sample.name, sample.type, sample.help);
        for (const finding &one : found) {
            if (one.account) {
                for_each_reader(one,
                                [&](const std::string &labels, const zbq_slot_stats &slot,
                                    uint64_t now) { all.add(labels, sample.value(slot, now)); });
            }
        }
        text += all.text();
    }
    return text;
}

struct bridge_sample {
    const char *name;
    const char *type;
    const char *help;
    uint64_t bridge_counts::*value;
};

constexpr std::array bridge_samples = {
    bridge_sample{"zbq_bridge_messages_total", "counter", "Messages that were read.",
                  &bridge_counts::messages},
    bridge_sample{"zbq_bridge_payload_bytes_total", "counter", "Bytes of these.",
                  &bridge_counts::bytes},
    bridge_sample{"zbq_bridge_frames_total", "counter", "Frames in which they cross.",
                  &bridge_counts::frames},
    bridge_sample{"zbq_bridge_acknowledged_frames_total", "counter",
                  "Frames that the stream has, by the server's word.",
                  &bridge_counts::acknowledged},
    bridge_sample{
        "zbq_bridge_duplicates_total", "counter",
        "Of an exporter, frames that the stream had already; else messages that were here.",
        &bridge_counts::duplicates},
    bridge_sample{"zbq_bridge_gaps_total", "counter", "Gaps that were told.", &bridge_counts::gaps},
    bridge_sample{"zbq_bridge_missed_bytes_total", "counter", "Bytes of these, at least.",
                  &bridge_counts::missed},
    bridge_sample{"zbq_bridge_uncrossed_descriptors_total", "counter",
                  "Descriptors of messages that crossed without.", &bridge_counts::descriptors},
    bridge_sample{"zbq_bridge_reconnects_total", "counter",
                  "Times that the server was there again.", &bridge_counts::reconnects},
    bridge_sample{"zbq_bridge_lag_bytes", "gauge",
                  "Bytes of the ring that are not read, or not released by its readers.",
                  &bridge_counts::lag_bytes},
    bridge_sample{"zbq_bridge_lag_messages", "gauge",
                  "Of an exporter, messages that were read and are not acknowledged.",
                  &bridge_counts::lag_messages},
    bridge_sample{"zbq_bridge_lag_frames", "gauge",
                  "Frames that are not acknowledged, or in the stream and not read.",
                  &bridge_counts::lag_frames},
};

std::string label_of(const bridge_status &one) {
    return fmt::format("bridge={},ring={},stream={}", in_quotes(one.direction), in_quotes(one.ring),
                       in_quotes(one.stream));
}

// Two processes may carry the same ring to the same stream: one sample is of both, and the
// latter's.
std::map<std::string, bridge_counts> by_label(const std::vector<finding> &found) {
    std::map<std::string, bridge_counts> all;
    for (const finding &each : found) {
        for (const bridge_status &one : each.bridges) {
            all[label_of(one)] = one.counts;
        }
    }
    return all;
}

std::string of_bridges(const std::vector<finding> &found) {
    const std::map<std::string, bridge_counts> all = by_label(found);
    if (all.empty()) {
        return "";
    }
    std::string text;
    for (const bridge_sample &sample : bridge_samples) {
        family samples(sample.name, sample.type, sample.help);
        for (const auto &[labels, counts] : all) {
            samples.add(labels, counts.*sample.value);
        }
        text += samples.text();
    }
    family silent("zbq_bridge_server_silent_seconds", "gauge",
                  "For how long the server has not answered; 0: it does.");
    for (const auto &[labels, counts] : all) {
        silent.add(labels, counts.silent_since == 0
                               ? 0.0
                               : as_seconds(since(counts.silent_since, wall_clock())));
    }
    return text + silent.text();
}

// What is no number.
std::string of_names(const std::vector<finding> &found) {
    family up("zbq_ring_up", "gauge", "1: its publisher answers; 0: it does not.");
    family rings("zbq_ring_info", "gauge", "What else there is to say of a ring.");
    family readers("zbq_reader_info", "gauge", "The same of a reader.");
    family evictions("zbq_ring_evictions_total", "counter", "Readers that lost their slot.");
    for (const finding &one : found) {
        if (one.how == standing::answers || one.how == standing::silent) {
            up.add(label_of(one), uint64_t{one.account ? 1U : 0U});
        }
        if (!one.account) {
            continue;
        }
        const zbq_ring_stats &ring = one.account->ring();
        rings.add(fmt::format("{},name={},id=\"{}\",pid=\"{}\",type=\"{}\"", label_of(one),
                              in_quotes(ring.name), id_text(ring.ring_id), ring.pid,
                              type_text(ring.payload_type)),
                  uint64_t{1});
        constexpr std::array reasons = {"",         "gone", "stalled", "side_stalled",
                                        "protocol", "slow", "dear"};
        for (size_t i = 1; i < reasons.size(); ++i) {
            evictions.add(fmt::format("{},reason=\"{}\"", label_of(one), reasons.at(i)),
                          ring.evicted[i]);
        }
        for_each_reader(one, [&](const std::string &labels, const zbq_slot_stats &slot, uint64_t) {
            readers.add(fmt::format("{},pid=\"{}\",user={},mode=\"{}\"", labels, slot.pid,
                                    in_quotes(user_text(slot.uid)), mode_text(slot.mode)),
                        uint64_t{1});
        });
    }
    return up.text() + rings.text() + evictions.text() + readers.text();
}

} // namespace

std::string exposition(const std::vector<finding> &found) {
    return of_names(found) + of_rings(found, ring_counts) + of_rings(found, ring_times) +
           of_readers(found, reader_counts) + of_readers(found, reader_times) + of_bridges(found);
}

} // namespace zbq::tool
