// SPDX-License-Identifier: MIT
#include "operations.hpp"

#include "consumer.hpp"
#include "producer.hpp"
#include "support/descriptors.hpp"

#include <gtest/gtest.h>
#include <poll.h>

namespace inject {

namespace {

constexpr std::uint64_t message_size = 32;
constexpr std::uint8_t most_fds = ZBQ_MAX_FD_PER_MSG;

test::ring_options one_page(std::uint64_t stall_timeout_ns = 0, std::uint32_t max_consumers = 8) {
    return {test::page, 1, stall_timeout_ns, max_consumers};
}

// ---- before ----

void nothing(scene & /*unused*/) {}

// All have announced themselves.
void fresh_sockets(scene &at) {
    at.sockets = test::make_sockets();
    ASSERT_EQ(zbq_producer_scan(at.ring()), ZBQ_OK);
}

// For a newcomer; each has a record.
void retain_two(scene &at) {
    if (!at.records.empty()) {
        return;
    }
    for (const std::uint16_t key : {std::uint16_t{1}, std::uint16_t{2}}) {
        at.queue_record(1);
        ASSERT_EQ(at.send_pending(), "OK");
        ASSERT_EQ(at.retain(key), "OK");
    }
}

// A join message to receive: the one that is still there, if it was not taken.
void join_message(scene &at, zbq_wakeup_mode mode) {
    if (at.sockets.consumer_end && test::readable(at.sockets.consumer_end.get())) {
        return;
    }
    at.sockets = test::make_sockets();
    ASSERT_EQ(zbq_producer_handshake(at.ring(), at.sockets.producer_end.get(), mode, &at.new_slot),
              ZBQ_OK);
}

void watch_for_room(scene &at) {
    ASSERT_GE(zbq_producer_event_fd(at.ring()), 0);
}

void watch(scene &at) {
    at.fd = zbq_consumer_event_fd(at.cons());
    ASSERT_GE(at.fd, 0);
}

void watch_for_records(scene &at) {
    watch(at);
    at.collect_all(&at.subject());
}

// Until it is parked for long.
void watch_and_read_all(scene &at) {
    watch(at);
    do {
        at.read_all(&at.subject());
    } while (test::readable(at.fd) || at.cons()->looks_again_at != 0);
}

void another_leaves(scene &at) {
    if (at.readers.size() == 2) {
        at.add_reader();
        at.readers.back().consumer.reset();
    }
}

void park_on_futex(scene &at) {
    zbq::core::park_announce(at.cons()->parking.place, zbq::core::parked_on_futex);
}

// The subject has read nothing, and there is no room.
void clog(scene &at) {
    at.fill();
    at.read_all(&at.bystander());
}

void clog_and_watch(scene &at) {
    watch_for_room(at);
    clog(at);
}

// The one that is still there, if it was not taken.
void page_to_receive(scene &at) {
    if (at.sockets.consumer_end && test::readable(at.sockets.consumer_end.get())) {
        return;
    }
    at.sockets = test::make_sockets();
    ASSERT_EQ(zbq_producer_send_stats(at.ring(), at.sockets.producer_end.get()), ZBQ_OK);
}

std::string reserve(scene &at) {
    zbq_contiguous_run run = {};
    const int result = zbq_producer_reserve(at.ring(), message_size, &run);
    EXPECT_EQ(run.max_bytes != 0, result == ZBQ_OK);
    return name_of(result);
}

void clog_and_await_room(scene &at) {
    clog_and_watch(at);
    ASSERT_EQ(reserve(at), "AGAIN");
}

// The subject rings for less than is wanted next.
void await_room_and_want_more(scene &at) {
    if (at.ring()->awaited_room != 0) {
        return;
    }
    at.read_all(&at.subject());
    clog_and_await_room(at);
    ASSERT_EQ(read_one(&at.subject()), "OK");
    ASSERT_EQ(reserve(at), "OK");
    ASSERT_TRUE(zbq_producer_commit(at.ring(), 0, ZBQ_COMMIT_NONE));
    at.fill();
}

void await_room_and_get_it(scene &at) {
    clog_and_await_room(at);
    at.read_all(&at.subject());
}

// The subject sleeps meanwhile.
void clog_for_long(scene &at) {
    clog(at);
    ASSERT_EQ(zbq_producer_scan(at.ring()), ZBQ_OK); // starts the clock
    park_on_futex(at);
}

void queue_record(scene &at) {
    at.queue_record(2);
}

void queue_record_for_one_who_polls(scene &at) {
    watch_and_read_all(at);
    at.queue_record(2);
}

void send_record(scene &at, std::uint8_t fd_count) {
    at.queue_record(fd_count);
    ASSERT_EQ(at.send_pending(), "OK");
}

// The subject is to collect as many descriptors as may be in flight, and a record more.
void block_descriptors(scene &at) {
    if (at.pending.seq_id != 0) {
        return;
    }
    at.collect_all(&at.subject());
    do {
        at.collect_all(&at.bystander());
        at.queue_record(most_fds);
    } while (at.send_pending() == "OK");
    watch_for_room(at);
}

void block_and_await_descriptors(scene &at) {
    block_descriptors(at);
    ASSERT_EQ(at.send_pending(), "AGAIN");
}

void record_to_receive(scene &at) {
    if (at.subject().next_record == at.records.size()) {
        send_record(at, 2);
    }
}

std::uint64_t next_seq_id(const scene &at) {
    return at.ring()->next_seq + 1;
}

int look_for_record(scene &at) {
    at.received_count = 99;
    const int result =
        zbq_consumer_recv_fds(at.cons(), next_seq_id(at), at.received.data(), &at.received_count);
    EXPECT_EQ(at.received_count, 0);
    return result;
}

void await_record_and_send_it(scene &at) {
    watch_and_read_all(at);
    at.collect_all(&at.subject());
    do {
        ASSERT_EQ(look_for_record(at), ZBQ_ERROR_AGAIN);
    } while (test::readable(at.fd) || at.cons()->looks_again_at != 0);
    send_record(at, 1);
}

// A look before the bell, in vain, has put the mark there again, and its nap is over.
void await_record_for_long_and_send_it(scene &at) {
    await_record_and_send_it(at);
    zbq::core::park_announce(at.cons()->parking.place, zbq::core::parked_on_event);
    at.cons()->nap_end = 1;
}

void commit_unseen(scene &at) {
    watch_and_read_all(at);
    ASSERT_TRUE(at.publish());
}

// ---- the operations ----

std::string create(scene &at) {
    const test::ring_options &options = one_page();
    const zbq_producer_params params = {options.capacity, options.clog_threshold, 0, 2};
    zbq_producer *made = at.ring();
    const int result = zbq_producer_create(&made, &params);
    EXPECT_EQ(made != nullptr, result == ZBQ_OK);
    at.other_producer.reset(made);
    return name_of(result);
}

std::string handshake(scene &at) {
    const int result = zbq_producer_handshake(at.ring(), at.sockets.producer_end.get(),
                                              ZBQ_WAKEUP_PUSH, &at.new_slot);
    at.is_awaiting_join = result == ZBQ_OK;
    return name_of(result);
}

std::string join(scene &at, zbq_wakeup_mode mode) {
    zbq_consumer *joined = at.cons();
    const int result = zbq_consumer_join(at.sockets.consumer_end.get(), mode, &joined);
    EXPECT_EQ(joined != nullptr, result == ZBQ_OK);
    if (result == ZBQ_OK) {
        at.adopt(test::consumer_ptr(joined), mode);
    }
    return name_of(result);
}

std::string commit(scene &at) {
    return at.publish() ? "OK" : "false";
}

std::string commit_and_scan(scene &at) {
    zbq_contiguous_run run = {};
    EXPECT_EQ(zbq_producer_reserve(at.ring(), message_size, &run), ZBQ_OK);
    return zbq_producer_commit(at.ring(), 0, ZBQ_COMMIT_FORCE_SCAN) ? "OK" : "false";
}

// In place of another.
void retain_one(scene &at) {
    if (at.records.empty()) {
        at.queue_record(1);
        ASSERT_EQ(at.send_pending(), "OK");
        ASSERT_EQ(at.retain(1), "OK");
    }
    at.queue_record(1); // newer than that
    ASSERT_EQ(at.send_pending(), "OK");
}

std::string retain(scene &at) {
    return at.retain(1);
}

std::string scan(scene &at) {
    return name_of(zbq_producer_scan(at.ring()));
}

std::string query(scene &at) {
    return zbq_producer_query(at.ring()).max_bytes == 0 ? "empty" : "OK";
}

std::string publish_tail(scene &at) {
    return read_one(&at.subject());
}

std::string broadcast(scene &at) {
    return at.send_pending();
}

std::string receive(scene &at) {
    return at.receive(&at.subject());
}

std::string look_for_message(scene &at) {
    return read_one(&at.subject());
}

std::string wait(scene &at) {
    const std::uint32_t token = zbq_consumer_get_futex_token(at.cons());
    return name_of(zbq_consumer_wait(at.cons(), token, test::ms));
}

std::string name_of_descriptor(int result) {
    return result >= 0 ? "OK" : name_of(result);
}

std::string consumer_event_fd(scene &at) {
    at.fd = zbq_consumer_event_fd(at.cons());
    return name_of_descriptor(at.fd);
}

std::string producer_event_fd(scene &at) {
    at.fd = zbq_producer_event_fd(at.ring());
    return name_of_descriptor(at.fd);
}

std::string is_producer_alive(scene &at) {
    return zbq_consumer_is_producer_alive(at.cons()) ? "true" : "false";
}

std::string consumer_info(scene &at) {
    zbq_consumer_info info = {};
    const int result = zbq_producer_consumer_info(at.ring(), at.subject().slot, &info);
    EXPECT_EQ(info.slot_index, at.subject().slot);
    return name_of(result);
}

std::string consumer_destroy(scene &at) {
    at.subject().consumer.reset();
    return "OK";
}

std::string producer_destroy(scene &at) {
    at.prod.reset();
    return "OK";
}

std::string stats_fd(scene &at) {
    return name_of_descriptor(zbq_producer_stats_fd(at.ring()));
}

std::string send_stats(scene &at) {
    return name_of(zbq_producer_send_stats(at.ring(), at.sockets.producer_end.get()));
}

std::string receive_stats(scene &at) {
    zbq_stats *received = nullptr;
    const int result = zbq_stats_receive(at.sockets.consumer_end.get(), &received);
    zbq_stats_close(received);
    return name_of(result);
}

// ---- after ----

// At once; or when a nap is over that it takes, or the kernel has closed the socket of one who was
// evicted.
std::string is_told(scene &at, const std::string & /*result*/) {
    const bool later = at.cons()->looks_again_at != 0 || !zbq_consumer_valid(at.cons());
    pollfd polled = {at.fd, POLLIN, 0};
    return poll(&polled, 1, later ? 1000 : 0) > 0 ? ",told" : ",untold";
}

std::string is_told_at_the_start(scene &at, const std::string &result) {
    return result == "OK" ? is_told(at, result) : "";
}

// Told of this commit, or at least of the next.
std::string is_told_by_the_next_commit(scene &at, const std::string &result) {
    if (!test::readable(at.fd)) {
        EXPECT_TRUE(at.publish());
    }
    return is_told(at, result);
}

std::string is_told_by_the_next_scan(scene &at, const std::string &result) {
    EXPECT_EQ(zbq_producer_scan(at.ring()), ZBQ_OK);
    return is_told(at, result);
}

std::string is_told_of_a_record(scene &at, const std::string &result) {
    send_record(at, 1);
    return is_told(at, result);
}

std::string look_at_what_came(scene &at, const std::string &result) {
    at.finish_receiving(&at.subject(), result);
    return "";
}

std::string there_is_room(scene &at, const std::string & /*result*/) {
    return reserve(at) == "OK" ? ",room" : ",none";
}

std::string there_is_room_for_descriptors(scene &at, const std::string &result) {
    at.finish_receiving(&at.subject(), result);
    return at.send_pending() == "OK" ? ",room" : ",none";
}

} // namespace

// NOLINTNEXTLINE(readability-function-size): a table
const std::vector<operation> &operations() {
    static const std::vector<operation> all = {
        {"create", nothing, create, {}, one_page(), true, {}},
        {"handshake", fresh_sockets, handshake, {}, one_page(), true, {}},
        {"handshake_watched",
         [](scene &at) {
             watch_for_room(at);
             retain_two(at);
             fresh_sockets(at);
         },
         handshake,
         {},
         one_page(),
         true,
         {}},
        {"handshake_for_the_slot_of_a_dead",
         [](scene &at) {
             another_leaves(at);
             at.sockets = test::make_sockets();
         },
         handshake,
         {},
         one_page(0, 3),
         false,
         {}},
        {"join",
         [](scene &at) {
             retain_two(at);
             join_message(at, ZBQ_WAKEUP_PUSH);
         },
         [](scene &at) { return join(at, ZBQ_WAKEUP_PUSH); },
         {},
         one_page(),
         true,
         {}},
        {"join_in_pull_mode",
         [](scene &at) { join_message(at, ZBQ_WAKEUP_PULL); },
         [](scene &at) { return join(at, ZBQ_WAKEUP_PULL); },
         {},
         one_page(),
         true,
         {}},
        {"commit_for_a_sleeper", park_on_futex, commit, {}, one_page(), false, {}},
        {"commit_for_one_who_polls",
         watch_and_read_all,
         commit,
         is_told_by_the_next_commit,
         one_page(),
         false,
         {}},
        {"commit_for_one_who_polls_and_a_scan",
         watch_and_read_all,
         commit,
         is_told_by_the_next_scan,
         one_page(),
         false,
         {}},
        {"commit_and_scan", nothing, commit_and_scan, {}, one_page(), false, {}},
        {"retain", retain_one, retain, {}, one_page(), true, {}},
        {"scan", nothing, scan, {}, one_page(), false, {}},
        {"scan_without_passed_pidfds",
         nothing,
         scan,
         {},
         one_page(),
         false,
         "setsockopt/SO_PASSPIDFD"},
        {"scan_that_finds_a_dead", another_leaves, scan, {}, one_page(), false, {}},
        {"scan_watched_that_finds_a_dead",
         [](scene &at) {
             watch_for_room(at);
             another_leaves(at);
         },
         scan,
         {},
         one_page(),
         false,
         {}},
        {"scan_that_finds_a_stalled", clog_for_long, scan, {}, one_page(1), false, {}},
        {"scan_after_a_wait", await_room_and_get_it, scan, {}, one_page(), false, {}},
        {"reserve_without_room", clog, reserve, {}, one_page(), false, {}},
        {"reserve_awaiting_room", clog_and_watch, reserve, {}, one_page(), false, {}},
        {"reserve_after_a_wait", await_room_and_get_it, reserve, {}, one_page(), false, {}},
        {"reserve_awaiting_room_again",
         await_room_and_want_more,
         reserve,
         {},
         one_page(),
         false,
         {}},
        {"query_awaiting_room", clog_and_watch, query, {}, one_page(), false, {}},
        {"publish_of_awaited_room",
         clog_and_await_room,
         publish_tail,
         there_is_room,
         one_page(),
         false,
         {}},
        {"broadcast", queue_record, broadcast, {}, one_page(), false, {}},
        {"broadcast_for_one_who_polls",
         queue_record_for_one_who_polls,
         broadcast,
         is_told_by_the_next_commit,
         one_page(),
         false,
         {}},
        {"broadcast_awaiting_collection", block_descriptors, broadcast, {}, one_page(), false, {}},
        {"recv_fds", record_to_receive, receive, look_at_what_came, one_page(), false, {}},
        {"recv_fds_of_awaited_room",
         block_and_await_descriptors,
         receive,
         there_is_room_for_descriptors,
         one_page(),
         false,
         {}},
        {"recv_fds_watched",
         watch_for_records,
         [](scene &at) { return name_of(look_for_record(at)); },
         is_told_of_a_record,
         one_page(),
         false,
         {}},
        {"recv_fds_that_takes_a_bell_of_messages",
         commit_unseen,
         [](scene &at) { return name_of(look_for_record(at)); },
         is_told,
         one_page(),
         false,
         {}},
        {"peek_watched",
         watch,
         look_for_message,
         is_told_by_the_next_commit,
         one_page(),
         false,
         {}},
        {"peek_that_takes_a_bell_of_records",
         await_record_and_send_it,
         look_for_message,
         is_told,
         one_page(),
         false,
         {}},
        {"peek_without_a_nap_that_takes_a_bell_of_records",
         await_record_for_long_and_send_it,
         look_for_message,
         is_told,
         one_page(),
         false,
         {}},
        {"wait", nothing, wait, {}, one_page(), false, {}},
        {"consumer_event_fd",
         nothing,
         consumer_event_fd,
         is_told_at_the_start,
         one_page(),
         true,
         {}},
        {"producer_event_fd",
         nothing,
         producer_event_fd,
         is_told_at_the_start,
         one_page(),
         true,
         {}},
        {"is_producer_alive", nothing, is_producer_alive, {}, one_page(), false, {}},
        {"consumer_info", nothing, consumer_info, {}, one_page(), false, {}},
        {"stats_fd", nothing, stats_fd, {}, one_page(), true, {}},
        {"send_stats",
         [](scene &at) {
             ASSERT_GE(zbq_producer_stats_fd(at.ring()), 0);
             send_record(at, 1);
             fresh_sockets(at);
         },
         send_stats,
         {},
         one_page(),
         true,
         {}},
        {"receive_stats", page_to_receive, receive_stats, {}, one_page(), true, {}},
        {"consumer_destroy", watch, consumer_destroy, {}, one_page(), false, {}},
        {"producer_destroy",
         [](scene &at) {
             watch_for_room(at);
             watch_and_read_all(at);
             park_on_futex(at);
         },
         producer_destroy,
         {},
         one_page(),
         false,
         {}},
    };
    return all;
}

} // namespace inject
