// SPDX-License-Identifier: MIT
//
// Strangers at a listener and at a collector: what they send first, in how many packets, with what
// descriptors, whether a ring follows, and when they go. Each gets the answer that its first packet
// deserves, and nobody blocks.
#include "harness.hpp"
#include "producer.hpp"
#include "scm.hpp"
#include "support/descriptors.hpp"
#include "zbq.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/eventfd.h>
#include <unistd.h>
#include <vector>

namespace {

using zbq::status;

constexpr std::size_t most_connections = 6;
constexpr std::size_t max_strangers = 4;
constexpr std::uint32_t slots = 2;

// Kept from input to input: at the end of each nobody is left in it.
struct house {
    std::string name = "@zbq-fuzz-" + std::to_string(getpid());
    std::string collecting = name + "-collector";
    zbq::producer ring{{.capacity = 4096, .max_consumers = slots}};
    int statistics = ring.statistics_fd(); // made for the first who asks, and kept from then on
    bool accepts = true;
    zbq::listener door{name, options()};
    zbq::collector collector{collecting, collector_options()};
    zbq::unique_fd to_send{eventfd(0, EFD_CLOEXEC)};

    zbq::listener_options options() {
        zbq::listener_options chosen;
        chosen.max_strangers = max_strangers;
        chosen.patience = std::chrono::hours(1); // time decides nothing here
        chosen.accept = [this](const zbq::peer &, zbq::terms &) { return accepts; };
        return chosen;
    }
    zbq::collector_options collector_options() {
        zbq::collector_options chosen;
        chosen.max_sources = slots;
        chosen.max_capacity = 4096;
        chosen.max_strangers = max_strangers;
        chosen.patience = std::chrono::hours(1);
        chosen.accept = [this](const zbq::caller &) { return accepts; };
        chosen.on_join = [](const zbq::source &from) {
            MUST(from.who().pid == getpid() && from.who().name.size() <= 24);
            MUST(from.ring().capacity() == 4096);
        };
        chosen.on_refusal = [this](const zbq::caller &, status why) {
            MUST(why != status::ok && (why == status::refused) <= !accepts);
        };
        return chosen;
    }
};

house &the_house() {
    static house made;
    return made;
}

// What a first packet is.
enum class kind { nonsense, hello, call };

constexpr std::size_t hello_size = 32;

kind judge(const std::vector<unsigned char> &packet) {
    constexpr unsigned char right[] = {'z', 'b', 'q', 2};
    if (packet.size() != hello_size || std::memcmp(packet.data(), right, 4) != 0 ||
        packet[4] > ZBQ_OBSERVE_PULL || packet[7] != 0) {
        return kind::nonsense;
    }
    if (packet[6] == 0) { // an offset and a ring's id follow, any
        return packet[5] <= ZBQ_START_OFFSET ? kind::hello : kind::nonsense;
    }
    const auto end = std::find(packet.begin() + 8, packet.end(), 0);
    const bool is_pull = (packet[4] & ZBQ_WAKEUP_PULL) != 0;
    const bool is_call = packet[6] == 1 && packet[5] == 0 && !is_pull &&
                         std::all_of(end, packet.end(), [](unsigned char c) { return c == 0; });
    return is_call ? kind::call : kind::nonsense;
}

// The listener's or the collector's.
enum class door { listener, collector };

struct connection {
    zbq::unique_fd socket;
    std::optional<std::vector<unsigned char>> said; // its first packet
    std::vector<unsigned char> heard;
    door at = door::listener;
    std::unique_ptr<zbq::producer> ring; // that the collector was given
    zbq::core::ancillary with;           // what came with the join
    bool joined = false;
    bool ended = false; // by the listener
};

class visit {
public:
    visit(FuzzedDataProvider &input, const fuzz::balance &balance)
        : input_(input), balance_(balance), house_(the_house()) {}

    void run() {
        for (int i = 0; i < 64 && input_.remaining_bytes() != 0; ++i) {
            step();
        }
        serve_until([this] { return std::ranges::all_of(connections_, is_answered); });
        for (auto &one : connections_) {
            check(*one);
        }
        clear();
    }

private:
    void step() {
        switch (input_.ConsumeIntegralInRange(0, 7)) {
        case 0:
            connect();
            break;
        case 1:
        case 2:
            say();
            break;
        case 3:
            serve();
            break;
        case 4:
            listen();
            break;
        case 5:
            leave();
            break;
        case 6:
            give_ring();
            break;
        default:
            house_.accepts = input_.ConsumeBool();
            break;
        }
    }

    connection *any() {
        return connections_.empty() ? nullptr
                                    : connections_[input_.ConsumeIntegralInRange<std::size_t>(
                                                       0, connections_.size() - 1)]
                                          .get();
    }

    void connect() {
        if (connections_.size() == most_connections) {
            return;
        }
        auto made = std::make_unique<connection>();
        made->socket = zbq::unique_fd(::socket(AF_UNIX, zbq::detail::listener_type, 0));
        made->at = input_.ConsumeBool() ? door::collector : door::listener;
        const zbq::detail::place where =
            zbq::detail::place_of(made->at == door::collector ? house_.collecting : house_.name,
                                  zbq::detail::directory_use::look);
        MUST(::connect(made->socket.get(), where.get(), where.size) == 0);
        connections_.push_back(std::move(made));
    }

