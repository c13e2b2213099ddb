// SPDX-License-Identifier: MIT
//
// The producer's operations, one instruction at a time. After each, all that its consumers may
// rely on holds; at each it is killed, or stands still for a while, and they read what was
// committed, nothing else, and come to an end.
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

#include <gtest/gtest.h>
#include <ostream>
#include <poll.h>
#include <sys/socket.h>
#include <zbq/inline.h>

namespace {

using test::page;
using test::reader;

// Those who read in every scene, and one who joins in some.
enum : std::size_t { quick, slow, polling, observing, joining, all_readers };

constexpr std::size_t present[] = {quick, slow, polling, observing};

constexpr zbq_wakeup_mode modes[] = {ZBQ_WAKEUP_PUSH, ZBQ_WAKEUP_PUSH, ZBQ_WAKEUP_PULL,
                                     ZBQ_OBSERVE_PULL, ZBQ_WAKEUP_PUSH};

constexpr std::uint64_t messages_after = 3; // an operation

// ---- in the traced process ----

struct producing {
    const std::vector<test::unique_fd> &sockets; // to the readers
    test::producer_ptr prod;
    std::uint64_t next = 0;  // the number of the message that it commits next
    std::uint64_t bytes = 0; // that it has written
    test::unique_fd fd;      // to send

    void put() {
        CHILD_CHECK(test::put(prod.get(), next));
        ++next;
    }
    void admit(std::size_t who) const {
        uint32_t slot = 0;
        CHILD_CHECK(zbq_producer_handshake(prod.get(), sockets[who].get(), modes[who], &slot) ==
                    ZBQ_OK);
    }
};

class scene;

struct operation {
    const char *name;
    void (*before)(producing &);
    void (*run)(producing &);
    void (*arrange)(scene &); // what the readers do before it
    // What comes in the wrong order, seen at an instant of it; empty: nothing.
    std::string (*disorder)(const scene &);
    std::uint64_t commits = 0; // messages
    std::uint32_t evicts = 0;  // the slow reader, for this reason
    bool sends = false;        // a record with a descriptor
    bool admits = false;       // the joining reader
    bool ends = false;         // the stream
    bool fills = false;        // it begins with a full ring
};

void PrintTo(const operation &what, std::ostream *out) {
    *out << what.name;
}

void fill_ring(producing &side) {
    // Once all readers are evicted there is always room.
    while (test::offset_of(side.next) <= page && test::put(side.prod.get(), side.next)) {
        ++side.next;
    }
}

// The next message will lie across the ring's end.
void come_near_the_end(producing &side) {
    while (test::offset_of(side.next + 1) <= page) {
        side.put();
    }
}

int produce(const operation &what, const std::vector<test::unique_fd> &sockets,
            const test::step_pipe &address) {
    const std::uint64_t timeout = what.evicts == ZBQ_EVICTION_STALLED ? 1 : 0;
    producing side = {
        sockets,
        test::make_producer({.capacity = page, .stall_timeout_ns = timeout, .max_consumers = 5}),
        0,
        0,
        {}};
    address.send(reinterpret_cast<std::uintptr_t>(side.prod.get()));
    for (const std::size_t who : present) {
        side.admit(who);
    }
    what.fills ? fill_ring(side) : come_near_the_end(side);
    test::mark();
    what.before(side);
    test::mark();
    what.run(side);
    test::mark();
    side.next += what.commits;
    for (std::uint64_t i = 0; i < messages_after && !what.ends; ++i) {
        side.put();
    }
    return 0;
}

// ---- here ----

bool has_hung_up(int fd) {
    pollfd polled = {fd, 0, 0};
    return poll(&polled, 1, 0) == 1 && (polled.revents & POLLHUP) != 0;
}

class scene {
    std::vector<test::unique_fd> sockets_; // the producer's, to the readers

public:
    explicit scene(const operation &what)
        : what_(what), producer_([this] { return be_the_producer(); }) {
        sockets_.clear();
        EXPECT_TRUE(producer_.run_to_mark());
        producer_address_ = address_.receive();
        for (const std::size_t i : present) {
            EXPECT_EQ(test::try_join(readers[i]), ZBQ_OK);
            readers[i].slot = static_cast<std::uint32_t>(i);
        }
        what.arrange(*this);
        EXPECT_TRUE(producer_.run_to_mark());
        before = control();
        active_before_ = active_consumers();
    }

