# SPDX-License-Identifier: MIT
"""A consumer of zbq's protocol: see zbq.py."""
import collections
import os
import select
import signal
import socket
import struct
import time

import zbq
from zbq import ASLEEP, JOIN, NAP, POLLS, PUSH, Malformed

# With its place in the stream, and the key that it is or was retained under.
Message = collections.namedtuple("Message", "payload flags fd_count seq_id offset key",
                                 defaults=(None, 0))


class Ended(Exception):
    """There are no more messages."""


class Died(Ended):
    """The same, because the producer died or executed another program."""


class Evicted(Exception):
    """The slot is lost: nothing more can be read."""

    def __init__(self, reason):
        super().__init__("evicted for reason %d" % reason)
        self.reason = reason


class Lost(Exception):
    """The descriptors of that message will never come."""


class Lapped(Exception):
    """What an observer looked at may be overwritten."""


def connect(name, mode=PUSH, timeout=30.0, start=zbq.Start()):
    with zbq.say_hello(name, mode, start, timeout) as connection:
        reader = join(connection, mode)
    _go_on_to(reader, start)
    return reader


def _go_on_to(reader, start):
    """Section 13: from the start that the producer knows to the one that was asked for."""
    head, own = reader.control.u64(zbq.PRODUCER_HEAD), (reader.ring_id, bytes(zbq.RING_ID_SIZE))
    if start.at == zbq.LAST:
        wanted = head - start.offset
    elif start.at == zbq.OFFSET and start.ring_id in own:
        wanted = start.offset
    else:
        return
    while reader.at < wanted and reader.next():
        pass
    reader.release()
    if start.at == zbq.OFFSET and reader.at != wanted and wanted > reader.first:
        raise zbq.NoSuchStart("no message starts there")


def join(rendezvous, mode=PUSH):
    """Section 6: receives the join, checks and announces."""
    data, fds, cut_off = zbq.receive_with(rendezvous, JOIN.size, 7)
    try:
        if len(data) != JOIN.size or len(fds) not in (6, 7):
            raise Malformed("the producer is gone" if not data else "not a join")
        if cut_off:
            raise Malformed("more than a join, or no room for its descriptors")
        offer = dict(zip(zbq.JOIN_FIELDS, JOIN.unpack(data)))
        _check_payload(offer, mode)
        _check_sockets(fds, mode)
        _check_pidfd(fds[4])
        for fd, size, seals in zip(fds, (zbq.CONTROL_SIZE, offer["ring_capacity"], zbq.PAGE_SIZE),
                                   (zbq.READ_ONLY_SEALS, zbq.READ_ONLY_SEALS, zbq.PAGE_SEALS)):
            zbq.check_memory(fd, size, seals)
        retained = _read_retained(fds[6]) if len(fds) == 7 else []
        reader = (Observer if zbq.observes(mode) else Reader)(offer, fds, retained)
    except (OSError, Malformed) as error:
        for fd in fds:
            os.close(fd)
        raise Malformed(str(error)) from error
    for fd in fds[:3] + fds[6:]:
        os.close(fd)
    return reader


def _read_retained(fd):
    """Section 6.1: the messages, copied."""
    size = os.fstat(fd).st_size
    if size == 0 or size % os.sysconf("SC_PAGE_SIZE") or size > zbq.MOST_RETAINED_BYTES:
        raise Malformed("not what can be retained")
    zbq.check_memory(fd, size, zbq.READ_ONLY_SEALS)
    memory = zbq.Memory(fd, size, False)
    data = memory.bytes(0, size)
    memory.close()
    count, = zbq.RETAINED_HEAD.unpack_from(data)
    messages, at = [], zbq.RETAINED_HEAD.size
    for _ in range(min(count, zbq.MOST_RETAINED)):
        start = at + zbq.RETAINED_ENTRY.size + zbq.HEADER.size
        if start > size:
            raise Malformed("more is retained than there is room for")
        offset, = zbq.RETAINED_ENTRY.unpack_from(data, at)
        length, fd_count, flags, key, seq_id = zbq.HEADER.unpack_from(
            data, at + zbq.RETAINED_ENTRY.size)
        at = start + zbq.on_grid(length)
        if at > size:
            raise Malformed("more is retained than there is room for")
        messages.append(
            Message(data[start:start + length], flags, fd_count, seq_id, offset, key))
    return messages


