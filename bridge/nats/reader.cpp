// SPDX-License-Identifier: MIT
#include "link.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/core.h>

namespace zbq::bridge {

namespace {

using nats::link;
using nlohmann::json;
using steady = std::chrono::steady_clock;

constexpr std::chrono::seconds request_time(5); // after which the server says that there was none
constexpr std::uint64_t consumer_time = 60'000'000'000; // nanoseconds that it is kept unasked
constexpr std::uint64_t batch = 1'000'000; // messages of a request: its bytes end it before

struct place {
    std::uint64_t number = 0; // in the stream
    std::uint64_t count = 0;  // of what this consumer was sent
    std::uint64_t behind = 0; // after it
};

// $JS.ACK.stream.consumer.delivered.number.count.time.pending, or, with a domain and an account
// before the stream, at least two more.
std::optional<place> place_in(std::string_view reply) {
    std::array<std::string_view, 12> words;
    std::size_t count = 0;
    while (count < words.size() && !reply.empty()) {
        const std::size_t dot = std::min(reply.find('.'), reply.size());
        words[count++] = reply.substr(0, dot);
        reply.remove_prefix(std::min(dot + 1, reply.size()));
    }
    if (count < 9 || words[0] != "$JS" || words[1] != "ACK") {
        return std::nullopt;
    }
    const std::size_t at = count == 9 ? 5 : 7;
    const auto number_of = [](std::string_view text) {
        std::uint64_t number = 0;
        std::from_chars(text.data(), text.data() + text.size(), number);
        return number;
    };
    return place{number_of(words[at]), number_of(words[at + 1]), number_of(words[at + 3])};
}

} // namespace

// One request for messages at a time, of so many bytes: that is what bounds the memory. The server
// ends it by sending as many, or by a status.
struct reader::part {
    part(const server_options &where, std::string stream) : to(where), name(std::move(stream)) {
        find_stream(&to, name);
    }

    void request() {
        requested = true;
        taken = 0;
        heard = steady::now();
        const std::string reply = fmt::format("{}.{}", to.inbox(), ++requests);
        const std::string what = json({{"batch", batch},
                                       {"max_bytes", window},
                                       {"expires", std::chrono::nanoseconds(request_time).count()}})
                                     .dump();
        nats::require(natsConnection_PublishRequestString(
                          to.get(), ("$JS.API.CONSUMER.MSG.NEXT." + name + "." + consumer).c_str(),
                          reply.c_str(), what.c_str()),
                      "asking for messages");
    }

    // A status of the server's, about a request.
    void note(const natsMsg *said) {
        const std::string_view subject(natsMsg_GetSubject(said));
        const bool is_of_this = subject.substr(subject.rfind('.') + 1) == std::to_string(requests);
        const char *status = nullptr;
        natsMsgHeader_Get(const_cast<natsMsg *>(said), "Status", &status);
        const std::string_view code = status != nullptr ? status : "";
        if (code == "100" || !is_of_this) {
            return;
        }
        const char *text = nullptr;
        natsMsgHeader_Get(const_cast<natsMsg *>(said), "Description", &text);
        const std::string_view words = text != nullptr ? text : "";
        const bool is_usual = code == "404" || code == "408" ||
                              (code == "409" && words.find("MaxBytes") != std::string_view::npos);
        if (!is_usual) {
            throw trouble(fmt::format("the server ended what it sends: {} {}", code, words));
        }
        requested = false;
    }

    std::optional<stored> take() {
        while (nats::message_ptr got = to.box().take()) {
            heard = steady::now();
            const char *reply = natsMsg_GetReply(got.get());
            const std::optional<place> at = reply != nullptr ? place_in(reply) : std::nullopt;
            if (!at) {
                note(got.get());
                continue;
            }
            if (at->count != ++count) {
                throw trouble("messages were lost on the way");
            }
            taken += 1;
            requested = requested && taken < batch;
            const auto *data = reinterpret_cast<const std::byte *>(natsMsg_GetData(got.get()));
            const auto size = static_cast<std::size_t>(natsMsg_GetDataLength(got.get()));
            return stored{at->number, {data, data + size}, at->behind};
        }
        if (!requested) {
            request();
        } else if (steady::now() > heard + request_time + answer_time) {
            throw trouble("the server does not answer");
        }
        return std::nullopt;
    }

    link to;
    std::string name;
    std::string consumer;
    std::size_t window = 0;
    std::uint64_t requests = 0;
    std::uint64_t taken = 0; // of the newest request
    std::uint64_t count = 0;
    bool requested = false;
    steady::time_point heard;
};

reader::reader(const server_options &where, const std::string &stream)
    : part_(std::make_unique<part>(where, stream)) {}

reader::~reader() = default;

stream_state reader::state() {
    return find_stream(&part_->to, part_->name);
}

void reader::start(std::uint64_t number, std::size_t window) {
    constexpr std::size_t beside = 4096; // heads, which count
    part_->window = std::max(window, part_->to.largest() + beside);
    const json made = part_->to.ask("$JS.API.CONSUMER.CREATE." + part_->name,
                                    {{"stream_name", part_->name},
                                     {"config",
                                      {{"deliver_policy", "by_start_sequence"},
                                       {"opt_start_seq", std::max<std::uint64_t>(number, 1)},
                                       {"ack_policy", "none"},
                                       {"max_deliver", 1},
                                       {"replay_policy", "instant"},
                                       {"inactive_threshold", consumer_time},
                                       {"num_replicas", 1},
                                       {"mem_storage", true}}}});
    if (nats::error_of(made) != 0) {
        throw trouble(fmt::format("reading the stream {}: {}", part_->name, nats::text_of(made)));
    }
    part_->consumer = made.value("name", "");
    part_->request();
}

std::optional<stored> reader::take() {
    return part_->take();
}

int reader::event_fd() const {
    return part_->to.box().event_fd();
}

} // namespace zbq::bridge
