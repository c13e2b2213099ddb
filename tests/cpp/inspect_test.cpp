// SPDX-License-Identifier: MIT
//
// A ring's statistics, asked for by its name.
#include "support/leaks.hpp"
#include "support/process.hpp"

#include <gtest/gtest.h>

#include "both_ends.hpp"

#include <filesystem>
#include <future>
#include <optional>
#include <poll.h>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

namespace fs = std::filesystem;
using test::thrown_by;
using zbq::status;

class Inspect : public testing::Test {
protected:
    Inspect() {
        char name[] = "/tmp/zbq-test-XXXXXX";
        directory_ = mkdtemp(name);
        path_ = directory_ + "/camera";
        test::start_watchdog();
    }
    ~Inspect() override { fs::remove_all(directory_); }
    Inspect(const Inspect &) = delete;
    Inspect &operator=(const Inspect &) = delete;
    Inspect(Inspect &&) = delete;
    Inspect &operator=(Inspect &&) = delete;

    template <typename Result>
    Result serve_until(zbq::listener &door, std::future<Result> done) {
        while (done.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
            pollfd polled = {door.event_fd(), POLLIN, 0};
            poll(&polled, 1, 10);
            door.serve(ring_, [this](const zbq::newcomer & /*who*/) { ++decided_; });
        }
        return done.get();
    }
    zbq::statistics inspect(zbq::listener &door, const std::string &name) {
        return serve_until(
            door, std::async(std::launch::async, [&] { return zbq::inspect(name, zbq::never); }));
    }
    status result_of(zbq::listener &door, const std::string &name) {
        return thrown_by([&] { inspect(door, name); });
    }

    std::string directory_;
    std::string path_;
    zbq::producer ring_{{.max_consumers = 2}};
    int decided_ = 0;
};

TEST_F(Inspect, ByItsName) {
    zbq::listener door(path_);
    const zbq::consumer reader = test::join(ring_);
    EXPECT_EQ(ring_.try_publish(test::bytes("x")), status::ok);
    zbq::statistics seen = inspect(door, path_);
    EXPECT_EQ(seen.ring().head, 32U);
    EXPECT_EQ(seen.ring().consumers, 1U);
    EXPECT_EQ(seen.name(), path_);
    ASSERT_TRUE(seen.slot(0).has_value());
    EXPECT_EQ(seen.slot(0)->lag, 32U);
    EXPECT_FALSE(seen.slot(1).has_value());
    EXPECT_EQ(ring_.statistics().joined, 1U); // no slot was taken
    EXPECT_EQ(decided_, 0);
    EXPECT_EQ(ring_.try_publish(test::bytes("x")), status::ok);
    EXPECT_EQ(seen.update(), status::ok);
    EXPECT_EQ(seen.ring().head, 32U);
    EXPECT_EQ(ring_.refresh_statistics(), status::ok);
    EXPECT_EQ(seen.update(), status::ok);
    EXPECT_EQ(seen.ring().head, 64U);
    EXPECT_EQ(ring_.try_publish(test::bytes("x")), status::ok);
    EXPECT_EQ(inspect(door, path_).ring().head, 96U); // each who asks has a new account
}

TEST_F(Inspect, TheNameThatTheProgramHasGiven) {
    EXPECT_EQ(ring_.set_name(std::string(ZBQ_NAME_SIZE, 'x')), status::too_large);
    EXPECT_EQ(ring_.set_name("front door"), status::ok);
    zbq::listener door(path_);
    EXPECT_EQ(inspect(door, path_).name(), "front door");
    EXPECT_EQ(ring_.set_name(""), status::ok);
    EXPECT_EQ(inspect(door, path_).name(), "");
}

TEST_F(Inspect, AFullRingToo) {
    zbq::listener door(path_);
    const zbq::consumer first = test::join(ring_);
    const zbq::consumer second = test::join(ring_);
    EXPECT_EQ(inspect(door, path_).ring().consumers, 2U);
}

