// SPDX-License-Identifier: MIT
//
// A thread that serves what is attached to a producer.
#include "support/leaks.hpp"
#include "support/process.hpp"

#include <gtest/gtest.h>

#include "both_ends.hpp"

#include <csignal>
#include <functional>
#include <future>
#include <optional>
#include <stdexcept>
#include <sys/eventfd.h>
#include <vector>

namespace {

using zbq::status;

class ServingThread : public testing::Test {
protected:
    ServingThread() { test::start_watchdog(); }

    const std::string name_ = "@zbq-serving-" + std::to_string(getpid());
    zbq::producer ring_;
};

// Says what mask its thread has, the first time, and throws each time.
class thrower {
public:
    [[nodiscard]] int event_fd() const noexcept { return rung_.get(); }
    void serve(zbq::producer & /*ring*/) {
        eventfd_t times = 0;
        ASSERT_EQ(eventfd_read(rung_.get(), &times), 0);
        sigset_t mask;
        pthread_sigmask(SIG_SETMASK, nullptr, &mask);
        mask_.set_value(mask);
        throw std::runtime_error("from a service");
    }
    sigset_t mask() { return mask_.get_future().get(); }

private:
    zbq::unique_fd rung_{eventfd(1, EFD_CLOEXEC)};
    std::promise<sigset_t> mask_;
};

TEST_F(ServingThread, LetsNewcomersIn) {
    zbq::listener door(name_);
    ring_.attach(door);
    std::optional<zbq::consumer> reader;
    {
        const zbq::serving_thread meanwhile(ring_);
        reader = zbq::connect(name_, zbq::never);
    }
    ASSERT_EQ(ring_.publish(test::bytes("hello"), zbq::never), status::ok);
    EXPECT_EQ(test::text_of(reader->try_next().payload()), "hello");
    ring_.detach(door);
}

TEST_F(ServingThread, WhatAServiceThrewIsToldAfterwards) {
    thrower service;
    ring_.attach(service);
    {
        const zbq::serving_thread meanwhile(ring_);
        const sigset_t mask = service.mask();
        EXPECT_EQ(sigismember(&mask, SIGTERM), 1);
    }
    sigset_t own;
    pthread_sigmask(SIG_SETMASK, nullptr, &own);
    EXPECT_EQ(sigismember(&own, SIGTERM), 0);
    EXPECT_THROW(ring_.serve(), std::runtime_error);
    EXPECT_NO_THROW(ring_.serve());
}

TEST_F(ServingThread, AForkedChildEndsNothing) {
    zbq::listener door(name_);
    ring_.attach(door);
    std::optional<zbq::serving_thread> meanwhile(std::in_place, ring_);
    test::child child([&] {
        meanwhile.reset();
        return 0;
    });
    EXPECT_EQ(child.wait(), 0);
    EXPECT_EQ(zbq::connect(name_, zbq::never).lag(), 0U);
    meanwhile.reset();
    ring_.detach(door);
}

// ---- services of an application ----

// Readable all the time.
class eager {
public:
    explicit eager(std::function<void(zbq::producer &)> serve) : serve_(std::move(serve)) {}
    [[nodiscard]] int event_fd() const noexcept { return rung_.get(); }
    void serve(zbq::producer &ring) { serve_(ring); }

private:
    zbq::unique_fd rung_{eventfd(1, EFD_CLOEXEC)};
    std::function<void(zbq::producer &)> serve_;
};

class Services : public testing::Test {
protected:
    Services() {
        test::start_watchdog();
        while (ring_.try_publish(test::bytes("full")) == status::ok) {
        }
    }
    void drain() {
        while (zbq::message each = reader_.try_next()) {
            static_cast<void>(each.take_descriptors());
        }
    }

    zbq::producer ring_{{.capacity = 4096, .stall_timeout = {}}};
    zbq::consumer reader_ = test::join(ring_);
};

TEST_F(Services, OneThatIsAlwaysReadyKeepsNoCallPastItsTime) {
    eager service([](zbq::producer &) {});
    ring_.attach(service);
    EXPECT_EQ(ring_.publish(test::bytes("late"), zbq::in(std::chrono::milliseconds(1))),
              status::again);
}

TEST_F(Services, WhatTheyCallServesNothing) {
    int calls = 0;
    eager service([&](zbq::producer &ring) {
        ++calls;
        EXPECT_EQ(ring.publish(test::bytes("x"), zbq::now), status::again);
    });
    ring_.attach(service);
    ring_.serve();
    EXPECT_EQ(calls, 1);
}

TEST_F(Services, OneMayPublishWhileDescriptorsWait) {
    drain();
    const std::vector<int> fds(32, STDIN_FILENO);
    std::vector<zbq::message> held; // whose descriptors wait
    while (ring_.publish(test::bytes("fd"), fds, zbq::now) == status::ok) {
        held.push_back(reader_.try_next());
    }
    int calls = 0;
    int published = 0;
    eager service([&](zbq::producer &ring) {
        if (++calls == 1) { // before the first attempt
            return;
        }
        published += ring.try_publish(test::bytes("from a service")) == status::ok ? 1 : 0;
        held.clear();
        drain();
    });
    ring_.attach(service);
    const std::uint64_t before = zbq_producer_next_seq_id(ring_.get());
    EXPECT_EQ(ring_.publish(test::bytes("last"), fds, zbq::in(std::chrono::seconds(60))),
              status::ok);
    EXPECT_GE(published, 1);
    EXPECT_EQ(zbq_producer_next_seq_id(ring_.get()), before + 2); // one record, however often
}

TEST_F(Services, AProducerThatWasMovedFromServesNobody) {
    const zbq::producer other = std::move(ring_);
    EXPECT_EQ(ring_.serve_until(zbq::never, [] { return false; }), status::invalid);
}

TEST_F(ServingThread, OneWithNothingToServeEnds) {
    const test::leak_check leaks;
    for (int i = 0; i < 3; ++i) {
        const zbq::serving_thread meanwhile(ring_);
    }
    EXPECT_EQ(ring_.try_publish({}), status::ok);
}

} // namespace