def _check_payload(offer, mode):
    capacity, page = offer["ring_capacity"], os.sysconf("SC_PAGE_SIZE")
    if offer["protocol_version"] != zbq.VERSION:
        raise Malformed("another version")
    if offer["wakeup_mode"] != mode:
        raise Malformed("another mode")
    if capacity == 0 or capacity % 4096 or capacity % page or capacity > 2**46:
        raise Malformed("not a capacity")
    if offer["initial_head"] % zbq.GRID:
        raise Malformed("the initial head is not on the grid")


def _check_sockets(fds, mode):
    for fd, takes_descriptors in (fds[3], not zbq.pulls(mode)), (fds[5], False):
        sock = socket.socket(fileno=fd)
        try:
            if (sock.family, sock.type) != (socket.AF_UNIX, socket.SOCK_SEQPACKET):
                raise Malformed("another kind of socket")
            if not takes_descriptors:
                _take_no_descriptors(sock)
        finally:
            sock.detach()


def _take_no_descriptors(sock):
    zbq.set_where_known(sock, zbq.SO_PASSRIGHTS, 0)
    try:
        if sock.recvmsg(1, 0, socket.MSG_PEEK | socket.MSG_DONTWAIT)[2] & socket.MSG_CTRUNC:
            raise Malformed("descriptors that nobody asked for")
    except (BlockingIOError, ConnectionResetError):
        pass


def _check_pidfd(fd):
    try:
        signal.pidfd_send_signal(fd, 0)
    except (PermissionError, ProcessLookupError):
        pass  # it is one, of somebody else's process or of one that has ended


