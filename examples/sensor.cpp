// SPDX-License-Identifier: MIT
//
// Sensor: readings by a name, whoever publishes them. The publisher is killed and another takes its
// place; then the reader does something else for so long that it loses its slot. Two subscriptions
// in one event loop live through that: one for whom the publisher waits, and one that only follows.
// Each is given every reading, or told how much it has missed, and why.
//
//   example_sensor
#include "child.hpp"

#include <zbq.hpp>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <tuple>
#include <unistd.h>

namespace {

struct reading {
    std::uint64_t number;
    double degrees;
};

// ---- the publisher, until it is killed ----

[[noreturn]] void publish_readings(const std::string &name) {
    zbq::producer_options options;
    options.capacity = 64U << 10U;
    options.stall_timeout = std::chrono::milliseconds(20);
    zbq::listener door(name);
    zbq::producer ring(options);
    ring.attach(door);
    for (std::uint64_t number = 0;; ++number) {
        const reading next = {number, 20 + static_cast<double>(number % 100) / 10};
        std::ignore = ring.publish(std::as_bytes(std::span(&next, 1)), zbq::never);
        if (number % 16 == 15) { // some sixteen thousand a second
            usleep(1000);
        }
    }
}

class publisher {
public:
    explicit publisher(const std::string &name) : pid_(fork()) {
        require(pid_ >= 0, "fork"); // kill(-1) would be everybody
        if (pid_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            publish_readings(name);
        }
    }
    publisher(const publisher &) = delete;
    publisher &operator=(const publisher &) = delete;
    ~publisher() {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }

private:
    pid_t pid_;
};

// ---- the reader ----

// Keeps account of every byte of the stream.
class account {
public:
    account(const char *who, const std::string &name, zbq::flow how)
        : who_(who), stream_(name, {.flow = how}) {}

    [[nodiscard]] int event_fd() const { return stream_.event_fd(); }
    [[nodiscard]] std::uint64_t readings() const { return readings_; }
    [[nodiscard]] std::uint64_t gaps(zbq::gap_cause cause) const {
        return gaps_.at(static_cast<std::size_t>(cause));
    }
    [[nodiscard]] bool is_right() const { return is_right_; }

    // All that is there.
    void read() {
        for (;;) {
            if (const std::optional<zbq::gap> missed = stream_.take_gap()) {
                note(*missed);
            } else if (const zbq::message next = stream_.try_next()) {
                note(next);
            } else {
                return;
            }
        }
    }

private:
    void note(const zbq::gap &missed) {
        ++gaps_.at(static_cast<std::size_t>(missed.cause));
        std::printf("%s: after %llu readings %llu bytes%s are missing: %s\n", who_,
                    static_cast<unsigned long long>(readings_),
                    static_cast<unsigned long long>(missed.bytes),
                    missed.at_least ? " or more" : "", to_string(missed.cause));
        const bool is_new_ring = missed.cause == zbq::gap_cause::restarted;
        next_ = (is_new_ring ? 0 : next_.value_or(0)) + missed.bytes;
    }

    void note(const zbq::message &message) {
        reading copy = {};
        std::memcpy(&copy, message.payload().data(),
                    std::min(sizeof copy, message.payload().size()));
        if (message.intact()) { // what was copied is whole
            is_right_ = is_right_ && copy.number == message.offset() / size;
            ++readings_;
        }
        is_right_ = is_right_ && message.offset() == next_.value_or(message.offset());
        next_ = message.offset() + size;
    }

    static constexpr std::uint64_t size = zbq::producer::size_of(sizeof(reading));

    const char *who_;
    zbq::subscription stream_;
    std::optional<std::uint64_t> next_; // where the next message has to start
    std::uint64_t readings_ = 0;
    std::array<std::uint64_t, 4> gaps_ = {};
    bool is_right_ = true;
};

template <typename Done>
void read_until(std::array<account, 2> *readers, const Done &done) {
    while (!done()) {
        std::array<pollfd, 2> ready = {
            {{(*readers)[0].event_fd(), POLLIN, 0}, {(*readers)[1].event_fd(), POLLIN, 0}}};
        poll(ready.data(), ready.size(), -1);
        for (account &each : *readers) {
            each.read();
        }
    }
}

int run() {
    using zbq::gap_cause;
    const std::string name = "@zbq-example-sensor-" + std::to_string(getpid());
    std::optional<publisher> source(std::in_place, name);
    std::array<account, 2> readers = {account("lossless", name, zbq::flow::lossless),
                                      account("following", name, zbq::flow::follow)};
    const auto have = [&](std::uint64_t lossless, std::uint64_t following) {
        return [&, lossless, following] {
            return readers[0].readings() >= lossless && readers[1].readings() >= following;
        };
    };
    read_until(&readers, have(1000, 1000));

    source.reset();
    source.emplace(name);
    read_until(&readers, [&] {
        return readers[0].gaps(gap_cause::restarted) == 1 &&
               readers[1].gaps(gap_cause::restarted) == 1;
    });
    read_until(&readers, have(readers[0].readings() + 1000, readers[1].readings() + 1000));

    const auto has_missed_some = [&] {
        return readers[0].gaps(gap_cause::evicted) != 0 && readers[1].gaps(gap_cause::lapped) != 0;
    };
    for (int i = 0; i < 100 && !has_missed_some(); ++i) {
        usleep(300'000); // something else
        read_until(&readers, have(readers[0].readings() + 1000, readers[1].readings() + 1000));
    }
    return has_missed_some() && readers[0].is_right() && readers[1].is_right() ? 0 : 1;
}

} // namespace

int main() {
    return guarded(run);
}
