# SPDX-License-Identifier: MIT
"""A producer of zbq's protocol: see zbq.py."""
import bisect
import collections
import errno
import fcntl
import os
import select
import socket
import struct
import termios
import time

import zbq
from zbq import ASLEEP, NAP, POLLS, PUSH

Retained = collections.namedtuple("Retained", "offset header payload fds")


class Offer:
    """Section 6: all that a join takes, made and not yet sent."""

    def __init__(self, producer, slot, mode, start):
        self.page_fd, self.page = zbq.create("page", zbq.PAGE_SIZE, zbq.PAGE_SEALS)
        self.side, self.far_side = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.event, self.far_event = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.payload = dict(
            ring_capacity=producer.capacity, join_baseline=zbq.coarse_now(),
            initial_head=start, producer_pid=os.getpid(), slot_index=slot,
            wakeup_mode=mode, protocol_version=zbq.VERSION, seq_floor=producer.seq_id,
            type_hash=0, type_size=0, type_align=0)
        self.pidfd = os.pidfd_open(os.getpid())
        self.fds = [producer.control_fd, producer.ring_fd, self.page_fd, self.far_side.fileno(),
                    self.pidfd, self.far_event.fileno()]
        if producer.retained:
            self.fds.append(producer.retained_fd)
        self.page.put64(zbq.TAIL_OFFSET, start)
        self.page.put64(zbq.JOIN_BASELINE, self.payload["join_baseline"])
        self._prepare_sockets()
        if not zbq.pulls(mode):
            self._send_retained(producer.retained)

    def _prepare_sockets(self):
        self.side.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        zbq.set_where_known(self.side, zbq.SO_PASSPIDFD, 1)
        for near, far in (self.side, self.far_side), (self.event, self.far_event):
            near.setblocking(False)
            zbq.set_where_known(near, zbq.SO_PASSRIGHTS, 0)
            far.setsockopt(socket.SOL_SOCKET, zbq.SO_LOCK_FILTER, 1)
        zbq.ring_bell(self.event)

    def _send_retained(self, retained):
        for message in retained.values():
            if message.fds:
                _, _, _, _, seq_id = zbq.HEADER.unpack(message.header)
                zbq.send_with(self.side, zbq.RECORD.pack(seq_id, len(message.fds), 0), message.fds)

    def send(self, rendezvous):
        data = zbq.JOIN.pack(*(self.payload[name] for name in zbq.JOIN_FIELDS))
        zbq.send_with(rendezvous, data, self.fds)
        self.far_side.close()
        self.far_event.close()
        os.close(self.page_fd)
        os.close(self.pidfd)


class Consumer:
    """What the producer keeps of one that has joined."""

    def __init__(self, offer):
        self.page, self.side, self.event = offer.page, offer.side, offer.event
        self.slot, self.mode = offer.payload["slot_index"], offer.payload["wakeup_mode"]
        self.observes, self.pushes = zbq.observes(self.mode), not zbq.pulls(self.mode)
        self.parked = zbq.parked_at(self.slot)
        self.tail = offer.payload["initial_head"]
        self.announced = False
        self.witness = None  # a pidfd of its process
        self.reason = 0

    def read_announcement(self):
        """One for each join. The kernel attaches whose it is; before Linux 6.5 a number alone."""
        room = socket.CMSG_SPACE(12) + socket.CMSG_SPACE(4)
        try:
            data, control, _, _ = self.side.recvmsg(zbq.ANNOUNCEMENT.size, room)
        except OSError:
            return
        self.announced = True
        parts = {kind: value for _, kind, value in control}
        if zbq.SCM_PIDFD in parts:
            self.witness = struct.unpack("i", parts[zbq.SCM_PIDFD])[0]
        elif data:
            self.witness = os.pidfd_open(struct.unpack("iII", parts[zbq.SCM_CREDENTIALS])[0])

    def has_collected_all(self):
        """By the kernel's account."""
        left = struct.unpack("i", fcntl.ioctl(self.side, termios.TIOCOUTQ, bytes(4)))[0]
        return left == 0

    def close(self):
        self.side.close()
        self.event.close()
        self.page.close()
        if self.witness is not None:
            os.close(self.witness)


class Stall:
    """Section 9, reasons 2 and 3: at least so much is to be done in each stall timeout."""

    def __init__(self, timeout, done):
        self.timeout = timeout
        self._begin(done)

    def _begin(self, done):
        self.done, self.since = done, time.monotonic()

    def is_over(self, done, least):
        if time.monotonic() - self.since < self.timeout:
            return False
        too_little = done - self.done < least
        self._begin(done)
        return too_little


