# SPDX-License-Identifier: MIT
"""The statistics page, section 15: read, and written. See zbq.py."""
import os
import struct
import time

import zbq
from zbq import Malformed, Memory

MESSAGE = struct.Struct("<4sIQ")
HEAD = struct.Struct("<4sIIIII40x")
MAGIC, VERSION = b"zbqs", 1
MOST_BYTES, MOST_TRIES = 4194304, 16

RING = struct.Struct("<16s11Q8QQIIiIIIII112s32x")
RING_FIELDS = ("ring_id written_at created_at capacity head slowest_tail stall_timeout full joined "
               "failures scans wakes evicted evicted_1 evicted_2 evicted_3 evicted_4 evicted_5 "
               "evicted_6 evicted_7 type_hash type_size type_align pid consumers max_consumers "
               "slots slowest_slot closed name").split()
SLOT = struct.Struct("<10QiIIIII24x")
SLOT_FIELDS = ("join_number joined_at evicted_at moved_at tail lag times_slowest held lost_bytes "
               "dropped_records pid uid mode eviction in_flight in_the_way").split()
NO_SLOT = 0xFFFFFFFF
assert (HEAD.size, RING.size, SLOT.size) == (64, 352, 128)


def _copy_size(ring_size, slot_size, slots):
    return (64 + ring_size + slot_size * slots + 63) // 64 * 64


def inspect(name, timeout=30.0):
    """Asks the listener of that name: section 13."""
    with zbq.say(name, zbq.inquiry(), timeout) as connection:
        return receive(connection)


def receive(connection):
    data, fds, cut_off = zbq.receive_with(connection, MESSAGE.size, 2)
    try:
        if len(data) != MESSAGE.size or len(fds) != 1 or cut_off:
            raise Malformed("the producer is gone" if not data else "not a page")
        if MESSAGE.unpack(data)[:2] != (MAGIC, VERSION):
            raise Malformed("another version")
        return Page(fds[0])
    finally:
        for fd in fds:
            os.close(fd)


class Page:
    """A page of another process, mapped read-only. The descriptor stays the caller's."""

    def __init__(self, fd):
        size = os.fstat(fd).st_size
        if not HEAD.size <= size <= MOST_BYTES:
            raise Malformed("a page of another size")
        zbq.check_memory(fd, size, zbq.READ_ONLY_SEALS)
        self.memory = Memory(fd, size, False)
        magic, version, *sizes = HEAD.unpack(self.memory.bytes(0, HEAD.size))
        self.head_size, self.ring_size, self.slot_size, self.slots = sizes
        if (magic, version) != (MAGIC, VERSION) or any(part % 8 for part in sizes[:3]):
            raise Malformed("no page, or one of another version")
        self.copy_size = _copy_size(*sizes[1:])
        if (self.head_size < HEAD.size or self.ring_size < RING.size or self.slot_size < SLOT.size
                or self.head_size + 2 * self.copy_size > size):
            raise Malformed("its parts are not where they should be")

    def read(self):
        """The ring's account, and those of the slots; None where none is whole."""
        for _ in range(MOST_TRIES):
            copies = [self.head_size + number * self.copy_size for number in (0, 1)]
            sequence, copy = max((self.memory.u64(at), at) if self.memory.u64(at) % 2 == 0 else (0, at)
                                 for at in copies)
            data = self.memory.bytes(copy + 64, self.ring_size + self.slot_size * self.slots)
            if sequence and self.memory.u64(copy) == sequence:
                return self._parse(data)
        return None

    def _parse(self, data):
        ring = dict(zip(RING_FIELDS, RING.unpack_from(data)))
        ring["slots"] = self.slots
        ring["name"] = ring["name"].partition(b"\0")[0]
        return ring, [dict(zip(SLOT_FIELDS, SLOT.unpack_from(data, self.ring_size + i * self.slot_size)))
                      for i in range(self.slots)]


class Own:
    """A producer's: lines may be longer than today's, and anything may be in them."""

    def __init__(self, slots, more_head=0, more_ring=0, more_slot=0):
        self.head_size, self.accounts, self.slots = HEAD.size + more_head, 0, slots
        self.ring_size, self.slot_size = RING.size + more_ring, SLOT.size + more_slot
        self.copy_size = _copy_size(self.ring_size, self.slot_size, slots)
        unit = os.sysconf("SC_PAGE_SIZE")
        size = (self.head_size + 2 * self.copy_size + unit - 1) // unit * unit
        self.fd, self.memory = zbq.create("statistics", size, zbq.READ_ONLY_SEALS)
        self.memory.put_bytes(0, HEAD.pack(MAGIC, VERSION, self.head_size, self.ring_size,
                                           self.slot_size, slots))

    def write(self, ring, slots=()):
        self.accounts += 1
        copy = self.head_size + self.accounts % 2 * self.copy_size
        self.memory.put64(copy, 2 * self.accounts - 1)
        values = {"written_at": time.monotonic_ns(), "slots": self.slots, "slowest_slot": NO_SLOT, **ring}
        blank = {name: b"" if name in ("ring_id", "name") else 0 for name in RING_FIELDS}
        self.memory.put_bytes(copy + 64, RING.pack(*{**blank, **values}.values()))
        for number, slot in enumerate(slots):
            line = {**dict.fromkeys(SLOT_FIELDS, 0), **slot}
            self.memory.put_bytes(copy + 64 + self.ring_size + number * self.slot_size,
                                  SLOT.pack(*line.values()))
        self.memory.put64(copy, 2 * self.accounts)

    def send(self, connection):
        zbq.send_with(connection, MESSAGE.pack(MAGIC, VERSION, 0), [self.fd])

    def close(self):
        os.close(self.fd)
        self.memory.close()
