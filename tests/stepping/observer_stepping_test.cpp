// SPDX-License-Identifier: MIT
//
// An observer's looks, one instruction at a time. At each the producer overwrites what it looks at,
// or all that there is; then it goes on. What it takes for whole is whole, it is told exactly what
// it has missed, and it never takes the producer for one that breaks the protocol. One that does
// keeps no look, and is found out.
#include "consumer.hpp"
#include "instants.hpp"
#include "producer.hpp"
#include "stepped.hpp"
#include "stream.hpp"
#include "support/leaks.hpp"
#include "support/process.hpp"
#include "support/stepper.hpp"

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <ostream>
#include <poll.h>
#include <zbq/inline.h>

namespace {

using test::page;

constexpr std::uint64_t first = 3; // the number of the first message for it

// ---- in the traced process ----

struct observing {
    test::consumer_ptr cons;
    bool in_haste = false;      // it may be overtaken again and again
    std::uint64_t head = 0;     // before the operation
    std::uint64_t position = 0; // all before it was given, skipped, or told as lost
    zbq_loss lost = {};         // up to there
    int result = ZBQ_OK;
    zbq_msg_view view = {};
    bool whole = false; // what was copied
    alignas(ZBQ_MSG_ALIGN) char bytes[page] = {};
};

class scene;

struct operation {
    const char *name;
    zbq_wakeup_mode mode;
    void (*arrange)(scene &); // what the producer does before it
    void (*before)(observing &);
    void (*run)(observing &);
    void (*judge)(observing &); // what it gave
};

void PrintTo(const operation &what, std::ostream *out) {
    *out << what.name;
}

std::uint64_t newly_lost(const observing &side) {
    zbq_loss now = {};
    CHILD_CHECK(zbq_consumer_lost(side.cons.get(), &now) == ZBQ_OK);
    CHILD_CHECK((now.bytes != side.lost.bytes) == (now.times != side.lost.times));
    return now.bytes - side.lost.bytes;
}

void go_on_from(observing &side, std::uint64_t position) {
    side.position = position;
    zbq_consumer_lost(side.cons.get(), &side.lost);
}

// Copied, then asked whether it was whole: as who observes reads.
void copy_viewed(observing &side) {
    if (side.result == ZBQ_OK) {
        std::memcpy(side.bytes, side.view.header, side.view.total_len);
        const zbq_read_window *window = zbq_consumer_window(side.cons.get());
        side.whole = zbq_window_valid_from(window, side.view.logical_offset);
    }
}

void next(observing &side) {
    side.result = zbq_consumer_next(side.cons.get(), &side.view);
    copy_viewed(side);
}

void inline_next(observing &side) {
    side.result = zbq_window_next(zbq_consumer_window(side.cons.get()), &side.view);
    copy_viewed(side);
}

void peek(observing &side) {
    side.result = zbq_consumer_peek(side.cons.get(), &side.view);
    copy_viewed(side);
}

void copy(observing &side) {
    zbq_msg_copy copied = {};
    side.result = zbq_consumer_copy(side.cons.get(), side.bytes + sizeof copied.header,
                                    sizeof side.bytes - sizeof copied.header, &copied);
    if (side.result == ZBQ_OK) {
        std::memcpy(side.bytes, &copied.header, sizeof copied.header);
        side.view.logical_offset = copied.logical_offset;
        side.view.payload_len = copied.header.payload_len;
        side.view.total_len = sizeof copied.header + copied.header.payload_len;
        side.whole = true;
    }
}

// The next message, but for what is told as lost.
void judge_message(observing &side) {
    CHILD_CHECK(side.result == ZBQ_OK || (side.in_haste && side.result == ZBQ_ERROR_AGAIN));
    if (side.result != ZBQ_OK) {
        return;
    }
    CHILD_CHECK(side.view.logical_offset == side.position + newly_lost(side));
    const std::optional<std::uint64_t> number = test::number_at(side.view.logical_offset);
    CHILD_CHECK(number && side.view.payload_len == test::payload_of(*number).size());
    zbq_msg_view copied = side.view;
    copied.header = reinterpret_cast<const zbq_msg_header *>(side.bytes);
    copied.payload = copied.header + 1;
    CHILD_CHECK(!side.whole || test::is_message(copied, *number));
    go_on_from(side, test::offset_of(*number + 1));
}

void judge_peeked(observing &side) {
    judge_message(side);
    if (side.result == ZBQ_OK) {
        go_on_from(side, side.view.logical_offset); // it is still to be read
    }
}

template <zbq_seek_to to>
void seek(observing &side) {
    side.result = zbq_consumer_seek(side.cons.get(), to);
}

std::uint64_t last_before(std::uint64_t head) {
    return test::offset_of(test::number_at(head).value_or(1) - 1);
}

// To where it was asked for, before the producer went on or after. What is skipped on the way there
// is not lost.
template <zbq_seek_to to>
void judge_seek(observing &side) {
    CHILD_CHECK(side.result == ZBQ_OK || (side.in_haste && side.result == ZBQ_ERROR_AGAIN));
    const std::uint64_t tail = zbq_consumer_tail(side.cons.get());
    const std::uint64_t oldest = side.position + newly_lost(side);
    const std::uint64_t head = zbq_consumer_acquire_head(side.cons.get());
    CHILD_CHECK(test::number_at(tail) && test::number_at(oldest));
    if (side.result != ZBQ_OK) {
        return;
    }
    const bool goes_back = to == ZBQ_SEEK_OLDEST && oldest == side.position;
    CHILD_CHECK(goes_back ? tail <= oldest : tail >= oldest);
    CHILD_CHECK(to != ZBQ_SEEK_OLDEST || goes_back || tail == oldest);
    if (to == ZBQ_SEEK_HEAD && !side.in_haste) {
        CHILD_CHECK(tail == side.head || tail == head);
    }
    if (to == ZBQ_SEEK_NEWEST && !side.in_haste) {
        CHILD_CHECK(tail == last_before(side.head) || tail == last_before(head));
    }
    go_on_from(side, tail);
}

void nothing(observing & /*unused*/) {}

void read_one(observing &side) {
    next(side);
    judge_message(side);
    zbq_consumer_publish(side.cons.get(), side.position);
}

void resume_at_newest(observing &side) {
    CHILD_CHECK(zbq_consumer_set_resume(side.cons.get(), ZBQ_SEEK_NEWEST) == ZBQ_OK);
}

// While the producer stands still.
void read_on(observing &side) {
    side.in_haste = false;
    for (next(side); side.result == ZBQ_OK; next(side)) {
        CHILD_CHECK(side.whole);
        judge_message(side);
        zbq_consumer_publish(side.cons.get(), side.position);
    }
    CHILD_CHECK(side.result == ZBQ_ERROR_AGAIN);
    CHILD_CHECK(side.position == zbq_consumer_acquire_head(side.cons.get()));
    CHILD_CHECK(newly_lost(side) == 0);
    CHILD_CHECK(zbq_consumer_ending(side.cons.get(), nullptr) == ZBQ_ENDING_NONE);
}

void watch(observing &side) {
    CHILD_CHECK(zbq_consumer_event_fd(side.cons.get()) >= 0);
}

// There was nothing before.
void judge_look(observing &side) {
    if (side.result == ZBQ_OK) {
        judge_message(side);
        return;
    }
    CHILD_CHECK(side.result == ZBQ_ERROR_AGAIN);
    if (zbq_consumer_acquire_head(side.cons.get()) != side.position) {
        pollfd told = {zbq_consumer_event_fd(side.cons.get()), POLLIN, 0};
        CHILD_CHECK(poll(&told, 1, -1) == 1);
    }
}

void spin(observing &side) {
    side.result = zbq_consumer_spin(side.cons.get(), UINT64_MAX);
}

void judge_malformed(observing &side) {
    CHILD_CHECK(side.result == ZBQ_ERROR_PROTOCOL);
    CHILD_CHECK(zbq_consumer_ending(side.cons.get(), nullptr) == ZBQ_ENDING_MALFORMED);
}

// And it finds out what the producer is.
void judge_too_late(observing &side) {
    CHILD_CHECK(side.result == ZBQ_ERROR_AGAIN);
    next(side);
    judge_malformed(side);
}

int observe(const operation &what, const test::unique_fd &socket, bool in_haste) {
    observing side;
    zbq_consumer *cons = nullptr;
    CHILD_CHECK(zbq_consumer_join(socket.get(), what.mode, &cons) == ZBQ_OK);
    side.cons.reset(cons);
    side.position = zbq_consumer_tail(cons);
    test::mark();
    what.before(side);
    side.in_haste = in_haste;
    side.head = zbq_consumer_acquire_head(cons);
    test::mark();
    what.run(side);
    test::mark();
    what.judge(side);
    if (side.result != ZBQ_ERROR_PROTOCOL) { // else nothing more comes
        read_on(side);
    }
    return 0;
}

// ---- here ----

class scene {
    test::socket_pair sockets_ = test::make_sockets();
    const operation &what_;
    const bool in_haste_;
    test::stepper observer_; // forked before there is a producer to inherit

public:
    explicit scene(const operation &what, bool in_haste = false)
        : what_(what), in_haste_(in_haste), observer_([this] { return be_the_observer(); }) {
        put(first);
        std::uint32_t slot = 0;
        EXPECT_EQ(
            zbq_producer_handshake(prod_.get(), sockets_.producer_end.get(), what.mode, &slot),
            ZBQ_OK);
        sockets_ = {};
        EXPECT_TRUE(observer_.run_to_mark());
        what.arrange(*this);
        EXPECT_TRUE(observer_.run_to_mark());
    }

