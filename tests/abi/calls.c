// SPDX-License-Identifier: MIT
//
// Every call of the interface from C, through pointers of the types that bindings in other
// languages declare, with nothing to work on.
#include "zbq.h"

#include <stdio.h>
#include <string.h>

static int (*const create)(zbq_producer **, const zbq_producer_params *) = zbq_producer_create;
static void (*const destroy_producer)(zbq_producer *) = zbq_producer_destroy;
static int (*const handshake)(zbq_producer *, int, zbq_wakeup_mode,
                              uint32_t *) = zbq_producer_handshake;
static zbq_contiguous_run (*const query)(zbq_producer *) = zbq_producer_query;
static int (*const reserve)(zbq_producer *, uint64_t, zbq_contiguous_run *) = zbq_producer_reserve;
static bool (*const commit)(zbq_producer *, uint64_t, zbq_commit_flags) = zbq_producer_commit;
static zbq_commit_window *(*const window)(zbq_producer *) = zbq_producer_window;
static void (*const finish_commit)(zbq_producer *) = zbq_producer_finish_commit;
static uint64_t (*const next_seq_id)(zbq_producer *) = zbq_producer_next_seq_id;
static int (*const broadcast_fds)(zbq_producer *, uint64_t, const int *,
                                  uint8_t) = zbq_producer_broadcast_fds;
static int (*const scan)(zbq_producer *) = zbq_producer_scan;
static int (*const stats)(zbq_producer *, zbq_producer_statistics *) = zbq_producer_stats;
static int (*const info)(zbq_producer *, uint32_t,
                         zbq_consumer_info *) = zbq_producer_consumer_info;
static int (*const admit)(zbq_producer *, int, zbq_wakeup_mode, const zbq_start *,
                          uint32_t *) = zbq_producer_admit;
static int (*const find_start)(const zbq_producer *, const zbq_start *,
                               uint64_t *) = zbq_producer_find_start;
static int (*const released)(zbq_producer *, uint64_t) = zbq_producer_released;
static const zbq_control_region *(*const producer_ctrl)(const zbq_producer *) = zbq_producer_ctrl;
static int (*const retain)(zbq_producer *, uint16_t, const zbq_msg_header *, const void *,
                           const int *) = zbq_producer_retain;
static int (*const forget)(zbq_producer *, uint16_t) = zbq_producer_forget;
static int (*const set_type)(zbq_producer *, const zbq_type *) = zbq_producer_set_type;
static int (*const set_patience)(zbq_producer *, uint32_t,
                                 const zbq_patience *) = zbq_producer_set_patience;
static int (*const producer_event_fd)(zbq_producer *) = zbq_producer_event_fd;

static int (*const join)(int, zbq_wakeup_mode, zbq_consumer **) = zbq_consumer_join;
static void (*const destroy_consumer)(zbq_consumer *) = zbq_consumer_destroy;
static bool (*const is_alive)(zbq_consumer *) = zbq_consumer_is_producer_alive;
static uint64_t (*const acquire_head)(const zbq_consumer *) = zbq_consumer_acquire_head;
static int (*const peek)(zbq_consumer *, zbq_msg_view *) = zbq_consumer_peek;
static int (*const next)(zbq_consumer *, zbq_msg_view *) = zbq_consumer_next;
static int (*const look)(zbq_consumer *) = zbq_consumer_look;
static zbq_read_window *(*const read_window)(zbq_consumer *) = zbq_consumer_window;
static void (*const ring)(zbq_consumer *) = zbq_consumer_ring;
static int (*const spin)(zbq_consumer *, uint64_t) = zbq_consumer_spin;
static bool (*const valid)(const zbq_consumer *) = zbq_consumer_valid;
static int (*const recv_fds)(zbq_consumer *, uint64_t, int *, uint8_t *) = zbq_consumer_recv_fds;
static void (*const publish)(zbq_consumer *, uint64_t) = zbq_consumer_publish;
static uint32_t (*const get_token)(const zbq_consumer *) = zbq_consumer_get_futex_token;
static int (*const wait_broadcast)(zbq_consumer *, uint32_t) = zbq_consumer_wait_broadcast;
static int (*const wait_for)(zbq_consumer *, uint32_t, uint64_t) = zbq_consumer_wait;
static int (*const event_fd)(zbq_consumer *) = zbq_consumer_event_fd;
static zbq_ending (*const ending)(const zbq_consumer *, uint32_t *) = zbq_consumer_ending;
static int (*const seek)(zbq_consumer *, zbq_seek_to) = zbq_consumer_seek;
static int (*const skip)(zbq_consumer *, uint64_t) = zbq_consumer_skip;
static int (*const set_resume)(zbq_consumer *, zbq_seek_to) = zbq_consumer_set_resume;
static int (*const lost)(const zbq_consumer *, zbq_loss *) = zbq_consumer_lost;
static int (*const copy)(zbq_consumer *, void *, uint64_t, zbq_msg_copy *) = zbq_consumer_copy;
static int (*const retained)(const zbq_consumer *, uint32_t,
                             zbq_msg_view *) = zbq_consumer_retained;
