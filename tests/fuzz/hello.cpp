// SPDX-License-Identifier: MIT
//
// Strangers at a listener: what they send first, in how many packets, with what descriptors, and
// when they go. Each gets the answer that its first packet deserves, and nobody blocks.
#include "harness.hpp"
#include "producer.hpp"
#include "scm.hpp"
#include "support/descriptors.hpp"
#include "zbq.hpp"
#include "zbq/listener.hpp"

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
    zbq::producer ring{{.capacity = 4096, .max_consumers = slots}};
    bool accepts = true;
    zbq::listener door{name, options()};
    zbq::unique_fd to_send{eventfd(0, EFD_CLOEXEC)};

    zbq::listener_options options() {
        zbq::listener_options chosen;
        chosen.max_strangers = max_strangers;
        chosen.patience = std::chrono::hours(1); // time decides nothing here
        chosen.accept = [this](const zbq::peer &, zbq::terms &) { return accepts; };
        return chosen;
    }
};

house &the_house() {
    static house made;
    return made;
}

// What may come back for a first packet.
struct verdict {
    bool is_hello;
    zbq_wakeup_mode mode;
};

constexpr std::size_t hello_size = 32;

verdict judge(const std::vector<unsigned char> &packet) {
    constexpr unsigned char right[] = {'z', 'b', 'q', 2, 0, 0, 0, 0};
    if (packet.size() != hello_size) {
        return {false, ZBQ_WAKEUP_PUSH};
    }
    const unsigned char mode = packet[4];
    const bool matches = std::memcmp(packet.data(), right, 4) == 0 && packet[5] <= 3 &&
                         std::memcmp(packet.data() + 6, right + 6, 2) == 0;
    return {matches && mode <= 3, static_cast<zbq_wakeup_mode>(mode & 3U)};
}

struct connection {
    zbq::unique_fd socket;
    std::optional<std::vector<unsigned char>> said; // its first packet
    std::vector<unsigned char> heard;
    zbq::core::ancillary with; // what came with the join
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
        switch (input_.ConsumeIntegralInRange(0, 6)) {
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
        const zbq::detail::place where =
            zbq::detail::place_of(house_.name, zbq::detail::directory_use::look);
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

    void serve() {
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
            pollfd polled = {house_.door.event_fd(), POLLIN, 0};
            poll(&polled, 1, 10);
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
        const verdict expected = judge(*who.said);
        const unsigned char answer = who.heard[4];
        MUST(answer <= 3);
        MUST(expected.is_hello || answer == 2);
        MUST(who.joined == (answer == 0));
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
            return house_.ring.statistics().consumers == 0 && balance_.holds();
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
