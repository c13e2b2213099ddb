// SPDX-License-Identifier: MIT
#include "honest.hpp"

#include "messages.hpp"
#include "support/descriptors.hpp"
#include "support/process.hpp"
#include "zbq/connect.hpp"

#include <cstdio>
#include <unistd.h>

namespace hostile {

namespace {

// Says why before it ends: the check would not.
void check_going_on(const zbq_consumer *cons, int result) {
    if (result != ZBQ_OK && result != ZBQ_ERROR_AGAIN) {
        std::uint32_t reason = 0;
        const zbq_ending ending = zbq_consumer_ending(cons, &reason);
        std::fprintf(stderr, "an honest consumer: %s, ending %d, %s\n", zbq_strerror(result),
                     ending, zbq_strevict(reason));
        _exit(1);
    }
}

void collect_record(zbq_consumer *cons, const zbq_msg_header &header) {
    const test::collected record = test::collect(cons, header.seq_id);
    CHILD_CHECK(record.result == ZBQ_OK);
    CHILD_CHECK(record.numbers == std::vector<std::uint64_t>{0});
}

// Takes a batch, releases it with one publish. Whether the last message was among them.
bool read_batch(zbq_consumer *cons, std::uint64_t *expected) {
    constexpr int most = 64;
    zbq_msg_view view = {};
    bool last = false;
    std::uint64_t end = zbq_consumer_tail(cons);
    int result = ZBQ_OK;
    for (int i = 0; i < most && !last && (result = zbq_consumer_next(cons, &view)) == ZBQ_OK; ++i) {
        CHILD_CHECK(is_message(view, *expected));
        CHILD_CHECK((view.header->fd_count != 0) == has_record(*expected));
        if (view.header->fd_count != 0) {
            collect_record(cons, *view.header);
        }
        ++*expected;
        last = (view.header->flags & last_message) != 0;
        end = view.logical_offset + view.total_len;
    }
    check_going_on(cons, result);
    CHILD_CHECK(zbq_consumer_valid(cons));
    zbq_consumer_publish(cons, end);
    return last;
}

void sleep_on_futex(zbq_consumer *cons, std::uint64_t next) {
    const std::uint32_t token = zbq_consumer_get_futex_token(cons);
    if (zbq_consumer_acquire_head(cons) == next) {
        check_going_on(cons, zbq_consumer_wait_broadcast(cons, token));
    }
}

void sleep_in_poll(zbq_consumer *cons) {
    pollfd polled = {zbq_consumer_event_fd(cons), POLLIN, 0};
    CHILD_CHECK(poll(&polled, 1, -1) == 1); // the watchdog ends it
}

} // namespace

int read_stream(const std::string &name, sleep_in how) {
    const zbq::consumer reader = zbq::connect(name, zbq::in(std::chrono::seconds(60)));
    zbq_consumer *cons = reader.get();
    CHILD_CHECK(how == sleep_in::futex || zbq_consumer_event_fd(cons) >= 0);
    std::uint64_t expected = 0;
    for (;;) {
        const std::uint64_t before = expected;
        if (read_batch(cons, &expected)) {
            return 0;
        }
        if (expected != before) {
            continue;
        }
        if (how == sleep_in::poll) {
            sleep_in_poll(cons);
        } else {
            sleep_on_futex(cons, zbq_consumer_tail(cons));
        }
    }
}

} // namespace hostile
