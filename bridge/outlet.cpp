// SPDX-License-Identifier: MIT
#include "outlet.hpp"

#include "tools/zbq/units.hpp"

#include <algorithm>
#include <fmt/core.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace zbq::bridge {

namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds slice(50); // between two looks at what else there is
constexpr std::uint64_t least_capacity = 4U << 20U;
constexpr std::uint64_t most_capacity = 1U << 30U; // a stream is not believed more
constexpr std::size_t note_size = 512;             // or a multiple of it

std::uint64_t capacity_for(const import_options &options, const ring_facts &facts) {
    if (options.capacity != 0) {
        return options.capacity;
    }
    const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    const std::uint64_t wanted = std::clamp(facts.capacity, least_capacity, most_capacity);
    return (wanted + page - 1) / page * page;
}

} // namespace

void outlet::begin(const ring_id &ring, const ring_facts &facts, std::uint64_t offset) {
    door_.reset();
    ring_.reset();
    producer_options how;
    how.capacity = capacity_ = capacity_for(options_, facts);
    how.stall_timeout = std::chrono::nanoseconds(options_.stall_timeout);
    how.max_consumers = options_.max_consumers;
    ring_.emplace(how);
    if ((facts.type.hash != 0 || facts.type.size != 0) &&
        zbq_producer_set_type(ring_->get(), &facts.type) != ZBQ_OK) {
        complaint_ = "a type that is none, of size " + std::to_string(facts.type.size);
    }
    std::ignore = ring_->set_name(options_.name);
    origin_ = ring;
    facts_ = facts;
    mapping_.reset();
    retained_.clear();
    make_mapping(offset);
}

void outlet::admit() {
    if (!door_ && ring_) {
        listener_options who;
        who.users = options_.users;
        who.groups = options_.groups;
        door_.emplace(options_.name, who);
        ring_->attach(*door_);
    }
}

void outlet::wait_for_readers(std::uint32_t count) {
    if (count != 0) {
        admit();
    }
    while (ring_ && ring_->statistics().consumers < count) {
        std::ignore =
            ring_->serve_until(in(slice), [&] { return ring_->statistics().consumers >= count; });
        meanwhile_();
    }
}

// ---- notes ----

void outlet::make_mapping(std::uint64_t offset) {
    if (!mapping_ || offset - mapping_->there != ring_->head() - mapping_->here) {
        note(offset, "");
    }
}

// It lies in the ring itself, in order; what follows it is of the original from `offset` on.
void outlet::note(std::uint64_t offset, const std::string &more) {
    std::string text;
    mapping next;
    do {
        const std::size_t size = (text.size() / note_size + 1) * note_size;
        next = {offset, ring_->head() + room_of(size)};
        json what = {{"bridge", 1},
                     {"ring", to_hex(origin_)},
                     {"name", facts_.name},
                     {"host", facts_.host},
                     {"offset", next.there},
                     {"here", next.here},
                     {"stream", options_.stream}};
        if (!more.empty()) {
            what.update(json::parse(more));
        }
        text = what.dump(-1, ' ', false, json::error_handler_t::replace);
        if (text.size() < size) {
            text.resize(size, ' ');
            text.back() = '\n';
            break;
        }
    } while (true);
    const auto payload = bytes_of(text);
    const status kept =
        until_done([&] { return ring_->retain(options_.note_key, payload, in(slice)); });
    if (kept == status::too_large) { // too much is retained already
        std::ignore = until_done([&] { return ring_->publish(payload, in(slice)); });
        complaint_ = "the notes of the origin are not retained: the ring retains too much";
    }
    if (ring_->head() == next.here) {
        mapping_ = next;
    }
}

// Of the original.
std::uint64_t outlet::next_offset() const {
    return mapping_ ? mapping_->there + ring_->head() - mapping_->here : 0;
}

void outlet::tell(std::uint64_t next_offset, const missing &what) {
    note(
        next_offset,
        json({{"missing", what.bytes}, {"cause", to_string(what.why)}, {"at_least", what.at_least}})
            .dump());
}

// ---- messages ----

// Waits as long as it takes, which is the stall timeout for each reader that is in the way, but for
// what meanwhile_ throws.
template <typename Try>
status outlet::until_done(const Try &attempt) {
    status result = attempt();
    while (result == status::again) {
        meanwhile_();
        result = attempt();
    }
    if (result != status::ok && result != status::none && result != status::too_large) {
        throw error(result, "publishing " + options_.name, errno);
    }
    return result;
}

bool outlet::publish(const entry &what) {
    if (room_of(what.body.size()) > capacity_) {
        return false;
    }
    make_mapping(what.offset);
    if (what.key != 0) {
        const status changed = change_retained(what.key, what.body, what.forgotten);
        if (changed == status::ok) {
            return true;
        }
    }
    status published = ring_->try_publish(what.body, what.flags);
    if (published == status::again) {
        published = until_done([&] { return ring_->publish(what.body, in(slice), what.flags); });
    }
    return published == status::ok;
}

status outlet::change_retained(std::uint16_t key, std::span<const std::byte> payload,
                               bool forgotten) {
    if (key == options_.note_key) {
        complaint_ = fmt::format("the original retains under {} too, which notes use here: see "
                                 "--note-key",
                                 key);
        return status::invalid;
    }
    if (forgotten) {
        retained_.erase(key);
        return until_done([&] { return ring_->forget(key, in(slice)); });
    }
    const status result = until_done([&] { return ring_->retain(key, payload, in(slice)); });
    if (result == status::ok) {
        retained_[key].assign(payload.begin(), payload.end());
    } else {
        complaint_ = fmt::format("the message of key {} is not retained: too much is", key);
    }
    return result;
}

void outlet::set_retained(const std::map<std::uint16_t, std::span<const std::byte>> &all) {
    std::vector<std::uint16_t> forgotten;
    for (const auto &[key, payload] : retained_) {
        if (!all.contains(key)) {
            forgotten.push_back(key);
        }
    }
    std::vector<std::uint16_t> changed;
    for (const auto &[key, payload] : all) {
        const auto kept = retained_.find(key);
        if (kept == retained_.end() || !std::ranges::equal(kept->second, payload)) {
            changed.push_back(key);
        }
    }
    if (forgotten.empty() && changed.empty()) {
        return;
    }
    const std::uint64_t offset = next_offset();
    note(offset, R"({"beside":true})");
    for (const std::uint16_t key : forgotten) {
        std::ignore = change_retained(key, {}, true);
    }
    for (const std::uint16_t key : changed) {
        std::ignore = change_retained(key, all.at(key), false);
    }
    note(offset, "");
}

void outlet::end(const char *why) {
    if (!ring_) {
        return;
    }
    if (why != nullptr) {
        note(next_offset(), json({{"ended", why}}).dump());
    }
    if (door_) {
        ring_->detach(*door_);
    }
    door_.reset();
    ring_.reset();
}

// ---- beside them ----

void outlet::serve() {
    if (!ring_) {
        return;
    }
    ring_->serve();
    const std::uint64_t now = tool::now_coarse_ns();
    if (now >= scanned_at_ + tool::second) {
        scanned_at_ = now;
        std::ignore = ring_->scan();
    }
}

std::uint64_t outlet::lag() const {
    if (!ring_) {
        return 0;
    }
    const zbq_producer_statistics stats = ring_->statistics();
    return stats.head - stats.slowest_tail;
}

} // namespace zbq::bridge
