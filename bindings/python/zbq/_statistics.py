# SPDX-License-Identifier: MIT
"""Accounts of a ring and of its slots."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ProducerStatistics:
    """Counters of a ring, as its producer has them."""

    head: int
    """Bytes committed since the start."""
    slowest_tail: int
    """The least of the tails; the head with no consumer."""
    joined: int
    """Consumers that ever got a slot."""
    evicted: tuple[int, ...]
    """By :class:`zbq.Eviction`; the first is their sum."""
    failures: int
    """Failed attempts to get room or to send descriptors."""
    scans: int
    """Of all consumers."""
    wakes: int
    """Wake-ups made."""
    consumers: int
    """Slots taken now."""
    max_consumers: int
    """Slots."""


@dataclass(frozen=True)
class ConsumerInfo:
    """What a producer knows of the consumer in a slot."""

    slot: int
    lag: int
    """Bytes committed that it has not let go."""
    join_number: int
    """1 for the first join of this ring; 0: nobody ever had the slot."""
    pid: int
    """As the kernel told at a scan; 0 while unknown."""
    mode: int
    """As the protocol has it: bit 0 pull, bit 1 observes."""
    eviction: int
    """Of :class:`zbq.Eviction`; 0: it has the slot."""
    fds_in_flight: int
    """Descriptors sent to it and not collected."""
    tail: int
    """Up to here it has let go."""
    dropped_records: int
    """Of descriptors: an observer had no room for them."""


@dataclass(frozen=True)
class RingStatistics:
    """Of a ring, as its producer last wrote it for others. Times are nanoseconds of the producer's
    ``CLOCK_MONOTONIC``. All of it is the producer's word; its name is not to be printed unseen."""

    ring_id: bytes
    written_at: int
    created_at: int
    capacity: int
    head: int
    slowest_tail: int
    stall_timeout_ns: int
    full_ns: int
    """How long the producer has waited for room."""
    joined: int
    failures: int
    scans: int
    wakes: int
    evicted: tuple[int, ...]
    """By :class:`zbq.Eviction`; the first is their sum."""
    type: tuple[int, int, int]
    """Hash, size and alignment of the payloads; zeros: not told."""
    pid: int
    consumers: int
    max_consumers: int
    slots: int
    slowest_slot: int
    """Who is furthest behind of those that hold the stream back; 0xffffffff: nobody does."""
    closed: bool
    """Whether the stream has ended: then it is the last account."""
    name: bytes


@dataclass(frozen=True)
class SlotStatistics:
    """Of the consumer that has a slot, or had it last."""

    join_number: int
    joined_at: int
    evicted_at: int
    moved_at: int
    tail: int
    lag: int
    times_slowest: int
    held_ns: int
    lost_bytes: int
    dropped_records: int
    pid: int
    uid: int
    mode: int
    eviction: int
    fds_in_flight: int
    in_the_way: int
