# SPDX-License-Identifier: MIT
"""A producer of zbq's protocol: see zbq.py."""
import errno
import os
import select
import socket
import struct
import time

import zbq
from zbq import ASLEEP, NAP, POLLS, PUSH


class Offer:
    """Section 6: all that a join takes, made and not yet sent."""

    def __init__(self, producer, slot, mode):
        self.page_fd, self.page = zbq.create("page", zbq.PAGE_SIZE, zbq.PAGE_SEALS)
        self.side, self.far_side = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.event, self.far_event = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.payload = dict(
            ring_capacity=producer.capacity, join_baseline=zbq.coarse_now(),
            initial_head=producer.head, producer_pid=os.getpid(), slot_index=slot,
            wakeup_mode=mode, protocol_version=zbq.VERSION, seq_floor=producer.seq_id,
            type_hash=0, type_size=0, type_align=0)
        self.pidfd = os.pidfd_open(os.getpid())
        self.fds = [producer.control_fd, producer.ring_fd, self.page_fd, self.far_side.fileno(),
                    self.pidfd, self.far_event.fileno()]
        self.page.put64(zbq.TAIL_OFFSET, producer.head)
        self.page.put64(zbq.JOIN_BASELINE, self.payload["join_baseline"])
        self._prepare_sockets()

    def _prepare_sockets(self):
        self.side.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        zbq.set_where_known(self.side, zbq.SO_PASSPIDFD, 1)
        for near, far in (self.side, self.far_side), (self.event, self.far_event):
            near.setblocking(False)
            zbq.set_where_known(near, zbq.SO_PASSRIGHTS, 0)
            far.setsockopt(socket.SOL_SOCKET, zbq.SO_LOCK_FILTER, 1)
        zbq.ring_bell(self.event)

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
        self.head = self.bell = self.seq_id = 0
        self.consumers = []
        self.control.put32(zbq.PRODUCER_PID, os.getpid())
        self.control.put64(zbq.RING_CAPACITY, capacity)
        self.control.put64(zbq.CLOG_THRESHOLD, capacity)
        self.control.put64(zbq.STALL_TIMEOUT, int(stall_timeout * 1e9))

    def offer(self, mode):
        taken = {consumer.slot for consumer in self.consumers}
        return Offer(self, next(s for s in range(len(taken) + 1) if s not in taken), mode)

    def join(self, rendezvous, mode=PUSH):
        offer = self.offer(mode)
        offer.send(rendezvous)
        self.consumers.append(Consumer(offer))
        return self.consumers[-1]

    # ---- Messages

    def publish(self, payload, flags=0, fds=()):
        """Waits for room, for as long as it takes."""
        size = zbq.on_grid(zbq.HEADER.size + len(payload))
        if size > self.capacity or len(fds) > zbq.MAX_DESCRIPTORS:
            raise ValueError("more than a message can be")
        self.wait_for_room(size)
        seq_id = self.send_record(fds) if fds else 0
        self.ring.put_bytes(self.head % self.capacity, zbq.HEADER.pack(
            len(payload), len(fds), flags, 0, seq_id) + payload)
        self.head += size
        self.control.put64(zbq.PRODUCER_HEAD, self.head)
        self._wake()

    def wait_for_room(self, wanted):
        """Section 8.4."""
        needed = self.head + wanted - self.capacity
        if self._least_tail() >= needed:
            return
        least = min(wanted, self.capacity // 16)
        stalls = {c: Stall(self.stall_timeout, c.tail) for c in self.consumers}
        self.control.put64(zbq.AWAITED_TAIL, needed)
        pause = NAP
        while self._least_tail() < needed:
            self.listen(pause)
            pause = min(2 * pause, zbq.LOOK_AGAIN)
            for consumer in list(self.consumers):
                if consumer.tail < needed and stalls[consumer].is_over(consumer.tail, least):
                    self.evict(consumer, zbq.STALLED)
        self.control.put64(zbq.AWAITED_TAIL, 0)

    def _least_tail(self):
        for consumer in list(self.consumers):
            tail = consumer.page.u64(zbq.TAIL_OFFSET)
            if tail % zbq.GRID or not consumer.tail <= tail <= self.head:
                self.evict(consumer, zbq.BAD_TAIL)
            else:
                consumer.tail = tail
        return min((consumer.tail for consumer in self.consumers), default=self.head)

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
        for consumer in [c for c in self.consumers if c.mode == PUSH]:
            stall = Stall(self.stall_timeout, 0)
            while consumer.reason == 0 and not self._sent(consumer, record, fds):
                self._wait_for_side(consumer)
                if consumer.reason == 0 and stall.is_over(0, 1):
                    self.evict(consumer, zbq.UNCOLLECTED)
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
            if consumer.mode == PUSH:
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
