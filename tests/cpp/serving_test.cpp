// SPDX-License-Identifier: MIT
//
// A thread that serves what is attached to a producer.
#include "support/leaks.hpp"
#include "support/process.hpp"

#include <gtest/gtest.h>

#include "both_ends.hpp"

#include <csignal>
#include <future>
#include <optional>
#include <stdexcept>
#include <sys/eventfd.h>

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

TEST_F(ServingThread, OneWithNothingToServeEnds) {
    const test::leak_check leaks;
    for (int i = 0; i < 3; ++i) {
        const zbq::serving_thread meanwhile(ring_);
    }
    EXPECT_EQ(ring_.try_publish({}), status::ok);
}

} // namespace