    [[nodiscard]] const operation &what() const { return what_; }
    [[nodiscard]] test::stepper &producer() { return producer_; }
    [[nodiscard]] const zbq_control_region &control() const {
        return *readers[quick].consumer->control();
    }
    [[nodiscard]] const zbq_consumer_metadata &page_of(std::size_t who) const {
        return *readers[who].consumer->page();
    }
    [[nodiscard]] std::uint32_t parked(std::size_t who) const {
        return readers[who].consumer->parking.place->parked;
    }
    [[nodiscard]] bool rang() const { return control().broadcast_futex != before.broadcast_futex; }
    [[nodiscard]] bool committed() const { return control().producer_head != before.producer_head; }
    // Once it is done, and so many more are committed.
    [[nodiscard]] std::uint64_t head_after(std::uint64_t more = 0) const {
        return test::offset_of(*test::number_at(before.producer_head) + what_.commits + more);
    }
    // How many it has lost or won, by its own account.
    [[nodiscard]] int admitted() const {
        return static_cast<int>(active_consumers()) - static_cast<int>(active_before_);
    }
    [[nodiscard]] bool has_joined(std::size_t who) const {
        return readers[who].consumer != nullptr;
    }

    std::vector<reader> readers = make_readers();
    zbq_control_region before = {};

private:
    std::vector<reader> make_readers() {
        std::vector<reader> made(all_readers);
        for (std::size_t i = 0; i < all_readers; ++i) {
            test::socket_pair pair = test::make_sockets(SOCK_SEQPACKET | SOCK_NONBLOCK);
            made[i].rendezvous = std::move(pair.consumer_end);
            made[i].mode = modes[i];
            sockets_.push_back(std::move(pair.producer_end));
        }
        return made;
    }
    int be_the_producer() {
        readers.clear();
        return produce(what_, sockets_, address_);
    }
    [[nodiscard]] std::uint32_t active_consumers() const {
        // NOLINTNEXTLINE(performance-no-int-to-ptr): in another process
        const auto *prod = reinterpret_cast<const zbq_producer *>(producer_address_);
        return static_cast<std::uint32_t>(
            producer_.peek(reinterpret_cast<std::uintptr_t>(&prod->active_count)));
    }

