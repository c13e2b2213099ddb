// SPDX-License-Identifier: MIT
//
// A consumer's operations, one instruction at a time. After each, all that the producer and the
// other consumers may rely on holds; at each it is killed, or stands still until it is evicted,
// and the others lose nothing, its slot is free again, and it learns what has become of it.
#include "consumer.hpp"
#include "instants.hpp"
#include "invariants.hpp"
#include "producer.hpp"
#include "stepped.hpp"
#include "stream.hpp"
#include "support/descriptors.hpp"
#include "support/leaks.hpp"
#include "support/process.hpp"
#include "support/stepper.hpp"

#include <cstring>
#include <gtest/gtest.h>
#include <ostream>

namespace {

using test::page;
using test::reader;

constexpr std::uint64_t first = 3; // the number of the first message for it
constexpr unsigned several = 3;
constexpr int evicted = 100; // its exit status, with the reason

// ---- in the traced process ----

struct consuming {
    test::unique_fd socket;
    zbq_consumer *cons = nullptr;
    zbq_msg_view view = {};
    int result = ZBQ_OK;
};

class scene;

struct operation {
    const char *name;
    void (*before)(consuming &);
    void (*run)(consuming &);
    void (*after)(consuming &); // whatever happened meanwhile
    void (*arrange)(scene &);   // what the producer does before it
    // What comes in the wrong order, seen at an instant of it; empty: nothing.
    std::string (*disorder)(const scene &);
    std::uint64_t releases = 0; // messages
    bool joins = false;         // it is the join
};

void PrintTo(const operation &what, std::ostream *out) {
    *out << what.name;
}

void join(consuming &side) {
    CHILD_CHECK(zbq_consumer_join(side.socket.get(), ZBQ_WAKEUP_PUSH, &side.cons) == ZBQ_OK);
}

int learn_its_fate(const consuming &side) {
    uint32_t reason = 0;
    if (zbq_consumer_ending(side.cons, &reason) == ZBQ_ENDING_NONE) {
        CHILD_CHECK(zbq_consumer_valid(side.cons));
        return 0;
    }
    zbq_msg_view view = {};
    CHILD_CHECK(!zbq_consumer_valid(side.cons));
    CHILD_CHECK(zbq_consumer_peek(side.cons, &view) == ZBQ_ERROR_NOENT);
    return evicted + static_cast<int>(reason);
}

int consume(const operation &what, test::unique_fd socket) {
    consuming side;
    side.socket = std::move(socket);
    if (!what.joins) {
        join(side);
    }
    test::mark();
    what.before(side);
    test::mark();
    what.run(side);
    test::mark();
    what.after(side);
    return learn_its_fate(side);
}

// ---- here ----

// The producer and two other consumers.
class scene {
    test::socket_pair sockets_ = test::make_sockets();
    const operation &what_;
    test::stepper consumer_; // forked before there is a producer to inherit

public:
    explicit scene(const operation &what)
        : what_(what), consumer_([this] { return be_the_consumer(); }) {
        while (next < first) {
            EXPECT_TRUE(put());
        }
        EXPECT_EQ(
            zbq_producer_handshake(prod.get(), sockets_.producer_end.get(), ZBQ_WAKEUP_PUSH, &slot),
            ZBQ_OK);
        sockets_ = {};
        others.push_back(admit(ZBQ_WAKEUP_PUSH));
        others.push_back(admit(ZBQ_WAKEUP_PULL));
        EXPECT_TRUE(consumer_.run_to_mark());
        what.arrange(*this);
        EXPECT_EQ(zbq_producer_scan(prod.get()), ZBQ_OK); // who they are
        EXPECT_TRUE(consumer_.run_to_mark());
    }

    [[nodiscard]] const operation &what() const { return what_; }
    [[nodiscard]] test::stepper &consumer() { return consumer_; }
    [[nodiscard]] const zbq::core::slot &of_it() const { return prod->slots[slot]; }
    [[nodiscard]] std::uint64_t tail() const { return of_it().page()->tail_offset; }

    bool put() {
        const bool done = test::put(prod.get(), next);
        next += done ? 1 : 0;
        return done;
    }
    reader admit(zbq_wakeup_mode mode) const {
        reader made;
        made.mode = mode;
        test::joined joined = test::join(prod.get(), mode);
        made.consumer = std::move(joined.consumer);
        made.slot = joined.slot;
        made.next = next;
        return made;
    }
    void others_read() {
        for (reader &who : others) {
            EXPECT_EQ(test::read(who), ZBQ_ERROR_AGAIN);
            EXPECT_EQ(who.next, next);
        }
    }