TEST_F(Inspect, ByWhoIsLetIn) {
    bool lets_in = false;
    std::optional<zbq::peer> asked;
    zbq::listener_options options;
    options.accept = [&](const zbq::peer &who, zbq::terms & /*given*/) {
        asked = who;
        return lets_in;
    };
    zbq::listener door(path_, options);
    EXPECT_EQ(result_of(door, path_), status::refused);
    ASSERT_TRUE(asked.has_value());
    EXPECT_TRUE(asked->inspects);
    EXPECT_TRUE(asked->observes);
    EXPECT_EQ(asked->pid, getpid());
    lets_in = true;
    EXPECT_EQ(result_of(door, path_), status::ok);
    serve_until(door, std::async(std::launch::async,
                                 [&] { return zbq::connect(path_, zbq::never).offset(); }));
    EXPECT_FALSE(asked->inspects);
}

TEST_F(Inspect, NobodyThere) {
    EXPECT_EQ(thrown_by([&] { std::ignore = zbq::inspect(path_, zbq::now); }), status::none);
    zbq::listener door(path_); // which nobody serves, as where a program is stopped
    EXPECT_EQ(thrown_by([&] {
                  std::ignore = zbq::inspect(path_, zbq::in(std::chrono::milliseconds(1)));
              }),
              status::again);
}

TEST_F(Inspect, ACollectorHasNone) {
    zbq::collector other(path_);
    auto asked = std::async(std::launch::async, [&] {
        return thrown_by([&] { std::ignore = zbq::inspect(path_, zbq::never); });
    });
    while (asked.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
        std::ignore = other.wait(zbq::in(std::chrono::milliseconds(10)));
        other.serve([](const zbq::source & /*from*/, const auto & /*batch*/) {});
    }
    EXPECT_EQ(asked.get(), status::refused);
}

TEST_F(Inspect, WithoutWaiting) {
    zbq::listener door(path_);
    zbq::inspecting way(path_);
    std::optional<zbq::statistics> seen;
    while (!seen) {
        pollfd polled[] = {{way.event_fd(), POLLIN, 0}, {door.event_fd(), POLLIN, 0}};
        ASSERT_GT(poll(polled, 2, 60'000), 0);
        seen = way.step();
        door.serve(ring_);
    }
    EXPECT_EQ(seen->ring().max_consumers, 2U);
    EXPECT_EQ(way.place(), path_);
}

TEST_F(Inspect, ADescriptorThatWasPassed) {
    const test::leak_check check;
    zbq::statistics seen(ring_.statistics_fd());
    EXPECT_EQ(seen.ring().max_consumers, 2U);
    zbq::statistics moved(std::move(seen));
    EXPECT_EQ(seen.update(), status::invalid); // NOLINT(bugprone-use-after-move): what it then does
    EXPECT_FALSE(seen.slot(0).has_value());    // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(moved.update(), status::ok);
    const zbq::unique_fd other(zbq_memory_create(4096));
    EXPECT_EQ(thrown_by([&] { const zbq::statistics none(other.get()); }), status::protocol);
    const test::socket_pair sockets = test::make_sockets();
    EXPECT_EQ(ring_.send_statistics(sockets.producer_end.get()), status::ok);
    EXPECT_EQ(zbq::statistics::receive(sockets.consumer_end.get()).ring().max_consumers, 2U);
    ring_ = zbq::producer();
    EXPECT_EQ(moved.update(), status::ok);
    EXPECT_EQ(moved.ring().closed, 1U);
}

TEST_F(Inspect, OfAProducerThatWasMovedFrom) {
    zbq::producer other(std::move(ring_));
    EXPECT_EQ(ring_.refresh_statistics(), status::invalid); // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(ring_.set_name("x"), status::invalid);
    EXPECT_EQ(ring_.send_statistics(0), status::invalid);
    EXPECT_EQ(thrown_by([&] { std::ignore = ring_.statistics_fd(); }), status::invalid);
}

} // namespace