static int (*const type_of)(const zbq_consumer *, zbq_type *) = zbq_consumer_type;
static uint64_t (*const tail)(const zbq_consumer *) = zbq_consumer_tail;
static const zbq_control_region *(*const ctrl)(const zbq_consumer *) = zbq_consumer_ctrl;
static zbq_consumer_metadata *(*const meta)(zbq_consumer *) = zbq_consumer_meta;

static const char *(*const error_text)(int) = zbq_strerror;
static const char *(*const eviction_text)(uint32_t) = zbq_strevict;
static uint32_t (*const version)(void) = zbq_version;
static int (*const memory)(uint64_t) = zbq_memory_create;

static int (*const set_name)(zbq_producer *, const char *) = zbq_producer_set_name;
static int (*const stats_fd)(zbq_producer *) = zbq_producer_stats_fd;
static int (*const refresh_stats)(zbq_producer *) = zbq_producer_refresh_stats;
static int (*const send_stats)(zbq_producer *, int) = zbq_producer_send_stats;
static int (*const stats_open)(int, zbq_stats **) = zbq_stats_open;
static int (*const stats_receive)(int, zbq_stats **) = zbq_stats_receive;
static int (*const stats_read)(zbq_stats *, zbq_ring_stats *, uint64_t) = zbq_stats_read;
static int (*const stats_slot)(const zbq_stats *, uint32_t, zbq_slot_stats *,
                               uint64_t) = zbq_stats_slot;
static void (*const stats_close)(zbq_stats *) = zbq_stats_close;

static int failures;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("%d: %s\n", __LINE__, #condition);                                              \
            ++failures;                                                                            \
        }                                                                                          \
    } while (0)

static void call_producer(void) {
    zbq_contiguous_run run = {0};
    CHECK(create(NULL, NULL) == ZBQ_ERROR_INVALID);
    destroy_producer(NULL);
    CHECK(handshake(NULL, -1, ZBQ_WAKEUP_PUSH, NULL) == ZBQ_ERROR_INVALID);
    CHECK(query(NULL).max_bytes == 0);
    CHECK(reserve(NULL, 16, &run) == ZBQ_ERROR_INVALID);
    CHECK(!commit(NULL, 0, ZBQ_COMMIT_NONE));
    CHECK(next_seq_id(NULL) == 0);
    CHECK(broadcast_fds(NULL, 1, NULL, 1) == ZBQ_ERROR_INVALID);
    CHECK(scan(NULL) == ZBQ_ERROR_INVALID);
    CHECK(stats(NULL, NULL) == ZBQ_ERROR_INVALID);
    CHECK(info(NULL, 0, NULL) == ZBQ_ERROR_INVALID);
    CHECK(admit(NULL, -1, ZBQ_WAKEUP_PUSH, NULL, NULL) == ZBQ_ERROR_INVALID);
    CHECK(find_start(NULL, NULL, NULL) == ZBQ_ERROR_INVALID);
    CHECK(released(NULL, 0) == ZBQ_ERROR_INVALID);
    CHECK(producer_ctrl(NULL) == NULL);
    CHECK(retain(NULL, 1, NULL, NULL, NULL) == ZBQ_ERROR_INVALID);
    CHECK(forget(NULL, 1) == ZBQ_ERROR_INVALID);
    CHECK(set_type(NULL, NULL) == ZBQ_ERROR_INVALID);
    CHECK(set_patience(NULL, 0, NULL) == ZBQ_ERROR_INVALID);
    CHECK(producer_event_fd(NULL) == ZBQ_ERROR_INVALID);
    CHECK(window(NULL) == NULL);
    finish_commit(NULL);
}