    test::producer_ptr prod = test::make_producer({.capacity = page, .max_consumers = 3});
    std::uint64_t next = 0; // the number of the message that it commits next
    std::uint32_t slot = 0;
    std::vector<reader> others;

private:
    int be_the_consumer() {
        sockets_.producer_end.reset();
        return consume(what_, std::move(sockets_.consumer_end));
    }
};

// ---- the operations ----

void nothing(consuming & /*unused*/) {}

std::string no_order(const scene & /*unused*/) {
    return "";
}

void put_some(scene &now) {
    for (int i = 0; i < 5; ++i) {
        EXPECT_TRUE(now.put());
    }
}

// The ring is full, and the producer asks to be told of room for one message more.
void await_room(scene &now) {
    EXPECT_GE(zbq_producer_event_fd(now.prod.get()), 0);
    while (now.put()) {
    }
    now.others_read();
    EXPECT_NE(now.prod->control->awaited_tail, 0U);
}

std::string disorder_of_ring(const scene &now) {
    const bool rang = test::readable(now.of_it().event.get());
    return rang && now.tail() < now.prod->control->awaited_tail
               ? "the bell is rung before the tail is published"
               : "";
}

std::string disorder_of_parking(const scene &now) {
    std::uint32_t bells = 0;
    EXPECT_EQ(zbq::core::socket_unread_by_peer(now.of_it().event.get(), &bells), 0);
    return bells != 0 && now.of_it().parking()->parked != 0
               ? "it is marked before it has taken the last bell off"
               : "";
}

std::string disorder_of_join(const scene &now) {
    return now.of_it().page()->progress_timestamp != 0 ? "progress before anything was read" : "";
}

void peek(consuming &side) {
    side.result = zbq_consumer_peek(side.cons, &side.view);
}

// What a peek gave is a message, or it was evicted and can know.
void judge(consuming &side) {
    if (side.result != ZBQ_OK) {
        CHILD_CHECK(side.result == ZBQ_ERROR_NOENT);
        return;
    }
    const std::string &wanted = test::payload_of(first);
    CHILD_CHECK(side.view.logical_offset == test::offset_of(first));
    CHILD_CHECK(side.view.payload_len == wanted.size());
    const bool whole = std::memcmp(side.view.payload, wanted.data(), wanted.size()) == 0;
    CHILD_CHECK(whole || !zbq_consumer_valid(side.cons));
}

void read_one(consuming &side) {
    peek(side);
    judge(side);
}

void read_several(consuming &side) {
    for (unsigned i = 0; i < several; ++i) {
        CHILD_CHECK(zbq_consumer_next(side.cons, &side.view) == ZBQ_OK);
    }
}

void publish(consuming &side) {
    zbq_consumer_publish(side.cons, side.view.logical_offset + side.view.total_len);
}

// Marks itself, finds nothing, naps, and gives up at once.
void wait_in_vain(consuming &side) {
    const uint32_t token = zbq_consumer_get_futex_token(side.cons);
    side.result = zbq_consumer_wait(side.cons, token, zbq::core::nap_ns + 1);
}

void watch(consuming &side) {
    CHILD_CHECK(zbq_consumer_event_fd(side.cons) >= 0);
}

void put_none(scene & /*unused*/) {}

const operation operations[] = {
    {"join", nothing, join, nothing, put_some, disorder_of_join, 0, true},
    {"peek", nothing, peek, judge, put_some, no_order},
    {"wait", nothing, wait_in_vain, nothing, put_none, no_order},
    {"look_of_one_who_polls", watch, peek, nothing, put_none, disorder_of_parking},
    {"publish", read_one, publish, nothing, put_some, no_order, 1},
    {"publish_of_several", read_several, publish, nothing, put_some, no_order, several},
    {"publish_that_rings", read_several, publish, nothing, await_room, disorder_of_ring, several},
};

// ---- what is to hold ----

// At one instant. It is let alone, however often the producer looks.
std::string flaw_now(scene &now, test::invariants &all) {
    std::string flaw = all.broken();
    if (flaw.empty()) {
        flaw = now.what().disorder(now);
    }
    const std::optional<std::uint64_t> released = test::number_at(now.tail());
    if (flaw.empty() && released != first && released != first + now.what().releases) {
        flaw = "it has released what it does not say";
    }
    EXPECT_EQ(zbq_producer_scan(now.prod.get()), ZBQ_OK);
    return flaw.empty() && test::stats(now.prod.get()).evicted[0] != 0 ? "it is evicted" : flaw;
}

// The others go on with the ring to themselves, and somebody else can have its slot.
void go_on_without_it(scene &now) {
    for (std::uint64_t end = now.next + 30; now.next < end;) { // more than the ring holds
        ASSERT_TRUE(now.put());
        now.others_read();
    }
    reader successor = now.admit(ZBQ_WAKEUP_PUSH);
    EXPECT_EQ(successor.slot, now.slot);
    ASSERT_TRUE(now.put());
    now.others_read();
    EXPECT_EQ(test::read(successor), ZBQ_ERROR_AGAIN);
    EXPECT_EQ(successor.next, now.next);
    EXPECT_EQ(test::stats(now.prod.get()).evicted[0], 1U);
}

class ConsumerStepping : public test::stepped<testing::TestWithParam<operation>> {
protected:
    static std::uint64_t count_instructions() {
        scene whole(GetParam());
        while (whole.consumer().step()) {
        }
        return whole.consumer().instructions();
    }
};

TEST_P(ConsumerStepping, EveryInstructionKeepsWhatTheProducerReliesOn) {
    const test::leak_check leaks;
    scene now(GetParam());
    test::invariants all(now.prod->control, now.prod->ring);
    all.add(now.of_it().page(), now.slot);
    for (const reader &who : now.others) {
        all.add(who.consumer->page(), who.slot);
    }
    do {
        ASSERT_EQ(flaw_now(now, all), "") << "after " << now.consumer().instructions();
    } while (now.consumer().step());
    RecordProperty("instructions", std::to_string(now.consumer().instructions()));
    EXPECT_EQ(test::number_at(now.tail()), first + now.what().releases);
    const uint32_t mark = now.what().before == watch ? zbq::core::parked_on_event : 0U;
    EXPECT_EQ(now.of_it().parking()->parked, mark); // one who polls stays marked
    EXPECT_EQ(now.consumer().finish(), 0);
    now.others_read();
}

// What this process has without what the producer holds for that consumer.
struct holdings {
    std::size_t descriptors = test::open_descriptors();
    std::size_t mappings = test::zbq_mappings();