    const operation &what_;
    test::step_pipe address_;
    test::stepper producer_;
    std::uintptr_t producer_address_ = 0;
    std::uint32_t active_before_ = 0;
};

// ---- the operations ----

void nothing(producing & /*unused*/) {}

std::string no_order(const scene & /*unused*/) {
    return "";
}

// Makes room for the next message.
void all_read(scene &now) {
    for (const std::size_t who : present) {
        const bool reads_all = who == quick || who == observing;
        test::read(now.readers[who], reads_all ? UINT64_MAX : 8);
    }
}

void none_reads(scene & /*unused*/) {}

void all_but_the_slow_read(scene &now) {
    for (const std::size_t who : {quick, polling, observing}) {
        test::read(now.readers[who]);
    }
}

void park(reader &who, std::uint32_t how) {
    zbq::core::park_announce(who.consumer->parking.place, how);
    zbq::core::event_take(who.consumer->event.get()); // the bell of the join
}

void read_and_park(scene &now) {
    all_read(now);
    park(now.readers[quick], zbq::core::parked_on_futex);
    park(now.readers[slow], zbq::core::parked_on_event);
}

std::string disorder_of_waking(const scene &now, bool happened) {
    if ((now.parked(quick) == 0 || now.parked(slow) == 0) && !happened) {
        return "a mark is taken off before there is something to wake for";
    }
    if (test::readable(now.readers[slow].consumer->event.get()) && now.parked(slow) != 0) {
        return "a bell is sent before the mark is taken off";
    }
    return "";
}

std::string disorder_of_commit(const scene &now) {
    return now.rang() ? "a commit rings the bell" : disorder_of_waking(now, now.committed());
}

std::string disorder_of_leaving_alone(const scene &now) {
    if (now.parked(slow) == 0 && now.page_of(slow).quiet_until == 0) {
        return "a mark is taken off before its owner is told that it will be left alone";
    }
    return disorder_of_commit(now);
}

std::string disorder_of_broadcast(const scene &now) {
    for (const std::size_t who : {quick, slow}) {
        if (now.rang() && !test::readable(now.readers[who].consumer->side.get())) {
            return "the bell is rung before the record is sent";
        }
    }
    return disorder_of_waking(now, now.rang());
}

std::string disorder_of_eviction(const scene &now) {
    if (now.page_of(slow).eviction != 0) {
        return "";
    }
    if (now.admitted() < 0) {
        return "its tail is not counted, and it is not marked";
    }
    if (now.rang()) {
        return "the bell is rung before the mark";
    }
    const zbq_consumer &gone = *now.readers[slow].consumer;
    const bool hung_up_before = now.what().evicts == ZBQ_EVICTION_DEAD; // itself
    if (has_hung_up(gone.side.get()) || (!hung_up_before && has_hung_up(gone.event.get()))) {
        return "its sockets are closed before the mark";
    }
    return "";
}

std::string disorder_of_handshake(const scene &now) {
    const bool sent =
        now.has_joined(joining) || test::readable(now.readers[joining].rendezvous.get());
    return now.admitted() > 0 && !sent ? "it has the slot before the join is sent" : "";
}

std::string disorder_of_end(const scene &now) {
    if (now.control().closed != 0) {
        return disorder_of_waking(now, true);
    }
    for (const std::size_t who : {quick, slow, polling}) {
        if (has_hung_up(now.readers[who].consumer->event.get()) ||
            has_hung_up(now.readers[who].consumer->side.get())) {
            return "a socket is closed before the end is marked";
        }
    }
    return now.rang() ? "the bell is rung before the end is marked"
                      : disorder_of_waking(now, false);
}

void write(producing &side, unsigned count) {
    CHILD_CHECK(test::prepare(side.prod.get(), side.next, count));
    side.bytes = test::offset_of(side.next + count) - test::offset_of(side.next);
}

void write_one(producing &side) {
    write(side, 1);
}

constexpr unsigned several = 3;

void write_several(producing &side) {
    write(side, several);
}

void commit(producing &side) {
    CHILD_CHECK(zbq_producer_commit(side.prod.get(), side.bytes, ZBQ_COMMIT_NONE));
}

// The slow one's wake-ups have cost more than its share.
void write_one_in_debt(producing &side) {
    write_one(side);
    side.prod->slots[slow].wakes.credit = INT64_MIN / 64;
}

void watch(producing &side) {
    CHILD_CHECK(zbq_producer_event_fd(side.prod.get()) >= 0);
}

void await_room(producing &side) {
    zbq_contiguous_run run = {};
    const int result = zbq_producer_reserve(side.prod.get(), test::size_of(side.next), &run);
    CHILD_CHECK(result == ZBQ_OK || result == ZBQ_ERROR_AGAIN);
}

void write_and_commit(producing &side) {
    CHILD_CHECK(test::put(side.prod.get(), side.next));
}

void make_descriptor(producing &side) {
    side.fd = test::numbered(1);
}

void broadcast_one(producing &side) {
    const int fd = side.fd.get();
    CHILD_CHECK(zbq_producer_broadcast_fds(side.prod.get(), 1, &fd, 1) == ZBQ_OK);
}

void scan(producing &side) {
    CHILD_CHECK(zbq_producer_scan(side.prod.get()) == ZBQ_OK);
}

void admit_one(producing &side) {
    side.admit(joining);
}

void end(producing &side) {
    side.prod.reset();
}

const operation operations[] = {
    {"commit", write_one, commit, all_read, no_order, 1},
    {"commit_of_several", write_several, commit, all_read, no_order, several},
    {"commit_that_wakes", write_one, commit, read_and_park, disorder_of_commit, 1},
    {"commit_that_leaves_alone", write_one_in_debt, commit, read_and_park,
     disorder_of_leaving_alone, 1},
    {"publish", nothing, write_and_commit, all_read, no_order, 1},
    {"await_room", watch, await_room, none_reads, no_order, 0, 0, false, false, false, true},
    {"broadcast", make_descriptor, broadcast_one, read_and_park, disorder_of_broadcast, 0, 0, true},
    {"scan_that_evicts_the_dead", nothing, scan,
     [](scene &now) {
         all_read(now);
         shutdown(now.readers[slow].consumer->event.get(), SHUT_RDWR);
     },
     disorder_of_eviction, 0, ZBQ_EVICTION_DEAD},
    {"scan_that_evicts_a_cheat", nothing, scan,
     [](scene &now) {
         all_read(now);
         test::cheat_tail(now.readers[slow].consumer->page(), 8);
     },
     disorder_of_eviction, 0, ZBQ_EVICTION_PROTOCOL},
    {"publish_that_evicts_the_stalled", nothing, write_and_commit, all_but_the_slow_read,
     disorder_of_eviction, 1, ZBQ_EVICTION_STALLED, false, false, false, true},
    {"handshake", nothing, admit_one, all_read, disorder_of_handshake, 0, 0, false, true},
    {"end", nothing, end, read_and_park, disorder_of_end, 0, 0, false, false, true},
};

// ---- what is to hold ----

// An observer comes from anywhere, and reads on to the head, which stands still.
std::string flaw_observed(const reader &who, zbq_seek_to from, std::uint64_t *end) {
    zbq_consumer *cons = who.consumer.get();
    zbq_msg_view view = {};
    int result = zbq_consumer_seek(cons, from);
    *end = zbq_consumer_tail(cons);
    for (; result == ZBQ_OK; *end = zbq_consumer_window(cons)->cursor) {
        result = zbq_consumer_next(cons, &view);
        const std::optional<std::uint64_t> number = test::number_at(*end);
        if (result == ZBQ_OK && (!number || !test::is_message(view, *number) ||
                                 !zbq_window_valid_from(zbq_consumer_window(cons), *end))) {
            return "an observer reads something else than a message at " + std::to_string(*end);
        }
    }
    const int at_head = zbq_consumer_ctrl(cons)->closed != 0 ? ZBQ_ERROR_NOENT : ZBQ_ERROR_AGAIN;
    return result == at_head ? "" : "an observer does not come to the head";
}

std::string flaw_observed(const reader &who, std::uint64_t *end) {
    const std::string flaw = flaw_observed(who, ZBQ_SEEK_NEWEST, end);
    return flaw.empty() ? flaw_observed(who, ZBQ_SEEK_OLDEST, end) : flaw;
}

// At one instant.
std::string flaw_now(const scene &now, test::invariants &all) {
    std::string flaw = all.broken();
    for (const reader &who : now.readers) {
        if (!flaw.empty() || who.consumer == nullptr) {
            continue;
        }
        std::uint64_t end = 0;
        const bool observes = zbq_consumer_window(who.consumer.get())->observes != 0;
        flaw = observes ? flaw_observed(who, &end) : test::look(who, &end);
        const bool has_slot = who.consumer->page()->eviction == 0;
        if (flaw.empty() && has_slot && end != now.control().producer_head) {
            flaw = "a consumer does not read all that is committed";
        }
    }
    return flaw.empty() ? now.what().disorder(now) : flaw;
}

// As soon as the message is there.
void join_if_asked(scene &now, test::invariants &all) {
    reader &who = now.readers[joining];
    if (now.what().admits && who.consumer == nullptr && test::readable(who.rendezvous.get())) {
        ASSERT_EQ(test::try_join(who), ZBQ_OK);
        EXPECT_EQ(zbq_consumer_tail(who.consumer.get()), now.control().producer_head);
        EXPECT_EQ(who.consumer->page()->tail_offset, now.control().producer_head);
        EXPECT_TRUE(test::readable(who.consumer->event.get())); // look first of all
        EXPECT_FALSE(test::readable(who.consumer->side.get()));
        who.slot = joining;
        all.add(who.consumer->page(), who.slot);
    }
}

bool is_evicted(const reader &who) {
    return who.consumer->page()->eviction != 0;
}

// Up to the end of the stream, which is there.
void read_to_the_end(const scene &now, reader &who, std::uint64_t head, zbq_ending wanted) {
    const bool evicted = is_evicted(who);
    EXPECT_EQ(test::read(who), ZBQ_ERROR_NOENT);
    uint32_t reason = 0;
    const zbq_ending ending = zbq_consumer_ending(who.consumer.get(), &reason);
    if (evicted) {
        EXPECT_EQ(&who, &now.readers[slow]);
        EXPECT_EQ(ending, ZBQ_ENDING_EVICTED);
        EXPECT_EQ(reason, now.what().evicts);
    } else {
        EXPECT_EQ(ending, wanted);
        EXPECT_EQ(test::offset_of(who.next), head);
    }
}

// The one that was sent, or none: it never comes.
void collect_record(const reader &who, bool sent) {
    const test::collected got = test::collect(who.consumer.get(), 1);
    EXPECT_EQ(got.result, sent ? ZBQ_OK : ZBQ_ERROR_NOENT);
    EXPECT_EQ(got.numbers, sent ? std::vector<uint64_t>{1} : std::vector<uint64_t>{});
}

class ProducerStepping : public test::stepped<testing::TestWithParam<operation>> {
protected:
    static std::uint64_t count_instructions() {
        scene whole(GetParam());
        while (whole.producer().step()) {
        }
        return whole.producer().instructions();
    }
};

TEST_P(ProducerStepping, EveryInstructionKeepsWhatConsumersRelyOn) {
    const test::leak_check leaks;
    scene now(GetParam());
    test::invariants all(&now.control(), now.readers[quick].consumer->window.ring);
    for (const std::size_t who : present) {
        const bool cheats = who == slow && now.what().evicts == ZBQ_EVICTION_PROTOCOL;
        const bool counts = !cheats && who != observing; // its tail
        all.add(now.readers[who].consumer->page(), now.readers[who].slot, counts);
    }
    do {
        ASSERT_EQ(flaw_now(now, all), "") << "after " << now.producer().instructions();
        ASSERT_NO_FATAL_FAILURE(join_if_asked(now, all));
    } while (now.producer().step());
    RecordProperty("instructions", std::to_string(now.producer().instructions()));
    EXPECT_EQ(now.control().producer_head, now.head_after());
    EXPECT_EQ(now.page_of(slow).eviction, now.what().evicts);
    EXPECT_EQ(now.has_joined(joining), now.what().admits);
    EXPECT_EQ(now.control().closed != 0, now.what().ends);
}

// What was sent before it died comes.
void read_what_is_left(const scene &now, reader &who, bool record_sent) {
    const zbq_ending ending =
        now.control().closed != 0 ? ZBQ_ENDING_CLOSED : ZBQ_ENDING_PRODUCER_DIED;
    EXPECT_FALSE(zbq_consumer_is_producer_alive(who.consumer.get()));
    read_to_the_end(now, who, now.control().producer_head, ending);
    const uint32_t token = zbq_consumer_get_futex_token(who.consumer.get());
    EXPECT_EQ(zbq_consumer_wait_broadcast(who.consumer.get(), token),
              who.mode == ZBQ_WAKEUP_PUSH ? ZBQ_ERROR_NOENT : ZBQ_ERROR_INVALID);
    collect_record(who, record_sent);
}

bool has_record(const scene &now, const reader &who) {
    return now.what().sends && test::readable(who.consumer->side.get());
}

void kill_at(const operation &what, std::uint64_t instant) {
    scene now(what);
    now.producer().stop_at(instant);
    const bool asked = what.admits && test::readable(now.readers[joining].rendezvous.get());
    const bool sent[] = {has_record(now, now.readers[quick]), has_record(now, now.readers[slow]),
                         has_record(now, now.readers[polling]),
                         has_record(now, now.readers[observing])};
    now.producer().kill();
    const std::uint64_t head = now.control().producer_head;
    EXPECT_TRUE(head == now.before.producer_head || head == now.head_after());
    for (const std::size_t who : present) {
        read_what_is_left(now, now.readers[who], sent[who]);
    }
    EXPECT_EQ(test::try_join(now.readers[joining]), asked ? ZBQ_OK : ZBQ_ERROR_IO);
    if (asked) {
        read_what_is_left(now, now.readers[joining], false);
    }
}

TEST_P(ProducerStepping, KilledAtAnyInstructionLeavesWhatItCommitted) {
    const test::leak_check leaks;
    for (const std::uint64_t instant : test::instants(count_instructions())) {
        kill_at(GetParam(), instant);
        ASSERT_FALSE(HasFailure()) << "killed after " << instant;
    }
}

// What there is now is read, and there is no end. One that is to be evicted stays behind.
void read_what_there_is(scene &now) {
    for (reader &who : now.readers) {
        const bool to_go = &who == &now.readers[slow] && now.what().evicts != 0;
        if (who.consumer != nullptr && !to_go) {
            const int at_head = now.control().closed != 0 ? ZBQ_ERROR_NOENT : ZBQ_ERROR_AGAIN;
            EXPECT_EQ(test::read(who), at_head);
            EXPECT_EQ(test::offset_of(who.next), now.control().producer_head);
            EXPECT_TRUE(zbq_consumer_is_producer_alive(who.consumer.get()));
        }
    }
}

void stop_at(const operation &what, std::uint64_t instant) {
    scene now(what);
    now.producer().stop_at(instant);
    if (what.admits) {
        const int joined = test::try_join(now.readers[joining]);
        EXPECT_TRUE(joined == ZBQ_OK || joined == ZBQ_ERROR_AGAIN) << joined;
    }
    read_what_there_is(now);
    EXPECT_EQ(now.producer().finish(), 0); // from there on
    if (what.admits && !now.has_joined(joining)) {
        EXPECT_EQ(test::try_join(now.readers[joining]), ZBQ_OK);
    }
    const std::uint64_t head = now.head_after(what.ends ? 0 : messages_after);
    EXPECT_EQ(now.control().producer_head, head);
    for (reader &who : now.readers) {
        if (who.consumer != nullptr) {
            read_to_the_end(now, who, head, ZBQ_ENDING_CLOSED);
            collect_record(who, what.sends && who.mode == ZBQ_WAKEUP_PUSH);
        }
    }
    EXPECT_EQ(now.page_of(slow).eviction, what.evicts);
}

TEST_P(ProducerStepping, StoppedAtAnyInstructionGoesOn) {
    const test::leak_check leaks;
    for (const std::uint64_t instant : test::instants(count_instructions())) {
        stop_at(GetParam(), instant);
        ASSERT_FALSE(HasFailure()) << "stopped after " << instant;
    }
}

INSTANTIATE_TEST_SUITE_P(Each, ProducerStepping, testing::ValuesIn(operations),
                         [](const auto &each) { return std::string(each.param.name); });

} // namespace
