// SPDX-License-Identifier: MIT
#include "link.hpp"

#include <array>
#include <charconv>
#include <fmt/core.h>

namespace zbq::bridge {

namespace {

using nats::link;
using nlohmann::json;

constexpr unsigned wrong_last_number = 10071;
constexpr unsigned no_message = 10037;

std::vector<std::byte> from_base64(const std::string &text) {
    constexpr std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const std::array<std::uint8_t, 256> values = [digits] {
        std::array<std::uint8_t, 256> made = {};
        made.fill(64);
        for (std::size_t i = 0; i < digits.size(); ++i) {
            made[static_cast<unsigned char>(digits[i])] = static_cast<std::uint8_t>(i);
        }
        return made;
    }();
    std::vector<std::byte> bytes;
    bytes.reserve(text.size() / 4 * 3);
    std::uint32_t bits = 0;
    unsigned count = 0;
    for (const char each : text) {
        const std::uint8_t value = values[static_cast<unsigned char>(each)];
        if (value == 64) { // the padding
            break;
        }
        bits = bits << 6U | value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            bytes.push_back(static_cast<std::byte>(bits >> count & 0xffU));
        }
    }
    return bytes;
}

} // namespace

struct writer::part {
    part(const server_options &where, const stream_options &what)
        : to(where), name(what.name), subject(nats::subject_of(name)) {
        find_or_make_stream(&to, what);
    }
    link to;
    std::string name;
    std::string subject;
};

writer::writer(const server_options &where, const stream_options &what)
    : part_(std::make_unique<part>(where, what)) {}

writer::~writer() = default;

stream_state writer::state() {
    return find_stream(&part_->to, part_->name);
}

// By the stream's leader: what a replica says may be old.
std::optional<stored> writer::last() {
    const json got =
        part_->to.ask("$JS.API.STREAM.MSG.GET." + part_->name, {{"last_by_subj", part_->subject}});
    if (nats::error_of(got) == no_message) {
        return std::nullopt;
    }
    if (nats::error_of(got) != 0) {
        throw trouble(fmt::format("the stream {}: {}", part_->name, nats::text_of(got)));
    }
    try {
        const json &message = got.at("message");
        return stored{message.at("seq").get<std::uint64_t>(),
                      from_base64(message.value("data", std::string())), 0};
    } catch (const json::exception &) {
        throw trouble("an answer of the server about a message that is malformed");
    }
}

void writer::send(std::span<const std::byte> data, const std::string &id, std::uint64_t after) {
    natsMsg *made = nullptr;
    const std::string reply = fmt::format("{}.{}", part_->to.inbox(), after + 1);
    nats::require(natsMsg_Create(&made, part_->subject.c_str(), reply.c_str(),
                                 reinterpret_cast<const char *>(data.data()),
                                 static_cast<int>(data.size())),
                  "making a message");
    const nats::message_ptr message(made);
    const std::string expected = std::to_string(after);
    nats::require(natsMsgHeader_Set(made, "Nats-Msg-Id", id.c_str()), "making a message");
    nats::require(natsMsgHeader_Set(made, "Nats-Expected-Last-Sequence", expected.c_str()),
                  "making a message");
    nats::require(natsMsgHeader_Set(made, "Nats-Expected-Stream", part_->name.c_str()),
                  "making a message");
    nats::require(natsConnection_PublishMsg(part_->to.get(), made), "sending");
}

std::optional<answer> writer::take() {
    const nats::message_ptr got = part_->to.box().take();
    if (!got) {
        return std::nullopt;
    }
    answer found;
    const std::string_view subject(natsMsg_GetSubject(got.get()));
    const std::string_view number = subject.substr(subject.rfind('.') + 1);
    std::from_chars(number.data(), number.data() + number.size(), found.wanted);
    if (natsMsg_IsNoResponders(got.get())) {
        found.what = answer::kind::refused;
        found.text = "nobody stores the stream at the moment";
        return found;
    }
    const char *text = natsMsg_GetData(got.get());
    const json said = json::parse(text, text + natsMsg_GetDataLength(got.get()), nullptr, false);
    if (!said.is_object()) {
        found.what = answer::kind::refused;
        found.text = "an acknowledgement that is malformed";
        return found;
    }
    try {
        found.text = nats::text_of(said);
        const unsigned error = nats::error_of(said);
        found.what = error == wrong_last_number       ? answer::kind::conflict
                     : error != 0                     ? answer::kind::refused
                     : said.value("duplicate", false) ? answer::kind::duplicate
                                                      : answer::kind::stored;
        found.number = said.value("seq", std::uint64_t{0});
    } catch (const json::exception &) {
        found.what = answer::kind::refused;
        found.text = "an acknowledgement that is malformed";
    }
    return found;
}

int writer::event_fd() const {
    return part_->to.box().event_fd();
}

} // namespace zbq::bridge
