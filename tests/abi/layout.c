// SPDX-License-Identifier: MIT
//
// Prints every public layout: name, size, alignment, then each field and its offset. Then the
// constants, but those of the version.
#include "zbq.h"

#include <stdio.h>

#define TYPE(type) printf("%s size %zu align %zu\n", #type, sizeof(type), _Alignof(type))
#define FIELD(type, field) printf("    %s %zu\n", #field, offsetof(type, field))
#define CONSTANT(name) printf("%s %lld\n", #name, (long long)(name))

int main(void) {
    TYPE(zbq_control_region);
    FIELD(zbq_control_region, producer_head);
    FIELD(zbq_control_region, broadcast_futex);
    FIELD(zbq_control_region, producer_pid);
    FIELD(zbq_control_region, ring_capacity);
    FIELD(zbq_control_region, clog_threshold);
    FIELD(zbq_control_region, stall_timeout_ns);
    FIELD(zbq_control_region, closed);
    FIELD(zbq_control_region, awaited_tail);
    FIELD(zbq_control_region, reserved);
    TYPE(zbq_consumer_metadata);
    FIELD(zbq_consumer_metadata, tail_offset);
    FIELD(zbq_consumer_metadata, progress_timestamp);
    FIELD(zbq_consumer_metadata, join_baseline);
    FIELD(zbq_consumer_metadata, eviction);
    FIELD(zbq_consumer_metadata, quiet_until);
    FIELD(zbq_consumer_metadata, parking);
    TYPE(zbq_parking);
    FIELD(zbq_parking, parked);
    TYPE(zbq_msg_header);
    FIELD(zbq_msg_header, payload_len);
    FIELD(zbq_msg_header, fd_count);
    FIELD(zbq_msg_header, flags);
    FIELD(zbq_msg_header, reserved);
    FIELD(zbq_msg_header, seq_id);
    TYPE(zbq_join_payload);
    FIELD(zbq_join_payload, ring_capacity);
    FIELD(zbq_join_payload, join_baseline);
    FIELD(zbq_join_payload, initial_head);
    FIELD(zbq_join_payload, producer_pid);
    FIELD(zbq_join_payload, slot_index);
    FIELD(zbq_join_payload, wakeup_mode);
    FIELD(zbq_join_payload, protocol_version);
    FIELD(zbq_join_payload, seq_floor);
    FIELD(zbq_join_payload, type_hash);
    FIELD(zbq_join_payload, type_size);
    FIELD(zbq_join_payload, type_align);
    TYPE(zbq_type);
    FIELD(zbq_type, hash);
    FIELD(zbq_type, size);
    FIELD(zbq_type, align);
    TYPE(zbq_producer_params);
    FIELD(zbq_producer_params, ring_capacity);
    FIELD(zbq_producer_params, clog_threshold);
    FIELD(zbq_producer_params, stall_timeout_ns);
    FIELD(zbq_producer_params, max_consumers);
    TYPE(zbq_patience);
    FIELD(zbq_patience, at_once_ns);
    FIELD(zbq_patience, per_second_ns);
    TYPE(zbq_contiguous_run);
    FIELD(zbq_contiguous_run, base);
    FIELD(zbq_contiguous_run, max_bytes);
    FIELD(zbq_contiguous_run, offset);
    TYPE(zbq_commit_window);
    FIELD(zbq_commit_window, head);
    FIELD(zbq_commit_window, limit);
    FIELD(zbq_commit_window, shared_head);
    FIELD(zbq_commit_window, parking);
    FIELD(zbq_commit_window, parking_count);
    FIELD(zbq_commit_window, unusual);
    FIELD(zbq_commit_window, producer);
    TYPE(zbq_read_window);
    FIELD(zbq_read_window, cursor);
    FIELD(zbq_read_window, head);
    FIELD(zbq_read_window, tail);
    FIELD(zbq_read_window, next);
    FIELD(zbq_read_window, ring);
    FIELD(zbq_read_window, capacity);
    FIELD(zbq_read_window, control);
    FIELD(zbq_read_window, page);
    FIELD(zbq_read_window, consumer);
    FIELD(zbq_read_window, unusual);
    TYPE(zbq_msg_view);
    FIELD(zbq_msg_view, header);
    FIELD(zbq_msg_view, payload);
    FIELD(zbq_msg_view, payload_len);
    FIELD(zbq_msg_view, logical_offset);
    FIELD(zbq_msg_view, total_len);
    TYPE(zbq_producer_statistics);
    FIELD(zbq_producer_statistics, head);
    FIELD(zbq_producer_statistics, slowest_tail);
    FIELD(zbq_producer_statistics, joined);
    FIELD(zbq_producer_statistics, evicted);
    FIELD(zbq_producer_statistics, failures);
    FIELD(zbq_producer_statistics, scans);
    FIELD(zbq_producer_statistics, wakes);
    FIELD(zbq_producer_statistics, consumers);
    FIELD(zbq_producer_statistics, max_consumers);
    TYPE(zbq_consumer_info);
    FIELD(zbq_consumer_info, lag);
    FIELD(zbq_consumer_info, join_number);
    FIELD(zbq_consumer_info, pid);
    FIELD(zbq_consumer_info, slot_index);
    FIELD(zbq_consumer_info, mode);
    FIELD(zbq_consumer_info, eviction);
    FIELD(zbq_consumer_info, fds_in_flight);
    FIELD(zbq_consumer_info, reserved);
    CONSTANT(ZBQ_MAX_FD_PER_MSG);
    CONSTANT(ZBQ_MSG_ALIGN);
    CONSTANT(ZBQ_MAX_FD_IN_FLIGHT);
    CONSTANT(ZBQ_WAIT_SLICE_NS);
    CONSTANT(ZBQ_OK);
    CONSTANT(ZBQ_ERROR_INVALID);
    CONSTANT(ZBQ_ERROR_NOMEM);
    CONSTANT(ZBQ_ERROR_AGAIN);
    CONSTANT(ZBQ_ERROR_IO);
    CONSTANT(ZBQ_ERROR_PROTOCOL);
    CONSTANT(ZBQ_ERROR_OVERFLOW);
    CONSTANT(ZBQ_ERROR_NOENT);
    CONSTANT(ZBQ_WAKEUP_PUSH);
    CONSTANT(ZBQ_WAKEUP_PULL);
    CONSTANT(ZBQ_COMMIT_NONE);
    CONSTANT(ZBQ_COMMIT_FORCE_SCAN);
    CONSTANT(ZBQ_COMMIT_KEEP);
    CONSTANT(ZBQ_EVICTION_NONE);
    CONSTANT(ZBQ_EVICTION_DEAD);
    CONSTANT(ZBQ_EVICTION_STALLED);
    CONSTANT(ZBQ_EVICTION_SIDE_STALLED);
    CONSTANT(ZBQ_EVICTION_PROTOCOL);
    CONSTANT(ZBQ_EVICTION_SLOW);
    CONSTANT(ZBQ_EVICTION_DEAR);
    CONSTANT(ZBQ_ENDING_NONE);
    CONSTANT(ZBQ_ENDING_CLOSED);
    CONSTANT(ZBQ_ENDING_PRODUCER_DIED);
    CONSTANT(ZBQ_ENDING_EVICTED);
    CONSTANT(ZBQ_ENDING_MALFORMED);
    CONSTANT(ZBQ_PARKING_PLACES);
    CONSTANT(ZBQ_PROTOCOL_VERSION);
    CONSTANT(ZBQ_ALL_CONSUMERS);
    return 0;
}