class Reader:
    """Looks that never wait (next, descriptors), and two ways to wait for what they look for."""

    def __init__(self, offer, fds, retained):
        self.capacity = offer["ring_capacity"]
        self.control = zbq.Memory(fds[0], zbq.CONTROL_SIZE, False)
        if self.control.u64(zbq.RING_CAPACITY) != self.capacity:
            self.control.close()
            raise Malformed("two capacities")
        self.ring = zbq.Memory(fds[1], self.capacity, False, times=2)
        self.page = zbq.Memory(fds[2], zbq.PAGE_SIZE, True)
        self.mode = offer["wakeup_mode"]
        self.parked = zbq.parked_at(offer["slot_index"])
        self.baseline = offer["join_baseline"]
        self.first = self.at = self.tail = self.head = offer["initial_head"]
        self.ring_id = self.control.bytes(zbq.RING_ID, zbq.RING_ID_SIZE)
        self.retained = retained
        self.record_floor = offer["seq_floor"]
        # Of the last record received, with what is left of it.
        self.record_id = 0 if retained else self.record_floor
        self.record_fds = []
        self.broken = None
        self.side, self.event = socket.socket(fileno=fds[3]), socket.socket(fileno=fds[5])
        self.pidfd = fds[4]
        self._announce(offer["slot_index"])

    def _announce(self, slot):
        try:
            self.side.send(zbq.ANNOUNCEMENT.pack(zbq.MAGIC, slot, 0), socket.MSG_DONTWAIT)
        except OSError:
            pass  # the shared memory tells why

    def close(self):
        self.side.close()
        self.event.close()
        for fd in [self.pidfd] + self.record_fds:
            os.close(fd)
        for memory in self.control, self.ring, self.page:
            memory.close()

    # ---- Messages

    def next(self):
        """The next message; None: not yet."""
        message = self._next()
        if message is None:
            end = self._end()
            if end:
                message = self._next()  # what counts is a head that was loaded after that
                if message is None:
                    raise end
        return message

    def _next(self):
        if self.broken:
            raise self.broken
        message = self._copy(self._accepted_head())
        self._check_eviction()  # after the bytes: they were whole only if it is not there yet
        if message:
            self.at += zbq.on_grid(zbq.HEADER.size + len(message.payload))
        return message

    def _accepted_head(self):
        head = self.control.u64(zbq.PRODUCER_HEAD)
        if head % zbq.GRID or not self.head <= head <= self.tail + self.capacity:
            self._break("a head that cannot be")
        self.head = head
        return head

    def _copy(self, head):
        if self.at == head:
            return None
        place = self.at % self.capacity
        length, fd_count, flags, key, seq_id = zbq.HEADER.unpack(
            self.ring.bytes(place, zbq.HEADER.size))
        if zbq.on_grid(zbq.HEADER.size + length) > head - self.at:
            self._break("a length that makes no message")
        payload = self.ring.bytes(place + zbq.HEADER.size, length)
        return Message(payload, flags, fd_count, seq_id, self.at, key)

    def release(self):
        """Of all that was read."""
        before, self.tail = self.tail, self.at
        self.page.put64(zbq.PROGRESS_TIMESTAMP, zbq.coarse_now() - self.baseline)
        self.page.put64(zbq.TAIL_OFFSET, self.tail)
        if before < self.control.u64(zbq.AWAITED_TAIL) <= self.tail:
            zbq.ring_bell(self.event)

    def _break(self, why):
        self._check_eviction()
        self.broken = Malformed(why)
        raise self.broken

    def _check_eviction(self):
        reason = self.page.u32(zbq.EVICTION)
        if reason:
            raise Evicted(reason)

    def _end(self):
        if self.control.u32(zbq.CLOSED):
            return Ended()
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        poll.register(self.event, 0)  # POLLHUP is always told
        if not poll.poll(0):
            return None
        # One that ends properly stores its mark first and closes its sockets after.
        return Ended() if self.control.u32(zbq.CLOSED) else Died()

    # ---- Descriptors

    def descriptors(self, message):
        """Those of a message, for the caller to close; None: not yet."""
        if zbq.pulls(self.mode) or message.fd_count == 0:
            raise Lost()
        if message.seq_id <= self.record_floor and message not in self.retained:
            raise Lost()
        while self.record_id < message.seq_id:
            over = self._end() or self.page.u32(zbq.EVICTION)  # before the look below
            if not self._receive():
                if over:
                    raise Lost()
                return None
        if self.record_id > message.seq_id or not self.record_fds:
            raise Lost()
        fds, self.record_fds = self.record_fds, []
        return fds

    def _receive(self):
        """Whether there was another record. It takes the place of the one before."""
        try:
            data, fds, cut_off = self._receive_packet()
        except BlockingIOError:
            return False
        if not data and not fds:
            raise Lost()
        for fd in self.record_fds:
            os.close(fd)
        self.record_fds = fds
        if len(data) != zbq.RECORD.size or cut_off:
            raise Malformed("not a record, or no room for its descriptors")
        seq_id, count, _ = zbq.RECORD.unpack(data)
        if seq_id <= self.record_id or count == 0 or count != len(fds):
            raise Malformed("a record that cannot be")
        self.record_id = seq_id
        return True

    def _receive_packet(self):
        arguments = self.side, zbq.RECORD.size, zbq.MAX_DESCRIPTORS, socket.MSG_DONTWAIT
        try:
            return zbq.receive_with(*arguments)
        except ConnectionResetError:  # said once, before what is still queued
            return zbq.receive_with(*arguments)

    # ---- Waiting

    def sleep(self, look, slice_=zbq.LOOK_AGAIN):
        """Section 8.1: calls look() until it gives something, and sleeps in between."""
        while True:
            token = self._token()
            found = look()
            if found is not None:
                return found
            marked = self.page.u32(self.parked) | ASLEEP
            self.page.set_bits(self.parked, ASLEEP)
            for seconds in self._nap(), slice_:
                if self._token() != token or not self.page.sleep(self.parked, marked, seconds):
                    break
            self.page.clear_bits(self.parked, ASLEEP)

    def poll(self, look):
        """Section 8.2: the same, as a program does that has other descriptors to wait for, too."""
        poll = select.poll()
        poll.register(self.event, select.POLLIN)
        poll.register(self.pidfd, select.POLLIN)
        while True:
            self._take_bell()
            stood = self.page.u32(self.parked) & POLLS
            self.page.set_bits(self.parked, POLLS)
            nap = self._nap()
            found = look()
            if found is not None:
                return found
            poll.poll(None if stood and nap == NAP else nap * 1000)

    def _token(self):
        bell = self.control.u32(zbq.BROADCAST_FUTEX)
        return (bell + self.control.u64(zbq.PRODUCER_HEAD) // 16) % 2**32

    def _nap(self):
        quiet = (self.page.u64(zbq.QUIET_UNTIL) - time.monotonic_ns()) / 1e9
        return NAP + min(max(quiet, 0), 0.1)

    def _take_bell(self):
        try:
            self.event.recv(1, socket.MSG_DONTWAIT)
        except (BlockingIOError, ConnectionResetError):
            pass


class Observer(Reader):
    """Section 5.2: the same of a ring that does not wait for it. After what it gives comes what
    is next, or what is left: `lost` counts the bytes that were overwritten before that."""

    floor = lost = 0

    def _next(self):
        """None also where it was lapped again and again."""
        if self.broken:
            raise self.broken
        for _ in range(zbq.MOST_LAPS):
            try:
                message = self._copy(self._accepted_head())
                self._check_floor(self.at)
            except Lapped:
                continue
            self._check_eviction()
            if message:
                self.at += zbq.on_grid(zbq.HEADER.size + len(message.payload))
            return message
        self._check_eviction()
        return None

    def _accepted_head(self):
        """And the floor, below which nothing is left."""
        before = self.control.u64(zbq.FLOOR)
        head = self.control.u64(zbq.PRODUCER_HEAD)
        floor = self.control.u64(zbq.FLOOR)
        if head % zbq.GRID or before % zbq.GRID or floor % zbq.GRID:
            self._break_for_good("a head or a floor off the grid")
        if head < self.head or not self.floor <= before <= floor or before > head or \
                floor < head - self.capacity:
            self._break_for_good("a head or a floor that cannot be")
        if floor > head:
            raise Lapped()
        self.head, self.floor = head, floor
        if self.at < floor:
            self.lost += floor - self.at
            self.at = floor
        return head

    def skip_to_newest(self):
        """Goes on at the newest message, unless it was read. Whether a look was quick enough."""
        for _ in range(zbq.MOST_LAPS):
            start = self.control.u64(zbq.NEWEST)
            try:
                at = self._last_from(start, self._accepted_head())
            except Lapped:
                continue
            self.at = max(self.at, at)
            return True
        return False

    def _last_from(self, start, head):
        """Where the last message starts; the head, where there is none."""
        if start % zbq.GRID:
            self._break_for_good("a newest message off the grid")
        at, last = max(start, self.floor), head
        while at < head:
            length, = struct.unpack("I", self.ring.bytes(at % self.capacity, 4))
            self._check_floor(at)
            last, at = at, at + zbq.on_grid(zbq.HEADER.size + length)
            if at > head:
                self._break_for_good("a length that makes no message")
        return last

    def _check_floor(self, offset):
        """After the bytes: those from the offset on were whole only if the floor is not above."""
        if self.control.u64(zbq.FLOOR) > offset:
            raise Lapped()

    def _break(self, why):
        self._check_floor(self.at)  # then what was read may be no length
        self._break_for_good(why)

    def _break_for_good(self, why):
        super()._break(why)
