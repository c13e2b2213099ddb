// SPDX-License-Identifier: MIT
//
// Many producers and one who collects. Sources are in this thread, in others, or processes.
#include "support/kernel.hpp"
#include "support/leaks.hpp"
#include "support/process.hpp"

#include <gtest/gtest.h>

#include "both_ends.hpp"

#include <algorithm>
#include <csignal>
#include <deque>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <vector>

namespace {

using test::bytes;
using test::text_of;
using test::thrown_by;
using zbq::ending;
using zbq::status;

constexpr zbq::producer_options small = {.capacity = 1U << 16U};

zbq::unique_fd connect_to(const std::string &name) {
    zbq::unique_fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    const zbq::detail::place where = zbq::detail::place_at(name);
    EXPECT_EQ(connect(socket.get(), where.get(), where.size), 0);
    return socket;
}

// A collector that remembers what it was told.
class Collector : public testing::Test {
protected:
    Collector() { test::start_watchdog(); }

    zbq::collector &start(zbq::collector_options options = {}) {
        options.on_join = [this](const zbq::source &from) {
            ++joins_;
            last_ = from.who();
        };
        options.on_end = [this](const zbq::source &from, ending how) {
            ends_.push_back(how);
            last_ = from.who();
        };
        options.on_refusal = [this](const zbq::caller &who, status why) {
            refusals_.push_back(why);
            last_ = who;
        };
        return collector_.emplace(name_, std::move(options));
    }

    // With a source that says nothing.
    void start_beside_silent(zbq::collector_options options) {
        start(std::move(options));
        dial_in(silent_way_, silent_);
    }

    // Once, when its descriptor says that there is something to do.
    std::size_t serve() {
        if (collector_->wait(zbq::in(std::chrono::milliseconds(10))) != status::ok) {
            return 0;
        }
        return collector_->serve([this](const zbq::source &from, zbq::message_batch &batch) {
            for (const zbq::message_view &message : batch) {
                got_[from.who().name].emplace_back(text_of(message.payload()));
            }
        });
    }
    // All of one key.
    std::size_t serve_in_order() {
        return collector_->serve_in_order([](const zbq::message &) { return std::uint64_t{0}; },
                                          [](const zbq::source &, const zbq::message &) {});
    }
    template <typename Done>
    void serve_until(const Done &done) {
        const zbq::deadline end = zbq::in(std::chrono::seconds(60));
        while (!done()) {
            ASSERT_LT(zbq::clock::now(), end);
            serve();
        }
    }
    // Until it has nothing more to do: a rest after strangers ends, too.
    void settle() {
        while (collector_->wait(zbq::in(std::chrono::milliseconds(150))) == status::ok) {
            serve();
        }
    }
    // Both sides in one thread.
    void dial_in(zbq::dialing &way, zbq::producer &ring) {
        serve_until([&] { return way.step(ring).has_value(); });
    }
    status dial(const std::string &name, zbq::dial_options options = {}) {
        zbq::producer ring(small);
        zbq::dialing way(name, std::move(options));
        return thrown_by([&] { dial_in(way, ring); });
    }