static void call_consumer(void) {
    zbq_msg_view view;
    CHECK(join(-1, ZBQ_WAKEUP_PUSH, NULL) == ZBQ_ERROR_INVALID);
    destroy_consumer(NULL);
    CHECK(!is_alive(NULL));
    CHECK(acquire_head(NULL) == 0);
    CHECK(peek(NULL, &view) == ZBQ_ERROR_INVALID);
    CHECK(next(NULL, &view) == ZBQ_ERROR_INVALID);
    CHECK(look(NULL) == ZBQ_ERROR_INVALID);
    CHECK(read_window(NULL) == NULL);
    ring(NULL);
    CHECK(spin(NULL, 0) == ZBQ_ERROR_INVALID);
    CHECK(!valid(NULL));
    CHECK(recv_fds(NULL, 1, NULL, NULL) == ZBQ_ERROR_INVALID);
    publish(NULL, 16);
    CHECK(get_token(NULL) == 0);
    CHECK(wait_broadcast(NULL, 0) == ZBQ_ERROR_INVALID);
    CHECK(wait_for(NULL, 0, 0) == ZBQ_ERROR_INVALID);
    CHECK(event_fd(NULL) == ZBQ_ERROR_INVALID);
    CHECK(ending(NULL, NULL) == ZBQ_ENDING_NONE);
    CHECK(seek(NULL, ZBQ_SEEK_HEAD) == ZBQ_ERROR_INVALID);
    CHECK(skip(NULL, 0) == ZBQ_ERROR_INVALID);
    CHECK(set_resume(NULL, ZBQ_SEEK_HEAD) == ZBQ_ERROR_INVALID);
    CHECK(lost(NULL, NULL) == ZBQ_ERROR_INVALID);
    CHECK(copy(NULL, NULL, 0, NULL) == ZBQ_ERROR_INVALID);
    CHECK(retained(NULL, 0, NULL) == ZBQ_ERROR_INVALID);
    CHECK(type_of(NULL, NULL) == ZBQ_ERROR_INVALID);
    CHECK(tail(NULL) == 0);
    CHECK(ctrl(NULL) == NULL);
    CHECK(meta(NULL) == NULL);
}

static void call_statistics(void) {
    CHECK(set_name(NULL, "name") == ZBQ_ERROR_INVALID);
    CHECK(stats_fd(NULL) == ZBQ_ERROR_INVALID);
    CHECK(refresh_stats(NULL) == ZBQ_ERROR_INVALID);
    CHECK(send_stats(NULL, -1) == ZBQ_ERROR_INVALID);
    CHECK(stats_open(-1, NULL) == ZBQ_ERROR_INVALID);
    CHECK(stats_receive(-1, NULL) == ZBQ_ERROR_INVALID);
    CHECK(stats_read(NULL, NULL, 0) == ZBQ_ERROR_INVALID);
    CHECK(stats_slot(NULL, 0, NULL, 0) == ZBQ_ERROR_INVALID);
    stats_close(NULL);
}

int main(void) {
    call_producer();
    call_consumer();
    call_statistics();
    CHECK(strlen(error_text(ZBQ_ERROR_IO)) > 0);
    CHECK(strlen(eviction_text(ZBQ_EVICTION_DEAD)) > 0);
    CHECK(memory(0) == ZBQ_ERROR_INVALID);
    CHECK(version() >> 16 == ZBQ_VERSION_MAJOR);
    return failures != 0;
}