class Producer:
    def __init__(self, capacity, stall_timeout=30.0):
        self.capacity, self.stall_timeout = capacity, stall_timeout
        self.control_fd, self.control = zbq.create("control", zbq.CONTROL_SIZE, zbq.READ_ONLY_SEALS)
        self.ring_fd, self.ring = zbq.create("ring", capacity, zbq.READ_ONLY_SEALS, times=2)
        self.head = self.bell = self.seq_id = self.floor = 0
        self.starts = []  # of all messages from the floor on
        self.consumers = []
        self.retained, self.retained_fd = {}, -1  # by key, in the order of the changes
        self.ring_id = os.urandom(zbq.RING_ID_SIZE)
        self.control.put_bytes(zbq.RING_ID, self.ring_id)
        self.control.put32(zbq.PRODUCER_PID, os.getpid())
        self.control.put64(zbq.RING_CAPACITY, capacity)
        self.control.put64(zbq.CLOG_THRESHOLD, capacity)
        self.control.put64(zbq.STALL_TIMEOUT, int(stall_timeout * 1e9))

    def offer(self, mode, start=None):
        taken = {consumer.slot for consumer in self.consumers}
        slot = next(s for s in range(len(taken) + 1) if s not in taken)
        return Offer(self, slot, mode, self.head if start is None else start)

    def join(self, rendezvous, mode=PUSH, start=None):
        offer = self.offer(mode, start)
        offer.send(rendezvous)
        self.consumers.append(Consumer(offer))
        return self.consumers[-1]

    def find_start(self, start):
        """Section 13: where a reader starts that wants to start there; None: nowhere."""
        if start.at == zbq.HEAD:
            return self.head
        if start.at == zbq.LAST:
            return self._start_from(self.head - start.offset)
        is_gone = start.ring_id not in (self.ring_id, bytes(zbq.RING_ID_SIZE)) or \
            start.offset <= self.floor
        if start.at == zbq.OLDEST or is_gone:
            return self.floor
        return start.offset if self._start_from(start.offset) == start.offset else None

    def _start_from(self, offset):
        """Where the first message starts at that offset or past it; the head, where none does."""
        return (self.starts[bisect.bisect_left(self.starts, offset):] + [self.head])[0]

    # ---- Messages

    def publish(self, payload, flags=0, fds=(), key=0):
        """Waits for room, for as long as it takes. Gives where the message starts."""
        size = zbq.on_grid(zbq.HEADER.size + len(payload))
        if size > self.capacity or len(fds) > zbq.MAX_DESCRIPTORS:
            raise ValueError("more than a message can be")
        self.wait_for_room(size)
        seq_id = self.send_record(fds) if fds else 0
        start = self.head
        self._give_up_for(start + size)
        self.ring.put_bytes(start % self.capacity, zbq.HEADER.pack(
            len(payload), len(fds), flags, key, seq_id) + payload)
        self.starts.append(start)
        self.head += size
        self.control.put64(zbq.PRODUCER_HEAD, self.head)
        self.control.put64(zbq.NEWEST, start)
        self._wake()
        return start

    def _give_up_for(self, limit):
        """Section 5.1: before bytes up to the limit are written."""
        if limit - self.capacity > self.floor:
            self.floor = self._start_from(limit - self.capacity)
            self.starts = self.starts[bisect.bisect_left(self.starts, self.floor):]
            self.control.put64(zbq.FLOOR, self.floor)

    # ---- What newcomers get: section 6.1

    def retain(self, key, payload, fds=()):
        """Publishes it, too. The descriptors are the caller's to leave open."""
        start = self.publish(payload, fds=fds, key=key)
        header = zbq.HEADER.pack(len(payload), len(fds), 0, key, self.seq_id if fds else 0)
        self.retained.pop(key, None)
        self.retained[key] = Retained(start, header, payload, list(fds))
        self._make_retained()

    def forget(self, key):
        self.publish(b"", key=key | zbq.FORGOTTEN)
        del self.retained[key]
        self._make_retained()

    def _make_retained(self):
        entries = [zbq.RETAINED_ENTRY.pack(one.offset) + one.header +
                   one.payload.ljust(zbq.on_grid(len(one.payload)), b"\0")
                   for one in self.retained.values()]
        data = zbq.RETAINED_HEAD.pack(len(entries)) + b"".join(entries)
        page = os.sysconf("SC_PAGE_SIZE")
        size = (len(data) + page - 1) // page * page
        self._drop_retained()
        self.retained_fd, memory = zbq.create("retained", size, zbq.READ_ONLY_SEALS)
        memory.put_bytes(0, data)
        memory.close()

    def _drop_retained(self):
        if self.retained_fd >= 0:
            os.close(self.retained_fd)
            self.retained_fd = -1

    # ---- Room

    def wait_for_room(self, wanted):
        """Section 8.4."""
        needed = self.head + wanted - self.capacity
        if self._least_tail() >= needed:
            return
        least = min(wanted, self.capacity // 16)
        stalls = {c: Stall(self.stall_timeout, c.tail) for c in self._waited_for()}
        self.control.put64(zbq.AWAITED_TAIL, needed)
        pause = NAP
        while self._least_tail() < needed:
            self.listen(pause)
            pause = min(2 * pause, zbq.LOOK_AGAIN)
            for consumer in self._waited_for():
                if consumer.tail < needed and stalls[consumer].is_over(consumer.tail, least):
                    self.evict(consumer, zbq.STALLED)
        self.control.put64(zbq.AWAITED_TAIL, 0)

    def _waited_for(self):
        return [consumer for consumer in self.consumers if not consumer.observes]

    def _least_tail(self):
        for consumer in self._waited_for():
            tail = consumer.page.u64(zbq.TAIL_OFFSET)
            if tail % zbq.GRID or not consumer.tail <= tail <= self.head:
                self.evict(consumer, zbq.BAD_TAIL)
            else:
                consumer.tail = tail
        return min((consumer.tail for consumer in self._waited_for()), default=self.head)

    def listen(self, seconds=0.0):
        """Waits for a bell, takes those that were rung, and finds out who is dead."""
        poll, of = select.poll(), {}
        for consumer in self.consumers:
            if not consumer.announced:
                consumer.read_announcement()
            for fd in consumer.event.fileno(), consumer.witness:
                if fd is not None:
                    of[fd] = consumer
                    poll.register(fd, select.POLLIN)
        for fd, _ in poll.poll(seconds * 1000):
            consumer = of[fd]
            if consumer.reason == 0 and (fd == consumer.witness or not self._take_bell(consumer)):
                self.evict(consumer, zbq.DEAD)

    @staticmethod
    def _take_bell(consumer):
        try:
            return consumer.event.recv(1) != b""
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False

    # ---- Descriptors: section 7

    def send_record(self, fds):
        self.seq_id += 1
        record = zbq.RECORD.pack(self.seq_id, len(fds), 0)
        for consumer in [c for c in self._waited_for() if c.pushes]:
            stall = Stall(self.stall_timeout, 0)
            while consumer.reason == 0 and not self._sent(consumer, record, fds):
                self._wait_for_side(consumer)
                if consumer.reason == 0 and stall.is_over(0, 1):
                    self.evict(consumer, zbq.UNCOLLECTED)
        for observer in [c for c in self.consumers if c.observes and c.pushes]:
            if observer.has_collected_all():  # else this one is dropped
                self._sent(observer, record, fds)
        self._ring()
        self._wake()
        return self.seq_id

    def _sent(self, consumer, record, fds):
        try:
            zbq.send_with(consumer.side, record, fds)
        except OSError as error:
            # ETOOMANYREFS: too many are in flight for this user, to whomever.
            if error.errno not in (errno.EAGAIN, errno.ETOOMANYREFS):
                self.evict(consumer, zbq.DEAD)
            return False
        return True

    def _wait_for_side(self, consumer):
        poll = select.poll()
        poll.register(consumer.side, select.POLLOUT)
        poll.poll(zbq.LOOK_AGAIN * 1000)
        self.listen(0.001)  # a pause: after ETOOMANYREFS the poll has not waited

    # ---- Those who wait: section 8

    def _ring(self):
        self.bell = (self.bell + 1) % 2**32
        self.control.put32(zbq.BROADCAST_FUTEX, self.bell)

    def _wake(self):
        for consumer in self.consumers:
            if consumer.pushes:
                self._wake_one(consumer)

    @staticmethod
    def _wake_one(consumer):
        """The page exchanges `parked` for 0. To clear the bits that were seen does as well, and is
        what the kernel can do for us: nobody but the producer clears POLLS, and a sleeper whose
        ASLEEP came too late to be seen is one that finds the event before it sleeps or naps."""
        seen = consumer.page.u32(consumer.parked) & (ASLEEP | POLLS)
        if seen:
            consumer.page.clear_bits(consumer.parked, seen)
            if seen & POLLS and not zbq.ring_bell(consumer.event):
                consumer.page.set_bits(consumer.parked, POLLS)

    def evict(self, consumer, reason):
        """Section 9."""
        consumer.reason = reason
        consumer.page.put32(zbq.EVICTION, reason)
        self.consumers.remove(consumer)
        self._ring()
        if consumer.page.u32(consumer.parked) & ASLEEP:
            consumer.page.clear_bits(consumer.parked, ASLEEP)
        consumer.close()

    def end(self):
        """Section 10."""
        self.control.put32(zbq.CLOSED, 1)
        self._ring()
        self._wake()
        for consumer in self.consumers:
            consumer.close()
        self.consumers = []

    def close(self):
        self.end()
        for memory in self.control, self.ring:
            memory.close()
        os.close(self.control_fd)
        os.close(self.ring_fd)
        self._drop_retained()
