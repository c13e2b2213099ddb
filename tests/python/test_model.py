# SPDX-License-Identifier: MIT
"""Whatever is done, in whatever order: what comes is what a model of a few lines says."""

import sys

try:
    from hypothesis import HealthCheck, settings
    from hypothesis import strategies as st
    from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
except ImportError:
    print("skipped: no package python3-hypothesis")
    sys.exit(77)

import zbq
from support import join, main, mappings, open_descriptors

CAPACITY = 4096
payloads = st.binary(max_size=300)


class Stream(RuleBasedStateMachine):
    """One producer and one lossless consumer. The model: what was published and not yet read, and
    what is held, with the bytes of the ring that each takes."""

    def __init__(self):
        super().__init__()
        self.before = open_descriptors(), mappings()
        self.ring = zbq.Producer(CAPACITY, stall_timeout=0)
        self.reader = join(self.ring)
        self.unread = []  # payload and flags
        self.held = []  # message, payload
        self.taken = 0  # bytes up to where the reader has read
        self.released = 0  # bytes that it has surely let go

    def room(self):
        return CAPACITY - (self.ring.head - self.released)

    def fits(self, size):
        return zbq.Producer.size_of(size) <= self.room()

    def note(self, payload, flags=0):
        self.unread.append((payload, flags))

    def settle(self):
        """Room is surely back once nothing is held."""
        if not self.held:
            self.released = self.taken

    def took(self, payload):
        self.taken += zbq.Producer.size_of(len(payload))
        self.settle()

    @rule(payload=payloads, flags=st.integers(0, 255))
    def publish(self, payload, flags):
        done = self.ring.try_publish(payload, flags)
        assert done or not self.fits(len(payload))
        if done:
            self.note(payload, flags)

    @rule(many=st.lists(payloads, max_size=6))
    def publish_many(self, many):
        size = sum(zbq.Producer.size_of(len(one)) for one in many)
        try:
            self.ring.publish_many(many, timeout=0)
        except zbq.AgainError:
            assert size > self.room()
        else:
            for one in many:
                self.note(one)

    @rule(payload=payloads, used=st.integers(0, 300), drop=st.booleans())
    def reserve(self, payload, used, drop):
        try:
            room = self.ring.reserve(len(payload), timeout=0)
        except zbq.AgainError:
            assert not self.fits(len(payload))
            return
        with room as view:
            view[:] = payload
            room.used = min(used, len(payload))
            if drop:
                room.cancel()
        if not drop:
            self.note(payload[:used])

    @rule(many=st.lists(payloads, max_size=6))
    def batch(self, many):
        size = sum(zbq.Producer.size_of(len(one)) for one in many)
        if size == 0:
            return
        try:
            batch = self.ring.batch(size, timeout=0)
        except zbq.AgainError:
            assert size > self.room()
            return
        with batch:
            for number, one in enumerate(many):
                if number % 2:
                    assert batch.add(one, number)
                else:
                    batch.reserve(len(one), number)[:] = one
            assert not batch.add(b"")
        for number, one in enumerate(many):
            self.note(one, number)

    @rule()
    def receive(self):
        message = self.reader.try_recv()
        if not self.unread:
            assert message is None
            return
        payload, flags = self.unread.pop(0)
        assert (message.payload, message.flags) == (payload, flags)
        self.took(payload)

    @precondition(lambda self: len(self.held) < 5)
    @rule()
    def take(self):
        message = self.reader.try_next()
        if not self.unread:
            assert message is None
            return
        payload, flags = self.unread.pop(0)
        self.held.append((message, payload))
        assert message.flags == flags
        self.took(payload)

    @precondition(lambda self: self.held)
    @rule(which=st.integers(0, 4), drop=st.booleans())
    def let_go(self, which, drop):
        message, payload = self.held.pop(which % len(self.held))
        assert message.process(bytes) == payload
        if not drop:
            message.release()
            assert message.intact()
        del message
        self.settle()

    @rule(most=st.integers(0, 9), part=st.integers(0, 9))
    def read_batch(self, most, part):
        before = self.ring.head
        with self.reader.batch(most) as batch:
            got = []
            for message in batch:
                got.append(bytes(message))
                if len(got) > part:
                    break
            else:
                got += batch.copies()
            assert batch.visited == len(got) <= most
        assert batch.intact()
        assert self.ring.head == before
        expected, self.unread = self.unread[: len(got)], self.unread[len(got) :]
        assert got == [payload for payload, _ in expected]
        assert got or most == 0 or not expected
        for payload in got:
            self.took(payload)

    @rule()
    def collect_all(self):
        """A reader that holds nothing has let go of all, exactly."""
        while self.held:
            self.held.pop()[0].release()
        while self.unread:
            self.receive()
        self.settle()
        assert self.ring.released(self.ring.head)
        assert self.reader.lag == 0

    @invariant()
    def held_bytes_are_whole(self):
        for message, payload in self.held:
            assert message.tobytes() == payload

    def teardown(self):
        self.held.clear()
        self.ring.close()
        rest = [message.payload for message in self.reader]
        assert rest == [payload for payload, _ in self.unread]
        self.reader.close()
        assert (open_descriptors(), mappings()) == self.before


Stream.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestStream = Stream.TestCase

if __name__ == "__main__":
    main()