    [[nodiscard]] test::stepper &observer() { return observer_; }

    void put(std::uint64_t count) { // nobody is in the way
        for (; count != 0; --count) {
            EXPECT_TRUE(test::put(prod_.get(), next_));
            ++next_;
        }
    }
    // Further than what lies at an offset, and than what was overwritten so far; and it writes what
    // it does not commit.
    void overwrite_past(std::uint64_t offset) {
        const std::uint64_t floor = std::max(offset, prod_->control->floor);
        while (prod_->control->floor <= floor) {
            put(1);
        }
        EXPECT_TRUE(test::prepare(prod_.get(), next_, 2));
    }
    [[nodiscard]] std::uint64_t head() const { return prod_->control->producer_head; }
    // Whatever it says, past the library.
    void say(std::uint64_t head, std::uint64_t floor) const {
        __atomic_store_n(&prod_->control->producer_head, head, __ATOMIC_RELEASE);
        __atomic_store_n(&prod_->control->floor, floor, __ATOMIC_RELEASE);
    }

private:
    int be_the_observer() {
        sockets_.producer_end.reset();
        return observe(what_, sockets_.consumer_end, in_haste_);
    }

    test::producer_ptr prod_ = test::make_producer({.capacity = page, .max_consumers = 1});
    std::uint64_t next_ = 0; // the number of the message that it commits next
};

void put_none(scene & /*unused*/) {}

void put_some(scene &now) {
    now.put(5);
}

void overwrite_what_it_looks_at(scene &now) {
    now.overwrite_past(test::offset_of(first + 1));
}

void overwrite_all(scene &now) {
    now.overwrite_past(now.head());
}

const operation operations[] = {
    {"next", ZBQ_OBSERVE_PULL, put_some, nothing, next, judge_message},
    {"next_of_known", ZBQ_OBSERVE_PUSH, put_some, read_one, next, judge_message},
    {"inline_next_of_known", ZBQ_OBSERVE_PULL, put_some, read_one, inline_next, judge_message},
    {"next_once_lapped", ZBQ_OBSERVE_PUSH, overwrite_all, nothing, next, judge_message},
    {"next_at_newest", ZBQ_OBSERVE_PULL, overwrite_all, resume_at_newest, next, judge_message},
    {"look_of_one_who_polls", ZBQ_OBSERVE_PUSH, put_none, watch, next, judge_look},
    {"peek", ZBQ_OBSERVE_PUSH, put_some, nothing, peek, judge_peeked},
    {"copy", ZBQ_OBSERVE_PUSH, put_some, nothing, copy, judge_message},
    {"copy_of_known", ZBQ_OBSERVE_PULL, put_some, read_one, copy, judge_message},
    {"seek_oldest", ZBQ_OBSERVE_PULL, put_some, nothing, seek<ZBQ_SEEK_OLDEST>,
     judge_seek<ZBQ_SEEK_OLDEST>},
    {"seek_newest", ZBQ_OBSERVE_PUSH, put_some, nothing, seek<ZBQ_SEEK_NEWEST>,
     judge_seek<ZBQ_SEEK_NEWEST>},
    {"seek_head", ZBQ_OBSERVE_PULL, put_some, nothing, seek<ZBQ_SEEK_HEAD>,
     judge_seek<ZBQ_SEEK_HEAD>},
};

// ---- what is to hold ----

class ObserverStepping : public test::stepped<testing::TestWithParam<operation>> {
protected:
    static std::uint64_t count_instructions() {
        scene whole(GetParam());
        while (whole.observer().step()) {
        }
        return whole.observer().instructions();
    }

