/* SPDX-License-Identifier: MIT
 *
 * The three loops that zbq.h opens with, as a program: a producer, a reader that sleeps, a reader
 * that looks all the time. It ends with status 0 if both have counted right.
 *
 *   cc -Iinclude examples/loops.c -lzbq
 */
#include <zbq.h>
#include <zbq/inline.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { messages = 100000, readers = 2 };

static uint64_t received;

static void use(const zbq_msg_view *view) {
    received +=
        view->payload_len == sizeof(uint64_t) && *(const uint64_t *)view->payload == received;
}

static void publish(zbq_producer *prod) {
    const uint64_t size = sizeof(zbq_msg_header) + sizeof(uint64_t) + 8; /* rounded up to 16 */
    uint64_t number = 0;
    /* zbq.h: begin */
    struct pollfd room = {zbq_producer_event_fd(prod), POLLIN, 0};
    zbq_commit_window *window = zbq_producer_window(prod);
    void *place;
    while (number < messages) {
        while (zbq_window_reserve(window, size, &place) == ZBQ_ERROR_AGAIN) { /* zbq/inline.h */
            poll(&room, 1, -1); /* or do something else */
        }
        *(zbq_msg_header *)place = (zbq_msg_header){.payload_len = sizeof number};
        memcpy((char *)place + sizeof(zbq_msg_header), &number, sizeof number);
        zbq_window_commit(window, size);
        ++number;
    }
    /* zbq.h: end */
}

static void read_and_sleep(zbq_consumer *cons) {
    /* zbq.h: begin */
    int result = ZBQ_OK;
    while (result == ZBQ_OK || result == ZBQ_ERROR_AGAIN) {
        const uint32_t token = zbq_consumer_get_futex_token(cons); /* before the look */
        zbq_msg_view view;
        result = zbq_consumer_peek(cons, &view);
        if (result == ZBQ_ERROR_AGAIN) {
            zbq_consumer_wait_broadcast(cons, token);
        } else if (result == ZBQ_OK) {
            use(&view); /* act on it once zbq_consumer_valid(cons) has said that it was whole */
            zbq_consumer_publish(cons, view.logical_offset + view.total_len);
        }
    } /* the end: zbq_consumer_ending tells why */
    /* zbq.h: end */
}

static void read_and_spin(zbq_consumer *cons) {
    /* zbq.h: begin */
    zbq_read_window *window = zbq_consumer_window(cons);
    while (zbq_consumer_spin(cons, UINT64_MAX) == ZBQ_OK) {
        zbq_msg_view view;
        while (zbq_window_next(window, &view) == ZBQ_OK) { /* of zbq/inline.h */
            use(&view); /* act on it once zbq_window_valid(window) has said that it was whole */
            zbq_window_release(window, view.logical_offset + view.total_len);
        }
    }
    /* zbq.h: end */
}

static int read_all(int conn, zbq_wakeup_mode mode, void (*loop)(zbq_consumer *)) {
    zbq_consumer *cons;
    if (zbq_consumer_join(conn, mode, &cons) != ZBQ_OK) {
        return 1;
    }
    loop(cons);
    zbq_consumer_destroy(cons);
    return received == messages ? 0 : 1;
}

int main(void) {
    const zbq_producer_params params = {
        .ring_capacity = 1 << 16,
        .clog_threshold = 16,
        .stall_timeout_ns = 10000000000,
        .max_consumers = readers,
    };
    const zbq_wakeup_mode modes[readers] = {ZBQ_WAKEUP_PUSH, ZBQ_WAKEUP_PULL};
    void (*const loops[readers])(zbq_consumer *) = {read_and_sleep, read_and_spin};
    zbq_producer *prod = NULL;
    int bad = zbq_producer_create(&prod, &params) != ZBQ_OK;
    for (int i = 0; i < readers && !bad; ++i) {
        int ends[2];
        uint32_t slot;
        bad = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0 ||
              zbq_producer_handshake(prod, ends[0], modes[i], &slot) != ZBQ_OK;
        if (!bad && fork() == 0) {
            zbq_producer_destroy(prod); /* the child's copies */
            close(ends[0]);
            _exit(read_all(ends[1], modes[i], loops[i]));
        }
        close(ends[0]);
        close(ends[1]);
    }
    if (!bad) {
        publish(prod);
    }
    zbq_producer_destroy(prod);
    int status = 0;
    while (wait(&status) > 0) {
        bad |= status != 0;
    }
    return bad;
}
