// SPDX-License-Identifier: MIT
#include "recording.hpp"

#include <array>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace zbq::tool {

namespace {

using nlohmann::json;

constexpr std::array kinds = {"at", "message", "gap", "end"};

std::optional<event_kind> kind_of(const std::string &name) {
    for (std::size_t i = 0; i < kinds.size(); ++i) {
        if (name == kinds[i]) {
            return static_cast<event_kind>(i);
        }
    }
    return std::nullopt;
}

} // namespace

// By hand, as there may be one for each message; the causes are words of this program.
std::string to_json(const event &what) {
    std::string text = fmt::format(R"({{"event":"{}","offset":{})",
                                   kinds[static_cast<std::size_t>(what.kind)], what.offset);
    const auto add = [&](const char *name, std::uint64_t value) {
        if (value != 0) {
            text += fmt::format(R"(,"{}":{})", name, value);
        }
    };
    add("flags", what.flags);
    add("key", what.key);
    add("descriptors", what.descriptors);
    if (what.forgotten) {
        text += R"(,"forgotten":true)";
    }
    if (!what.cause.empty()) {
        text += fmt::format(R"(,"cause":"{}")", what.cause);
    }
    if (what.kind == event_kind::gap) {
        text += fmt::format(R"(,"bytes":{})", what.bytes);
    }
    if (what.at_least) {
        text += R"(,"at_least":true)";
    }
    return text + '}';
}

std::optional<event> to_event(mcap::bytes text) {
    const auto *begin = reinterpret_cast<const char *>(text.data());
    const json found = json::parse(begin, begin + text.size(), nullptr, false);
    if (!found.is_object()) {
        return std::nullopt;
    }
    try {
        const auto kind = kind_of(found.value("event", ""));
        if (!kind) {
            return std::nullopt;
        }
        event what;
        what.kind = *kind;
        what.offset = found.value("offset", what.offset);
        what.flags = found.value("flags", what.flags);
        what.key = found.value("key", what.key);
        what.forgotten = found.value("forgotten", what.forgotten);
        what.descriptors = found.value("descriptors", what.descriptors);
        what.cause = found.value("cause", what.cause);
        what.bytes = found.value("bytes", what.bytes);
        what.at_least = found.value("at_least", what.at_least);
        return what;
    } catch (const json::exception &) { // of another type
        return std::nullopt;
    }
}

std::string to_hex(const std::uint8_t *bytes, std::size_t size) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) {
        text += fmt::format("{:02x}", bytes[i]);
    }
    return text;
}

} // namespace zbq::tool
