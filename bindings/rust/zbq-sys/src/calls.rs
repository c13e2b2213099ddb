// SPDX-License-Identifier: MIT
//! The calls. `zbq.h` describes each.
//!
//! A pointer may be null where the header says what a call gives then; else it is to a live handle,
//! or to what may be read or written. A handle belongs to one thread at a time.

use crate::{
    zbq_commit_flags, zbq_commit_window, zbq_consumer, zbq_consumer_info, zbq_consumer_metadata,
    zbq_contiguous_run, zbq_control_region, zbq_ending, zbq_loss, zbq_msg_copy, zbq_msg_header,
    zbq_msg_view, zbq_patience, zbq_producer, zbq_producer_params, zbq_producer_statistics,
    zbq_read_window, zbq_ring_stats, zbq_seek_to, zbq_slot_stats, zbq_start, zbq_stats, zbq_type,
    zbq_wakeup_mode,
};
use libc::{c_char, c_int, c_void};

extern "C" {
    // ---- producer ----

    /// Makes a ring.
    pub fn zbq_producer_create(
        out: *mut *mut zbq_producer,
        params: *const zbq_producer_params,
    ) -> c_int;
    /// Ends the stream and releases everything.
    pub fn zbq_producer_destroy(prod: *mut zbq_producer);
    /// Gives the process at the other end of a socket a slot.
    pub fn zbq_producer_handshake(
        prod: *mut zbq_producer,
        conn_fd: c_int,
        mode: zbq_wakeup_mode,
        out_slot_id: *mut u32,
    ) -> c_int;
    /// As `zbq_producer_handshake`, with a start in the past.
    pub fn zbq_producer_admit(
        prod: *mut zbq_producer,
        conn_fd: c_int,
        mode: zbq_wakeup_mode,
        start: *const zbq_start,
        out_slot_id: *mut u32,
    ) -> c_int;
    /// Publishes a message that is kept under a key, for each newcomer.
    pub fn zbq_producer_retain(
        prod: *mut zbq_producer,
        key: u16,
        header: *const zbq_msg_header,
        payload: *const c_void,
        fds: *const c_int,
    ) -> c_int;
    /// Retains a message no more, and says so in the stream.
    pub fn zbq_producer_forget(prod: *mut zbq_producer, key: u16) -> c_int;
    /// Where `zbq_producer_admit` would start.
    pub fn zbq_producer_find_start(
        prod: *const zbq_producer,
        start: *const zbq_start,
        out_offset: *mut u64,
    ) -> c_int;
    /// Whether every consumer but the observers has released all below a logical offset.
    pub fn zbq_producer_released(prod: *mut zbq_producer, offset: u64) -> c_int;
    /// The control region.
    pub fn zbq_producer_ctrl(prod: *const zbq_producer) -> *const zbq_control_region;
    /// Says what the payloads are.
    pub fn zbq_producer_set_type(prod: *mut zbq_producer, type_: *const zbq_type) -> c_int;
    /// Limits how long the producer waits for a consumer.
    pub fn zbq_producer_set_patience(
        prod: *mut zbq_producer,
        slot: u32,
        patience: *const zbq_patience,
    ) -> c_int;
    /// The largest run of writable bytes up to the physical end of the ring.
    pub fn zbq_producer_query(prod: *mut zbq_producer) -> zbq_contiguous_run;
    /// A run of at least so many bytes, which may lie across the physical end.
    pub fn zbq_producer_reserve(
        prod: *mut zbq_producer,
        bytes: u64,
        out: *mut zbq_contiguous_run,
    ) -> c_int;
    /// Publishes the first bytes of the run last queried or reserved.
    pub fn zbq_producer_commit(
        prod: *mut zbq_producer,
        written_bytes: u64,
        flags: zbq_commit_flags,
    ) -> bool;
    /// The fast part of a producer.
    pub fn zbq_producer_window(prod: *mut zbq_producer) -> *mut zbq_commit_window;
    /// What a commit by the window leaves to the library.
    pub fn zbq_producer_finish_commit(prod: *mut zbq_producer);
    /// The next id of a record of descriptors.
    pub fn zbq_producer_next_seq_id(prod: *mut zbq_producer) -> u64;
    /// Sends one record of descriptors to every push-mode consumer.
    pub fn zbq_producer_broadcast_fds(
        prod: *mut zbq_producer,
        seq_id: u64,
        fds: *const c_int,
        fd_count: u8,
    ) -> c_int;
    /// A descriptor that tells when it is worth while to try again for room.
    pub fn zbq_producer_event_fd(prod: *mut zbq_producer) -> c_int;
    /// Evicts consumers that are dead or hung.
    pub fn zbq_producer_scan(prod: *mut zbq_producer) -> c_int;
    /// Counters of the ring.
    pub fn zbq_producer_stats(prod: *mut zbq_producer, out: *mut zbq_producer_statistics) -> c_int;
    /// What is known of the consumer in a slot.
    pub fn zbq_producer_consumer_info(
        prod: *mut zbq_producer,
        slot: u32,
        out: *mut zbq_consumer_info,
    ) -> c_int;

    // ---- a producer's statistics for others ----

    /// What people call the ring, in its statistics.
    pub fn zbq_producer_set_name(prod: *mut zbq_producer, name: *const c_char) -> c_int;
    /// The descriptor of the statistics page.
    pub fn zbq_producer_stats_fd(prod: *mut zbq_producer) -> c_int;
    /// Writes an account there now.
    pub fn zbq_producer_refresh_stats(prod: *mut zbq_producer) -> c_int;
    /// Sends that descriptor over a connected socket.
    pub fn zbq_producer_send_stats(prod: *mut zbq_producer, socket: c_int) -> c_int;
    /// Maps a statistics page.
    pub fn zbq_stats_open(fd: c_int, out: *mut *mut zbq_stats) -> c_int;
    /// Receives what `zbq_producer_send_stats` sent, and opens it.
    pub fn zbq_stats_receive(socket: c_int, out: *mut *mut zbq_stats) -> c_int;
    /// Copies the newest account, and gives that of the ring.
    pub fn zbq_stats_read(stats: *mut zbq_stats, out: *mut zbq_ring_stats, size: u64) -> c_int;
    /// The account of a slot, as it was read last.
    pub fn zbq_stats_slot(
        stats: *const zbq_stats,
        slot: u32,
        out: *mut zbq_slot_stats,
        size: u64,
    ) -> c_int;
    /// Unmaps the page.
    pub fn zbq_stats_close(stats: *mut zbq_stats);

    // ---- consumer ----

    /// Joins through a connected socket.
    pub fn zbq_consumer_join(
        rendezvous_fd: c_int,
        mode: zbq_wakeup_mode,
        out: *mut *mut zbq_consumer,
    ) -> c_int;
    /// Leaves the ring and releases everything.
    pub fn zbq_consumer_destroy(cons: *mut zbq_consumer);
    /// Whether the producer's process runs.
    pub fn zbq_consumer_is_producer_alive(cons: *mut zbq_consumer) -> bool;
    /// What the producer said that its payloads are.
    pub fn zbq_consumer_type(cons: *const zbq_consumer, out: *mut zbq_type) -> c_int;
    /// The producer's head now.
    pub fn zbq_consumer_acquire_head(cons: *const zbq_consumer) -> u64;
    /// A view of the message at the tail.
    pub fn zbq_consumer_peek(cons: *mut zbq_consumer, out: *mut zbq_msg_view) -> c_int;
    /// A view of the message after the one that this last gave.
    pub fn zbq_consumer_next(cons: *mut zbq_consumer, out: *mut zbq_msg_view) -> c_int;
    /// What `zbq_consumer_next` would give, with nothing taken.
    pub fn zbq_consumer_look(cons: *mut zbq_consumer) -> c_int;
    /// For `zbq_window_next` and the like.
    pub fn zbq_consumer_window(cons: *mut zbq_consumer) -> *mut zbq_read_window;
    /// The rest of a `zbq_window_release`.
    pub fn zbq_consumer_ring(cons: *mut zbq_consumer);
    /// A message that was retained when this consumer joined.
    pub fn zbq_consumer_retained(
        cons: *const zbq_consumer,
        index: u32,
        out: *mut zbq_msg_view,
    ) -> c_int;
    /// Where an observer goes on.
    pub fn zbq_consumer_seek(cons: *mut zbq_consumer, to: zbq_seek_to) -> c_int;
    /// Where an observer goes on when it was lapped.
    pub fn zbq_consumer_set_resume(cons: *mut zbq_consumer, to: zbq_seek_to) -> c_int;
    /// Goes on to the message at a logical offset, or past it: all before is taken and released.
    pub fn zbq_consumer_skip(cons: *mut zbq_consumer, offset: u64) -> c_int;
    /// What this observer has missed.
    pub fn zbq_consumer_lost(cons: *const zbq_consumer, out: *mut zbq_loss) -> c_int;
    /// Copies the payload of the next message, takes it and releases it, with all before it.
    pub fn zbq_consumer_copy(
        cons: *mut zbq_consumer,
        buffer: *mut c_void,
        size: u64,
        out: *mut zbq_msg_copy,
    ) -> c_int;
    /// Whether all from the tail on that was read was whole: asked after reading.
    pub fn zbq_consumer_valid(cons: *const zbq_consumer) -> bool;
    /// Moves the tail.
    pub fn zbq_consumer_publish(cons: *mut zbq_consumer, new_tail: u64);
    /// Collects the descriptors of a message: room for `ZBQ_MAX_FD_PER_MSG` of them.
    pub fn zbq_consumer_recv_fds(
        cons: *mut zbq_consumer,
        expected_seq_id: u64,
        out_fds: *mut c_int,
        out_fd_count: *mut u8,
    ) -> c_int;
    /// A number that changes with every event that one may wait for.
    pub fn zbq_consumer_get_futex_token(cons: *const zbq_consumer) -> u32;
    /// Sleeps until that number is another.
    pub fn zbq_consumer_wait_broadcast(cons: *mut zbq_consumer, token: u32) -> c_int;
    /// As that, for so many nanoseconds at the most.
    pub fn zbq_consumer_wait(cons: *mut zbq_consumer, token: u32, timeout_ns: u64) -> c_int;
    /// Looks again and again until there is something to read.
    pub fn zbq_consumer_spin(cons: *mut zbq_consumer, timeout_ns: u64) -> c_int;
    /// A descriptor that becomes readable when there is something to do.
    pub fn zbq_consumer_event_fd(cons: *mut zbq_consumer) -> c_int;
    /// How the stream stands, and why this consumer was evicted.
    pub fn zbq_consumer_ending(cons: *const zbq_consumer, out_eviction: *mut u32) -> zbq_ending;
    /// The consumer's tail.
    pub fn zbq_consumer_tail(cons: *const zbq_consumer) -> u64;
    /// The control region, mapped read-only.
    pub fn zbq_consumer_ctrl(cons: *const zbq_consumer) -> *const zbq_control_region;
    /// The consumer's own page.
    pub fn zbq_consumer_meta(cons: *mut zbq_consumer) -> *mut zbq_consumer_metadata;

    // ---- about ----

    /// What an error code means, in English.
    pub fn zbq_strerror(error: c_int) -> *const c_char;
    /// What an eviction's reason means, in English.
    pub fn zbq_strevict(eviction: u32) -> *const c_char;
    /// Of the library that runs: major << 16 | minor << 8 | patch.
    pub fn zbq_version() -> u32;
    /// Makes memory to be passed to other processes: its descriptor.
    pub fn zbq_memory_create(size: u64) -> c_int;
}