    void say() {
        connection *who = any();
        if (who == nullptr) {
            return;
        }
        // Zeros change nothing.
        std::vector<unsigned char> packet = {'z', 'b', 'q', 2};
        packet.resize(hello_size);
        packet[6] = who->at == door::collector ? 1 : 0;
        const auto changes =
            input_.ConsumeBytes<unsigned char>(input_.ConsumeBool() ? packet.size() : 0);
        for (std::size_t i = 0; i < changes.size(); ++i) {
            packet[i] ^= changes[i];
        }
        constexpr std::size_t sizes[] = {32, 0, 1, 4, 8, 31, 33, 4096};
        packet.resize(fuzz::one_of(input_, sizes));
        const int fds[] = {house_.to_send.get(), house_.to_send.get()};
        const unsigned count = input_.ConsumeIntegralInRange(0, 7) == 7 ? 2 : 0;
        const ssize_t sent =
            zbq::core::send_record(who->socket.get(), packet.data(), packet.size(), fds, count);
        if (sent >= 0 && !who->said) {
            who->said = packet;
        }
    }

    // As a producer does after its welcome, or before.
    void give_ring() {
        connection *who = any();
        if (who == nullptr || who->ring) {
            return;
        }
        const std::uint64_t capacity = input_.ConsumeBool() ? 4096 : 8192; // which is too large
        who->ring = std::make_unique<zbq::producer>(
            zbq::producer_options{.capacity = capacity, .max_consumers = 1});
        try {
            who->ring->admit(who->socket.get());
            if (!who->said) {
                who->said = std::vector<unsigned char>(sizeof(zbq_join_payload));
            }
        } catch (const zbq::error &) { // it has gone, or its queue is full
        }
    }

    void serve() {
        house_.collector.serve([](const zbq::source &, zbq::message_batch &) { MUST(false); });
        MUST(house_.collector.size() <= slots);
        house_.door.serve(house_.ring, [this](const zbq::newcomer &who) {
            MUST(who.who.pid == getpid());
            MUST((who.result == status::refused) == !house_.accepts);
            MUST(who.result != status::invalid || who.who.from.get().at == ZBQ_START_OFFSET);
        });
        const zbq_producer_statistics now = house_.ring.statistics();
        MUST(now.consumers <= slots);
    }

    // It rests after work, and its descriptor tells of the end of that.
    template <typename Done>
    void serve_until(const Done &done) {
        for (int i = 0; !done(); ++i) {
            MUST(i < 1000);
            pollfd polled[] = {{house_.door.event_fd(), POLLIN, 0},
                               {house_.collector.event_fd(), POLLIN, 0}};
            poll(polled, 2, 10);
            serve();
        }
    }

    // Or there is nothing to answer.
    static bool is_answered(const std::unique_ptr<connection> &who) {
        hear(who.get());
        return !who->said || who->said->empty() || !who->heard.empty() || who->ended;
    }

    void listen() {
        if (connection *who = any()) {
            hear(who);
        }
    }

    // All that has come.
    static void hear(connection *who) {
        unsigned char bytes[256];
        for (;;) {
            zbq::core::ancillary with;
            const ssize_t size =
                zbq::core::receive_record(who->socket.get(), bytes, sizeof bytes, 0, &with);
            if (size <= 0) {
                who->ended |= size != -EAGAIN;
                return;
            }
            MUST(!with.truncated);
            if (who->heard.empty()) {
                MUST(size == 8 && with.fds.size() == 0);
                who->heard.assign(bytes, bytes + size);
                continue;
            }
            MUST(!who->joined && size == sizeof(zbq_join_payload) && with.fds.size() == 6);
            who->joined = true;
            who->with.fds.take_all(with.fds);
        }
    }

    // An answer is for who has said something, and the right one.
    static void check(connection &who) {
        hear(&who);
        if (who.heard.empty()) {
            MUST(!who.joined);
            MUST(!who.said || who.said->empty() || who.ended);
            return;
        }
        MUST(who.said);
        MUST(std::memcmp(who.heard.data(), "zbq\2", 4) == 0);
        const kind said = judge(*who.said);
        const unsigned char answer = who.heard[4];
        if (said == kind::nonsense) {
            MUST(answer == 2);
        } else if ((said == kind::call) != (who.at == door::collector)) {
            MUST(answer == 4);
        } else {
            MUST(answer <= (said == kind::call ? 2 : 3));
        }
        MUST(who.joined == (answer == 0 && who.at == door::listener));
    }

    void leave() {
        if (connections_.empty()) {
            return;
        }
        const auto chosen = input_.ConsumeIntegralInRange<std::size_t>(0, connections_.size() - 1);
        connections_.erase(connections_.begin() + static_cast<std::ptrdiff_t>(chosen));
    }

    void clear() {
        connections_.clear();
        serve_until([this] {
            MUST(zbq_producer_scan(house_.ring.get()) == ZBQ_OK);
            zbq::core::unanswered_joins(house_.ring.get(), zbq::core::no_user); // lets go of them
            return house_.ring.statistics().consumers == 0 && house_.collector.size() == 0 &&
                   balance_.holds();
        });
    }

    FuzzedDataProvider &input_;
    const fuzz::balance &balance_;
    house &house_;
    std::vector<std::unique_ptr<connection>> connections_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    the_house();
    const fuzz::balance balance;
    FuzzedDataProvider input(data, size);
    visit(input, balance).run();
    return 0;
}
