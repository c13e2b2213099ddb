/* SPDX-License-Identifier: MIT
 *
 * The example of README.md, whole. Both ends run in this one process, one after the other;
 * real programs run each end in a process of its own.
 *
 *   cc -Iinclude examples/readme.c -lzbq
 */
#include <zbq.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void must(int result) {
    if (result != ZBQ_OK) {
        fprintf(stderr, "%s\n", zbq_strerror(result));
        exit(1);
    }
}

/* README: begin */
static void produce(zbq_producer *producer, int conn) {
    uint32_t slot;
    zbq_contiguous_run run;
    must(zbq_producer_handshake(producer, conn, ZBQ_WAKEUP_PUSH, &slot));
    must(zbq_producer_reserve(producer, 32, &run)); /* header and payload, rounded up to 16 */
    *(zbq_msg_header *)run.base = (zbq_msg_header){.payload_len = 5};
    memcpy((char *)run.base + sizeof(zbq_msg_header), "hello", 5);
    zbq_producer_commit(producer, 32, ZBQ_COMMIT_NONE);
}

static void consume(int conn) {
    zbq_consumer *consumer;
    zbq_msg_view view;
    must(zbq_consumer_join(conn, ZBQ_WAKEUP_PUSH, &consumer));
    must(zbq_consumer_peek(consumer, &view)); /* the view points into the ring */
    printf("%.*s\n", (int)view.payload_len, (const char *)view.payload);
    zbq_consumer_publish(consumer, view.logical_offset + view.total_len);
    zbq_consumer_destroy(consumer);
}
/* README: end */

int main(void) {
    const zbq_producer_params params = {
        .ring_capacity = 1 << 20,       /* bytes */
        .clog_threshold = 16,           /* failed attempts at room before a scan */
        .stall_timeout_ns = 1000000000, /* how long a reader may hold the ring back */
        .max_consumers = 8,
    };
    int sockets[2];
    zbq_producer *producer = NULL;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) {
        perror("socketpair");
        return 1;
    }
    must(zbq_producer_create(&producer, &params));
    produce(producer, sockets[0]);
    consume(sockets[1]);
    zbq_producer_destroy(producer);
    close(sockets[0]);
    close(sockets[1]);
    return 0;
}