    explicit holdings(const scene &now) {
        if (now.of_it().taken) {
            descriptors -= now.of_it().process ? 4 : 3; // sockets: an end of each, and a copy
            mappings -= 1;                              // its page
        }
        for (const zbq::core::unanswered_join &kept : now.prod->unanswered) {
            descriptors -= kept.side ? 1 : 0;
        }
    }
    bool operator==(const holdings &) const = default;
};

void kill_at(const operation &what, std::uint64_t instant) {
    scene now(what);
    const holdings without(now);
    now.consumer().kill_at(instant);
    EXPECT_EQ(test::scan_until_evicted(now.prod.get(), now.slot), uint32_t{ZBQ_EVICTION_DEAD});
    EXPECT_TRUE(holdings(now) == without);
    go_on_without_it(now);
}

TEST_P(ConsumerStepping, KilledAtAnyInstructionHarmsNobody) {
    const test::leak_check leaks;
    for (const std::uint64_t instant : test::instants(count_instructions())) {
        kill_at(GetParam(), instant);
        ASSERT_FALSE(HasFailure()) << "killed after " << instant;
    }
}

// In the end it is in the way.
void publish_until_evicted(scene &now) {
    now.prod->stall_timeout = 1; // not before: the producer would not wait while this is set up
    now.others_read();
    while (now.of_it().taken) {
        now.put();
        now.others_read();
    }
    zbq_consumer_info info = test::info(now.prod.get(), now.slot);
    EXPECT_EQ(info.eviction, uint32_t{ZBQ_EVICTION_STALLED});
}

void stop_at(const operation &what, std::uint64_t instant) {
    scene now(what);
    const holdings without(now);
    now.consumer().stop_at(instant);
    publish_until_evicted(now);
    EXPECT_TRUE(holdings(now) == without);
    go_on_without_it(now);
    EXPECT_EQ(now.consumer().finish(), evicted + ZBQ_EVICTION_STALLED); // it learns why
    now.others_read();
}

TEST_P(ConsumerStepping, StoppedAtAnyInstructionIsEvictedAndLearnsIt) {
    const test::leak_check leaks;
    for (const std::uint64_t instant : test::instants(count_instructions())) {
        stop_at(GetParam(), instant);
        ASSERT_FALSE(HasFailure()) << "stopped after " << instant;
    }
}

INSTANTIATE_TEST_SUITE_P(Each, ConsumerStepping, testing::ValuesIn(operations),
                         [](const auto &each) { return std::string(each.param.name); });

} // namespace