    static void overtake(void (*overwrite)(scene &)) {
        const test::leak_check leaks;
        const std::uint64_t instructions = count_instructions();
        RecordProperty("instructions", std::to_string(instructions));
        for (const std::uint64_t instant : test::instants(instructions)) {
            scene now(GetParam());
            now.observer().stop_at(instant);
            overwrite(now);
            EXPECT_EQ(now.observer().finish(), 0);
            ASSERT_FALSE(HasFailure()) << "overtaken after " << instant;
        }
    }
};

TEST_P(ObserverStepping, OvertakenAtAnyInstructionItMissesWhatItIsToldOf) {
    overtake(overwrite_what_it_looks_at);
}

TEST_P(ObserverStepping, LappedAtAnyInstructionItMissesWhatItIsToldOf) {
    overtake(overwrite_all);
}

// Quicker than it can look.
TEST_P(ObserverStepping, OvertakenAgainAndAgainItComesBack) {
    const test::leak_check leaks;
    const std::uint64_t apart = count_instructions() / 40; // however many a compiler makes of it
    scene now(GetParam(), true);
    do {
        overwrite_what_it_looks_at(now);
    } while (!HasFailure() && now.observer().stop_at(now.observer().instructions() + apart));
    RecordProperty("instructions", std::to_string(now.observer().instructions()));
    EXPECT_EQ(now.observer().finish(), 0);
}

INSTANTIATE_TEST_SUITE_P(Each, ObserverStepping, testing::ValuesIn(operations),
                         [](const auto &each) { return std::string(each.param.name); });

// ---- a producer that commits nothing, and says that it does ----

// With the floor above any head that was there before.
void rise(scene &now) {
    const std::uint64_t floor = now.head() + ZBQ_MSG_ALIGN;
    now.say(floor + ZBQ_MSG_ALIGN, floor);
}

class HostileStepping : public test::stepped<testing::Test> {
protected:
    // How many instructions it was.
    static std::uint64_t lap_a_look_at_each() {
        const operation looking = {"look", ZBQ_OBSERVE_PUSH, put_none, nothing,
                                   next,   judge_too_late};
        scene now(looking);
        do {
            rise(now);
        } while (now.observer().step());
        now.say(1, 0);
        EXPECT_EQ(now.observer().finish(), 0);
        return now.observer().instructions();
    }
};

TEST_F(HostileStepping, LappedAtEachInstructionALookComesBack) {
    RecordProperty("instructions", std::to_string(lap_a_look_at_each()));
}

// For longer than a look.
TEST_F(HostileStepping, LappedAtEachInstructionASpinGoesOn) {
    const std::uint64_t enough = 2 * lap_a_look_at_each();
    const operation spinning = {"spin", ZBQ_OBSERVE_PUSH, put_none, nothing, spin, judge_malformed};
    scene now(spinning);
    do {
        rise(now);
        ASSERT_TRUE(now.observer().step());
    } while (now.observer().instructions() < enough);
    now.say(1, 0);
    EXPECT_EQ(now.observer().finish(), 0);
}

// Each head, and each floor with it, can be.
TEST_F(HostileStepping, AFloorThatFallsDuringALookIsMalformed) {
    const operation looking = {"look", ZBQ_OBSERVE_PULL, put_none, nothing, next, judge_malformed};
    scene now(looking);
    std::uint64_t floor = std::uint64_t{1} << 32U;
    do {
        floor -= ZBQ_MSG_ALIGN;
        now.say(floor + page / 2, floor);
    } while (now.observer().step());
    EXPECT_EQ(now.observer().finish(), 0);
}

} // namespace
