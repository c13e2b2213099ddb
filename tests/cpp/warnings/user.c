/* SPDX-License-Identifier: MIT
 *
 * The C headers in use, for the compiler's warnings. */
#include <zbq.h>
#include <zbq/inline.h>

static int publish(zbq_producer *ring) {
    zbq_contiguous_run run;
    zbq_commit_window *window = zbq_producer_window(ring);
    if (zbq_producer_reserve(ring, 16, &run) != ZBQ_OK) {
        return 1;
    }
    *(zbq_msg_header *)run.base = (zbq_msg_header){.payload_len = 0};
    zbq_prefetch_for_writing(run.base, run.max_bytes);
    return zbq_window_commit(window, 16) ? 0 : 1;
}

static uint64_t read_all(zbq_consumer *reader) {
    zbq_read_window *window = zbq_consumer_window(reader);
    zbq_msg_view view;
    uint64_t bytes = 0;
    while (zbq_window_next(window, &view) == ZBQ_OK) {
        bytes += zbq_window_valid(window) ? view.payload_len : 0;
        zbq_window_release(window, view.logical_offset + view.total_len);
    }
    return bytes;
}

int main(void) {
    const zbq_producer_params params = {.ring_capacity = 1 << 16, .max_consumers = 1};
    zbq_producer *ring = NULL;
    zbq_consumer *reader = NULL;
    if (zbq_producer_create(&ring, &params) != ZBQ_OK ||
        zbq_consumer_join(3, ZBQ_WAKEUP_PUSH, &reader) != ZBQ_OK) {
        return 1;
    }
    return publish(ring) + (int)read_all(reader);
}