    std::string name_ = "@zbq-collector-" + std::to_string(getpid());
    std::optional<zbq::collector> collector_;
    zbq::producer silent_{small};
    zbq::dialing silent_way_{name_};
    std::map<std::string, std::vector<std::string>> got_;
    std::vector<ending> ends_;
    std::vector<status> refusals_;
    zbq::caller last_;
    int joins_ = 0;
};

TEST_F(Collector, ReadsWhoDialsInByName) {
    start();
    zbq::producer ring(small);
    ASSERT_EQ(ring.try_publish(bytes("before")), status::ok);
    zbq::dialing way(name_, {.name = "one"});
    dial_in(way, ring);
    ASSERT_EQ(ring.try_publish(bytes("after")), status::ok);
    serve_until([&] { return got_["one"].size() == 2; });
    EXPECT_EQ(got_["one"], (std::vector<std::string>{"before", "after"}));
    EXPECT_EQ(joins_, 1);
    EXPECT_EQ(last_.pid, getpid());
    EXPECT_EQ(last_.uid, geteuid());
    EXPECT_EQ(last_.gid, getegid());
    EXPECT_TRUE(last_.waits);
    EXPECT_EQ(collector_->size(), 1U);
}

TEST_F(Collector, NamesASourceByItsProgramWhereItHasNoName) {
    start();
    EXPECT_EQ(dial(name_), status::ok);
    serve_until([&] { return joins_ == 1; });
    EXPECT_EQ(last_.name, "collector_test");
    EXPECT_EQ(dial(name_, {.name = std::string(40, 'x')}), status::ok);
    serve_until([&] { return joins_ == 2; });
    EXPECT_EQ(last_.name, std::string(24, 'x'));
}

TEST_F(Collector, TellsOfTheEndAfterTheLastMessage) {
    start();
    {
        zbq::producer ring(small);
        zbq::dialing way(name_, {.name = "brief"});
        dial_in(way, ring);
        ASSERT_EQ(ring.try_publish(bytes("last words")), status::ok);
    }
    serve_until([&] { return !ends_.empty(); });
    EXPECT_EQ(ends_, std::vector{ending::closed});
    EXPECT_EQ(got_["brief"].size(), 1U);
    EXPECT_EQ(collector_->size(), 0U);
}

TEST_F(Collector, ReadsAllOfOneThatWasKilled) {
    auto *committed = static_cast<std::uint64_t *>(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(committed, MAP_FAILED); // NOLINT(*-int-to-ptr): the system's own
    const test::step_pipe steps;
    test::child killed([&] {
        steps.receive();
        zbq::producer ring;
        zbq::dial(ring, name_);
        for (;;) {
            CHILD_CHECK(ring.publish(bytes("x"), zbq::never) == status::ok);
            __atomic_add_fetch(committed, 1, __ATOMIC_RELAXED);
        }
        return 0;
    });
    start();
    steps.send(1);
    serve_until([&] { return __atomic_load_n(committed, __ATOMIC_RELAXED) > 10'000; });
    killed.kill();
    serve_until([&] { return !ends_.empty(); });
    EXPECT_EQ(ends_, std::vector{ending::producer_died});
    const std::uint64_t counted = got_["collector_test"].size();
    const std::uint64_t told = *committed;
    EXPECT_GE(counted, told);
    EXPECT_LE(counted, told + 1); // killed before it could say so
    munmap(committed, 4096);
}

// Mostly before its ring was taken.
TEST_F(Collector, ReadsAllOfOneThatDiesAtOnce) {
    start();
    for (std::size_t i = 1; i <= 20; ++i) {
        test::child brief([&] {
            zbq::producer ring(small);
            zbq::dial(ring, name_, zbq::never, {.name = "brief"});
            CHILD_CHECK(ring.try_publish(bytes("last words")) == status::ok);
            raise(SIGKILL);
            return 0;
        });
        serve_until([&] { return ends_.size() == i; });
        EXPECT_EQ(brief.wait(), 128 + SIGKILL);
        EXPECT_EQ(got_["brief"].size(), i);
    }
    EXPECT_EQ(ends_, std::vector(20, ending::producer_died));
    EXPECT_EQ(refusals_, std::vector<status>());
}

TEST_F(Collector, GivesEachATurn) {
    start({.turn = 10});
    zbq::producer loud(small);
    zbq::producer quiet(small);
    zbq::dialing loud_way(name_, {.name = "loud"});
    zbq::dialing quiet_way(name_, {.name = "quiet"});
    dial_in(loud_way, loud);
    dial_in(quiet_way, quiet);
    serve_until([&] { return joins_ == 2; });
    for (int i = 0; i < 100; ++i) {
        ASSERT_EQ(loud.try_publish(bytes("!")), status::ok);
    }
    ASSERT_EQ(quiet.try_publish(bytes(".")), status::ok);
    serve_until([&] { return !got_["quiet"].empty(); });
    EXPECT_LE(got_["loud"].size(), 20U); // a turn before it, and one with it
    serve_until([&] { return got_["loud"].size() == 100; });
}

TEST_F(Collector, LeavesWhatIsNotVisitedForTheNextTurn) {
    start();
    zbq::producer ring(small);
    zbq::dialing way(name_);
    dial_in(way, ring);
    serve_until([&] { return joins_ == 1; });
    for (const char *text : {"a", "b", "c"}) {
        ASSERT_EQ(ring.try_publish(bytes(text)), status::ok);
    }
    std::string seen;
    while (seen.size() < 3) {
        ASSERT_EQ(collector_->wait(zbq::in(std::chrono::seconds(60))), status::ok);
        collector_->serve([&](const zbq::source &, zbq::message_batch &batch) {
            seen += text_of(batch.begin()->payload());
        });
    }
    EXPECT_EQ(seen, "abc");
}

// Its descriptor tells when there is something to do, and only then.
TEST_F(Collector, ItsDescriptorRests) {
    start();
    zbq::producer ring(small);
    zbq::dialing way(name_);
    dial_in(way, ring);
    serve_until([&] { return joins_ == 1; });
    settle();
    ASSERT_EQ(ring.try_publish(bytes("x")), status::ok);
    EXPECT_EQ(collector_->wait(zbq::in(std::chrono::seconds(60))), status::ok);
    settle();
    EXPECT_EQ(got_.begin()->second.size(), 1U);
}

TEST_F(Collector, GivesMessagesInTheOrderOfTheirKeys) {
    start({.hold = std::chrono::hours(1)});
    std::vector<zbq::producer> rings;
    std::vector<std::unique_ptr<zbq::dialing>> ways;
    for (int i = 0; i < 3; ++i) {
        rings.emplace_back(small);
        ways.push_back(std::make_unique<zbq::dialing>(name_));
        dial_in(*ways.back(), rings.back());
    }
    serve_until([&] { return joins_ == 3; });
    for (std::uint64_t key = 0; key < 300; ++key) { // runs of seven
        ASSERT_EQ(rings[key / 7 % 3].try_publish(zbq::bytes_of(std::string(key, '.'))), status::ok);
    }
    const auto key_of = [](const zbq::message &m) { return std::uint64_t{m.payload().size()}; };
    std::vector<std::uint64_t> order;
    const auto note = [&](const zbq::source &, const zbq::message &m) {
        order.push_back(key_of(m));
    };
    while (order.size() < 280) { // one of them has nothing more, and may be late
        ASSERT_EQ(collector_->wait(zbq::in(std::chrono::seconds(60))), status::ok);
        collector_->serve_in_order(key_of, note);
    }
    EXPECT_TRUE(std::ranges::is_sorted(order));
    rings.clear(); // the rest comes with the end
    while (order.size() < 300) {
        ASSERT_EQ(collector_->wait(zbq::in(std::chrono::seconds(60))), status::ok);
        collector_->serve_in_order(key_of, note);
    }
    EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST_F(Collector, HoldsAMessageForSoLong) {
    start_beside_silent({.hold = std::chrono::milliseconds(20)});
    zbq::producer ring(small);
    zbq::dialing way(name_);
    dial_in(way, ring);
    serve_until([&] { return joins_ == 2; });
    ASSERT_EQ(ring.try_publish(bytes("x")), status::ok);
    std::optional<zbq::deadline> first_held;
    std::size_t given = 0;
    while (given == 0) {
        ASSERT_EQ(collector_->wait(zbq::in(std::chrono::seconds(60))), status::ok);
        const zbq::deadline before = zbq::clock::now();
        given = serve_in_order();
        first_held = first_held ? *first_held : before;
    }
    EXPECT_GE(zbq::clock::now() - *first_held, std::chrono::milliseconds(20));
}

// Who has more meanwhile does not keep it busy.
TEST_F(Collector, HoldsWithoutSpinning) {
    start_beside_silent({.hold = std::chrono::hours(1)});
    zbq::producer ring(small);
    zbq::dialing way(name_);
    dial_in(way, ring);
    serve_until([&] { return joins_ == 2; });
    for (int i = 0; i < 3; ++i) {
        ASSERT_EQ(ring.try_publish(bytes("x")), status::ok);
    }
    std::size_t given = 0;
    int turns = 0;
    while (collector_->wait(zbq::in(std::chrono::milliseconds(150))) == status::ok) {
        ASSERT_LT(++turns, 1000) << "it has always something to do";
        given += serve_in_order();
    }
    EXPECT_EQ(given, 0U);
}

TEST_F(Collector, ItsMessagesInOrderAreOfferedAgain) {
    start({.turn = 2, .hold = std::chrono::hours(1)});
    zbq::producer ring(small);
    zbq::dialing way(name_);
    dial_in(way, ring);
    serve_until([&] { return joins_ == 1; });
    for (int i = 0; i < 100; ++i) {
        ASSERT_EQ(ring.try_publish(bytes("x")), status::ok);
    }
    std::size_t given = 0;
    while (given < 100) {
        ASSERT_EQ(collector_->wait(zbq::in(std::chrono::seconds(60))), status::ok);
        given += serve_in_order();
    }
}

// ---- who may, and how many ----

TEST_F(Collector, HasRoomForSoMany) {
    start_beside_silent({.max_sources = 2});
    zbq::producer ring(small);
    zbq::dialing way(name_);
    dial_in(way, ring);
    EXPECT_EQ(dial(name_), status::full);
    EXPECT_EQ(refusals_, std::vector{status::full});
}

TEST_F(Collector, RefusesRingsThatAreTooLarge) {
    start({.max_capacity = 4096});
    zbq::producer ring(small);
    zbq::dialing way(name_);
    serve_until([&] {
        way.step(ring);
        return !refusals_.empty();
    });
    EXPECT_EQ(refusals_[0], status::too_large);
    EXPECT_EQ(collector_->size(), 0U);
}

TEST_F(Collector, TenThousandCallersKeepNoMessageWaiting) {
    start({.max_sources = 1});
    zbq::producer ring(small);
    zbq::dialing way(name_, {.name = "honest"});
    dial_in(way, ring);
    serve_until([&] { return joins_ == 1; });
    const test::leak_check leaks;
    test::child crowd([&] {
        for (int i = 0; i < 10'000; ++i) {
            const zbq::unique_fd socket = connect_to(name_);
            zbq::detail::send_packet(socket.get(), zbq::detail::make_call(ZBQ_WAKEUP_PUSH, "one"));
        }
        return 0;
    });
    std::size_t sent = 0;
    while (!crowd.has_ended()) {
        ASSERT_EQ(ring.try_publish(bytes("x")), status::ok);
        ++sent;
        serve_until([&] { return got_["honest"].size() == sent; });
    }
    EXPECT_EQ(crowd.wait(), 0);
    settle();
    EXPECT_EQ(joins_, 1);
    EXPECT_EQ(got_["honest"].size(), sent);
}

TEST_F(Collector, ReadsEachOfOneThatComesAndGoes) {
    start();
    constexpr int times = 200;
    test::child restless([&] {
        for (int i = 0; i < times; ++i) {
            zbq::producer ring(small);
            zbq::dial(ring, name_, zbq::never, {.name = "restless"});
            CHILD_CHECK(ring.publish(bytes(std::to_string(i)), zbq::never) == status::ok);
        }
        return 0;
    });
    serve_until([&] { return ends_.size() == times; });
    EXPECT_EQ(restless.wait(), 0);
    EXPECT_EQ(joins_, times);
    ASSERT_EQ(got_["restless"].size(), static_cast<std::size_t>(times));
    EXPECT_EQ(got_["restless"].back(), std::to_string(times - 1));
}

TEST_F(Collector, AsksTheApplication) {
    start({.accept = [](const zbq::caller &who) { return who.name == "friend"; }});
    EXPECT_EQ(dial(name_, {.name = "foe"}), status::refused);
    EXPECT_EQ(dial(name_, {.name = "friend"}), status::ok);
}

// Sources of other users.
class CollectorOfOthers : public Collector {
protected:
    void SetUp() override {
        if (geteuid() != 0) {
            GTEST_SKIP() << "needs root";
        }
    }

    // Of that user, in a process of its own that ends once it was let in; what it was told.
    int dial_as(uid_t user) {
        test::child source([this, user] {
            CHILD_CHECK(setgid(user) == 0 && setuid(user) == 0);
            zbq::producer ring(small);
            return static_cast<int>(thrown_by([&] { zbq::dial(ring, path_); }));
        });
        serve_until([&] { return source.has_ended(); });
        return source.wait();
    }
    // That stays.
    void keep_source_of(uid_t user) {
        const int before = joins_;
        stay_.emplace_back([this, user] {
            CHILD_CHECK(setgid(user) == 0 && setuid(user) == 0);
            zbq::producer ring(small);
            zbq::dial(ring, path_);
            return pause();
        });
        serve_until([&] { return joins_ > before; });
    }

    std::string path_ = "/tmp/zbq-collector-" + std::to_string(getpid());
    std::deque<test::child> stay_;
};

TEST_F(CollectorOfOthers, AreRefusedWhereTheyAreNotListed) {
    name_ = path_;
    start({.users = {1001}});
    EXPECT_EQ(dial_as(1001), static_cast<int>(status::ok));
    EXPECT_EQ(dial_as(1002), static_cast<int>(status::refused) & 0xff);
}

TEST_F(CollectorOfOthers, OfOneUserHaveHalfOfThePlaces) {
    name_ = path_;
    start({.users = {1001, 1002}, .max_sources = 3});
    keep_source_of(1001);
    keep_source_of(1001);
    EXPECT_EQ(dial_as(1001), static_cast<int>(status::full) & 0xff);
    keep_source_of(1002);
    EXPECT_EQ(dial_as(1002), static_cast<int>(status::full) & 0xff);
}

TEST_F(Collector, AReaderIsToldThatNobodyPublishesHere) {
    start();
    zbq::joining join(name_);
    std::string told;
    try {
        serve_until([&] { return join.step().has_value(); });
    } catch (const zbq::error &failure) {
        EXPECT_EQ(failure.code(), status::refused);
        told = failure.what();
    }
    EXPECT_NE(told.find("nobody publishes there"), std::string::npos) << told;
}

TEST_F(Collector, WhoDialsAProducerIsToldThatNobodyCollectsThere) {
    zbq::producer ring(small);
    zbq::listener door(name_);
    zbq::producer mine(small);
    zbq::dialing way(name_);
    std::string told;
    try {
        const zbq::deadline end = zbq::in(std::chrono::seconds(60));
        while (!way.step(mine) && zbq::clock::now() < end) {
            door.serve(ring);
        }
    } catch (const zbq::error &failure) {
        EXPECT_EQ(failure.code(), status::refused);
        told = failure.what();
    }
    EXPECT_NE(told.find("nobody collects there"), std::string::npos) << told;
    EXPECT_EQ(mine.statistics().consumers, 0U);
}

TEST_F(Collector, DialGivesUp) {
    zbq::producer ring(small);
    EXPECT_EQ(thrown_by([&] { zbq::dial(ring, name_, zbq::never, {.wait_for_collector = false}); }),
              status::none);
    EXPECT_EQ(thrown_by([&] { zbq::dial(ring, name_, zbq::now); }), status::none);
    start();
    EXPECT_EQ(thrown_by([&] { zbq::dial(ring, name_, zbq::now); }), status::again);
}

// ---- who misbehaves ----

TEST_F(Collector, AnswersNoHelloThatIsNone) {
    start();
    for (const std::size_t changed : {0U, 3U, 4U, 5U, 7U}) {
        const zbq::unique_fd socket = connect_to(name_);
        zbq::detail::hello hello = zbq::detail::make_call(ZBQ_WAKEUP_PUSH, "x");
        hello.at(changed) ^= 0x21U;
        ASSERT_TRUE(zbq::detail::send_packet(socket.get(), hello));
        zbq::detail::greeting answer = {};
        serve_until([&] {
            return recv(socket.get(), answer.data(), answer.size(), MSG_DONTWAIT) ==
                   static_cast<ssize_t>(answer.size());
        });
        EXPECT_EQ(zbq::detail::answer_in(answer), zbq::detail::answer::refused) << changed;
    }
    EXPECT_EQ(joins_, 0);
}

// A name ends with its first zero, and after that there are zeros alone.
TEST_F(Collector, ANameHasNoZeroWithin) {
    zbq::detail::hello hello = zbq::detail::make_call(ZBQ_WAKEUP_PUSH, "ab");
    EXPECT_TRUE(zbq::detail::call_in(hello, sizeof hello));
    hello[12] = 'c';
    EXPECT_FALSE(zbq::detail::call_in(hello, sizeof hello));
}

TEST_F(Collector, OneThatIsWelcomeAndNeverJoinsMakesWay) {
    start({.max_strangers = 2});
    std::vector<zbq::unique_fd> mute;
    for (int i = 0; i < 5; ++i) {
        mute.push_back(connect_to(name_));
        ASSERT_TRUE(zbq::detail::send_packet(mute.back().get(),
                                             zbq::detail::make_call(ZBQ_WAKEUP_PUSH, "mute")));
    }
    serve_until([&] { return dial(name_, {.name = "good"}) == status::ok; });
    serve_until([&] { return joins_ == 1; });
    EXPECT_EQ(last_.name, "good");
}

TEST_F(Collector, GarbageForAJoinIsRefused) {
    start();
    const zbq::unique_fd socket = connect_to(name_);
    ASSERT_TRUE(
        zbq::detail::send_packet(socket.get(), zbq::detail::make_call(ZBQ_WAKEUP_PUSH, "bad")));
    ASSERT_EQ(send(socket.get(), "garbage", 7, 0), 7);
    serve_until([&] { return !refusals_.empty(); });
    EXPECT_EQ(refusals_, std::vector{status::protocol});
    EXPECT_EQ(last_.name, "bad");
}

// Also of one who does not wait for the answer: what it left unread comes before its ring.
TEST_F(Collector, ARingThatIsTooLargeIsRefusedOfWhoHasGoneToo) {
    start({.max_capacity = 4096});
    zbq::producer ring(small);
    {
        const zbq::unique_fd socket = connect_to(name_);
        ASSERT_TRUE(zbq::detail::send_packet(socket.get(),
                                             zbq::detail::make_call(ZBQ_WAKEUP_PUSH, "eager")));
        serve();
        ring.admit(socket.get());
    }
    serve_until([&] { return !refusals_.empty() || joins_ != 0; });
    EXPECT_EQ(refusals_, std::vector{status::too_large});
    EXPECT_EQ(joins_, 0);
}

TEST_F(Collector, OneThatBreaksTheProtocolIsDropped) {
    start();
    zbq::producer ring(small);
    zbq::dialing way(name_);
    dial_in(way, ring);
    ASSERT_EQ(ring.try_publish(bytes("x")), status::ok);
    serve_until([&] { return !got_.empty(); });
    zbq::reservation room = ring.try_reserve(16);
    const zbq_msg_header lie = {1U << 30U, 0, 0, 0, 0};
    std::memcpy(room.payload().data() - sizeof lie, &lie, sizeof lie);
    ASSERT_EQ(room.commit(), status::ok);
    serve_until([&] { return !ends_.empty(); });
    EXPECT_EQ(ends_, std::vector{ending::malformed});
}

TEST_F(Collector, OneThatIsTooSlowForASourceLosesIt) {
    start();
    zbq::producer ring({.capacity = 4096, .stall_timeout = std::chrono::milliseconds(1)});
    zbq::dialing way(name_);
    dial_in(way, ring);
    serve_until([&] { return joins_ == 1; });
    while (ring.statistics().consumers != 0) {
        ASSERT_EQ(ring.publish(bytes(std::string(1000, 'x')), zbq::never), status::ok);
    }
    serve_until([&] { return !ends_.empty(); });
    EXPECT_EQ(ends_, std::vector{ending::evicted});
}

TEST_F(Collector, IsNotWaitedForWhereTheSourceSaysSo) {
    start();
    zbq::producer ring(small);
    zbq::dialing way(name_, {.flow = zbq::flow::follow});
    dial_in(way, ring);
    serve_until([&] { return joins_ == 1; });
    EXPECT_FALSE(last_.waits);
    for (int i = 0; i < 1000; ++i) {
        ASSERT_EQ(ring.try_publish(bytes(std::string(1000, 'x'))), status::ok);
    }
    serve_until([&] { return !got_.empty(); });
    EXPECT_TRUE(ends_.empty());
}

TEST_F(Collector, OutOfDescriptorsItRefuses) {
    start();
    zbq::producer ring(small);
    zbq::dialing way(name_);
    for (unsigned spare = 0; spare < 40 && refusals_.empty(); ++spare) { // both ends need some
        const test::descriptor_shortage shortage(spare);
        for (int i = 0; i < 20 && refusals_.empty() && collector_->size() == 0; ++i) {
            static_cast<void>(thrown_by([&] { way.step(ring); }));
            serve();
        }
        ASSERT_EQ(collector_->size(), 0U) << "with " << spare;
    }
    EXPECT_EQ(refusals_, std::vector{status::io});
    dial_in(way, ring);
    serve_until([&] { return collector_->size() == 1; });
}

TEST_F(Collector, LeavesNothing) {
    const test::leak_check leaks;
    start();
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(dial(name_), status::ok);
    }
    serve_until([&] { return ends_.size() == 10; });
    collector_.reset();
}

TEST_F(Collector, OneThatIsDialedInStaysSo) {
    start();
    zbq::producer ring(small);
    zbq::dialing way(name_);
    dial_in(way, ring);
    const std::optional<std::uint32_t> slot = way.step(ring);
    for (int i = 0; i < 5; ++i) {
        serve();
        EXPECT_EQ(way.step(ring), slot);
    }
    EXPECT_EQ(joins_, 1);
    EXPECT_EQ(ring.statistics().joined, 1U);
}

TEST_F(Collector, AForkedChildDoesNothing) {
    start();
    zbq::producer ring(small);
    zbq::dialing way(name_);
    dial_in(way, ring);
    serve_until([&] { return joins_ == 1; });
    settle();
    ASSERT_EQ(ring.try_publish(bytes("x")), status::ok);
    test::child child([&] { return serve() == 0 && got_.empty() && !way.step(ring) ? 0 : 1; });
    EXPECT_EQ(child.wait(), 0);
    serve_until([&] { return !got_.empty(); });
}

TEST_F(Collector, WhatItsUserThrowsLosesNothingOfOthers) {
    start();
    zbq::producer one(small);
    zbq::producer other(small);
    zbq::dialing one_way(name_, {.name = "one"});
    zbq::dialing other_way(name_, {.name = "other"});
    dial_in(one_way, one);
    dial_in(other_way, other);
    settle();
    ASSERT_EQ(one.try_publish(bytes("x")), status::ok);
    ASSERT_EQ(other.try_publish(bytes("y")), status::ok);
    ASSERT_EQ(collector_->wait(zbq::in(std::chrono::seconds(60))), status::ok);
    EXPECT_THROW(collector_->serve([](const zbq::source &, zbq::message_batch &) { throw 1; }),
                 int);
    EXPECT_EQ(collector_->wait(zbq::now), status::ok); // it has something to do
    serve_until([&] { return got_.size() == 1; });     // the one that was visited is gone
}

// The caller's event comes first.
TEST_F(Collector, WhatAcceptThrowsLosesNoSource) {
    bool throws = false;
    start({.accept = [&throws](const zbq::caller &) { return throws ? throw 1 : true; }});
    zbq::producer ring(small);
    zbq::dialing way(name_);
    dial_in(way, ring);
    settle();
    throws = true;
    const zbq::unique_fd caller = connect_to(name_);
    ASSERT_TRUE(
        zbq::detail::send_packet(caller.get(), zbq::detail::make_call(ZBQ_WAKEUP_PUSH, "x")));
    ASSERT_EQ(ring.try_publish(bytes("kept")), status::ok);
    const auto use = [](const zbq::source &, zbq::message_batch &) {};
    EXPECT_THROW(collector_->serve(use), int);
    serve_until([&] { return !got_.empty(); });
}

TEST_F(Collector, WhatItsUserThrowsForOneStarvesNobody) {
    start();
    zbq::producer bad(small);
    zbq::producer good(small);
    zbq::dialing bad_way(name_, {.name = "bad"});
    zbq::dialing good_way(name_, {.name = "good"});
    dial_in(bad_way, bad);
    dial_in(good_way, good);
    settle();
    for (int i = 0; i < 100; ++i) {
        ASSERT_EQ(bad.try_publish(bytes("x")), status::ok);
    }
    ASSERT_EQ(good.try_publish(bytes("y")), status::ok);
    int good_turns = 0;
    for (int i = 0; i < 10 && good_turns == 0; ++i) {
        try {
            collector_->serve([&](const zbq::source &from, zbq::message_batch &) {
                from.who().name == "good" ? ++good_turns : throw 1;
            });
        } catch (int) { // of the other
        }
    }
    EXPECT_EQ(good_turns, 1);
}

TEST_F(Collector, WhatOnJoinThrowsIsNoRefusal) {
    int refusals = 0;
    collector_.emplace(
        name_,
        zbq::collector_options{
            .on_join = [](const zbq::source &) { throw zbq::error(status::io, "of a user"); },
            .on_refusal = [&](const zbq::caller &, status) { ++refusals; }});
    zbq::producer ring(small);
    zbq::dialing way(name_);
    EXPECT_EQ(thrown_by([&] {
                  serve_until([&] {
                      way.step(ring);
                      return false;
                  });
              }),
              status::io);
    EXPECT_EQ(collector_->size(), 1U);
    EXPECT_EQ(refusals, 0);
}

TEST_F(Collector, TurnsOfNothingAreOfOne) {
    start({.turn = 0, .hold = std::chrono::nanoseconds::max()});
    zbq::producer ring(small);
    zbq::dialing way(name_, {.name = "one"});
    dial_in(way, ring);
    ASSERT_EQ(ring.try_publish(bytes("x")), status::ok);
    ASSERT_EQ(ring.try_publish(bytes("y")), status::ok);
    serve_until([&] { return got_["one"].size() == 2; });
}

// One who was not answered, and has gone: a child's copy of the line keeps nothing in the watch.
TEST_F(Collector, ALineForgetsASocketBeforeItIsClosed) {
    const auto watched_by = [](int epoll) {
        std::ifstream info("/proc/self/fdinfo/" + std::to_string(epoll));
        const std::string text(std::istreambuf_iterator<char>(info), {});
        int count = 0;
        for (std::size_t at = text.find("tfd:"); at != std::string::npos;
             at = text.find("tfd:", at + 1)) {
            ++count;
        }
        return count;
    };
    const zbq::detail::named_socket mute = zbq::detail::listen_at(
        zbq::detail::place_of(name_, zbq::detail::directory_use::create), 0600);
    zbq::producer ring(small);
    zbq::dialing way(name_);
    const int before = watched_by(way.event_fd());
    way.step(ring);
    ASSERT_EQ(watched_by(way.event_fd()), before + 1);
    const test::step_pipe steps;
    test::child child([&] {
        steps.receive();
        return 0;
    });
    zbq::unique_fd(accept(mute.socket.get(), nullptr, nullptr)).reset();
    way.step(ring);
    EXPECT_EQ(watched_by(way.event_fd()), before);
    steps.send(1);
    EXPECT_EQ(child.wait(), 0);
}

TEST_F(Collector, WhereNoKeyCanBeMadeItGoesOn) {
    start();
    zbq::producer ring(small);
    zbq::dialing way(name_);
    dial_in(way, ring);
    settle();
    ASSERT_EQ(ring.try_publish(bytes("bad")), status::ok);
    ASSERT_EQ(ring.try_publish(bytes("good")), status::ok);
    const auto key_of = [](const zbq::message &message) {
        return text_of(message.payload()) == "good" ? std::uint64_t{0} : throw 1;
    };
    std::size_t given = 0;
    const auto serve_in_order = [&] {
        given += collector_->serve_in_order(key_of, [](const zbq::source &, zbq::message &) {});
    };
    ASSERT_EQ(collector_->wait(zbq::in(std::chrono::seconds(60))), status::ok);
    EXPECT_THROW(serve_in_order(), int);
    ASSERT_EQ(collector_->wait(zbq::now), status::ok);
    serve_in_order();
    EXPECT_EQ(given, 1U);
}

// ---- a line that stays ----

TEST_F(Collector, AnAttachedLineDialsAgain) {
    zbq::producer ring(small);
    zbq::dialing way(name_, {.name = "faithful"});
    ring.attach(way);
    ASSERT_EQ(ring.publish(bytes("early"), zbq::never), status::ok);
    for (int i = 1; i <= 2; ++i) { // what the ring still has comes to each collector
        start();
        serve_until([&] {
            EXPECT_EQ(ring.publish(bytes("more"), zbq::never), status::ok);
            return way.is_dialed_in(ring) && !got_["faithful"].empty();
        });
        EXPECT_EQ(got_["faithful"][0], "early");
        got_.clear();
        collector_.reset();
        ASSERT_EQ(ring.serve_until(zbq::in(std::chrono::seconds(60)), // it looks by itself
                                   [&] { return !way.is_dialed_in(ring); }),
                  status::ok);
        const zbq::consumer other = test::join(ring); // in its slot
        EXPECT_FALSE(way.is_dialed_in(ring));
    }
}

TEST_F(Collector, ADetachedLineIsServedNoMore) {
    start();
    zbq::producer ring(small);
    zbq::dialing way(name_);
    ring.attach(way);
    ring.detach(way);
    EXPECT_EQ(ring.serve_until(zbq::in(std::chrono::milliseconds(20)),
                               [&] { return way.is_dialed_in(ring); }),
              status::again);
    serve();
    EXPECT_EQ(joins_, 0);
    EXPECT_FALSE(way.has_met());
}

TEST_F(Collector, AProducerTellsWhatItsLineThrew) {
    start({.accept = [](const zbq::caller &) { return false; }});
    zbq::producer ring(small);
    zbq::dialing way(name_);
    ring.attach(way);
    serve_until([&] {
        EXPECT_EQ(ring.publish(bytes("x"), zbq::never), status::ok); // that goes on
        return !refusals_.empty();
    });
    EXPECT_EQ(thrown_by([&] {
                  static_cast<void>(
                      ring.serve_until(zbq::in(std::chrono::seconds(60)), [] { return false; }));
              }),
              status::refused);
}

// ---- threads ----

TEST_F(Collector, EachThreadHasAProducer) {
    start();
    zbq::thread_producers trace(name_, small, {.name = "threads"});
    std::vector<std::thread> threads;
    threads.reserve(16);
    for (int i = 0; i < 16; ++i) {
        threads.emplace_back([&trace, i] {
            for (int j = 0; j < 1000; ++j) {
                const std::string text = std::to_string(i * 1000 + j);
                EXPECT_EQ(trace.mine().publish(bytes(text), zbq::never), status::ok);
            }
        });
    }
    serve_until([&] { return ends_.size() == 16; });
    for (std::thread &thread : threads) {
        thread.join();
    }
    EXPECT_EQ(joins_, 16);
    const std::vector<std::string> &all = got_["threads"];
    EXPECT_EQ(all.size(), 16'000U);
    EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 16'000U);
}

TEST_F(Collector, AThreadsProducerStaysWithIt) {
    zbq::thread_producers trace(name_, small, {}, std::chrono::nanoseconds(0));
    zbq::producer *const first = &trace.mine();
    EXPECT_EQ(&trace.mine(), first);
    zbq::thread_producers other(name_, small, {}, std::chrono::nanoseconds(0));
    EXPECT_NE(&other.mine(), first);
    const zbq::ring_id id = first->id();
    std::thread([&] { EXPECT_NE(trace.mine().id(), id); }).join();
    EXPECT_EQ(&trace.mine(), first);
    test::child child([&] { return trace.mine().id() != id ? 0 : 1; });
    EXPECT_EQ(child.wait(), 0);
}

TEST_F(Collector, ProducersOfThreadsLeaveNothing) {
    const test::leak_check leaks;
    for (int i = 0; i < 3; ++i) {
        zbq::thread_producers trace(name_, small, {}, std::chrono::nanoseconds(0));
        trace.mine();
        std::thread([&] { trace.mine(); }).join();
    }
}

// Threads that stay, of objects that go.
TEST_F(Collector, ThreadsKeepNoProducerOfWhatHasGone) {
    std::optional<zbq::thread_producers> trace;
    const auto make = [&] {
        trace.emplace(name_, small, zbq::dial_options{}, std::chrono::nanoseconds(0));
    };
    const auto use = [&] { trace->mine(); };
    std::vector<test::step_pipe> asked(2);
    const test::step_pipe done;
    std::vector<std::thread> stay;
    stay.reserve(asked.size());
    for (const test::step_pipe &each : asked) {
        stay.emplace_back([&] {
            while (each.receive() != 0) {
                use();
                done.send(1);
            }
        });
    }
    const auto use_in_each = [&] {
        make();
        for (const test::step_pipe &each : asked) {
            each.send(1);
            done.receive();
        }
    };
    use_in_each();
    {
        const test::leak_check leaks;
        for (int i = 0; i < 3; ++i) {
            use_in_each();
        }
    }
    for (const test::step_pipe &each : asked) {
        each.send(0);
    }
    for (std::thread &each : stay) {
        each.join();
    }
}

// Which ends after the main thread's own.
TEST_F(Collector, ProducersOfThreadsMayBeStatic) {
    test::child child([&] {
        static zbq::thread_producers trace(name_, small, {}, std::chrono::nanoseconds(0));
        trace.mine();
        std::exit(0); // NOLINT(concurrency-mt-unsafe): it has one thread
        return 1;
    });
    EXPECT_EQ(child.wait(), 0);
}

} // namespace
