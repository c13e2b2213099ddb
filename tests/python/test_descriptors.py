# SPDX-License-Identifier: MIT
"""File descriptors along with messages, each with one owner."""

import os
import unittest

import zbq
from support import Case, join, main, open_descriptors


def file_with(text):
    made = zbq.Descriptor(os.memfd_create("zbq-test"))
    os.pwrite(made.fileno(), text, 0)
    return made


class Travel(Case):
    def read(self, descriptor):
        return os.pread(descriptor.fileno(), 100, 0)

    def test_come_with_a_copy(self):
        with file_with(b"one") as one, file_with(b"two") as two:
            self.ring.publish(b"x", fds=[one, two.fileno()])
        message = self.reader.recv()
        self.assertEqual(message.fd_count, 2)
        self.assertEqual([self.read(fd) for fd in message.fds], [b"one", b"two"])
        self.assertFalse(os.get_inheritable(message.fds[0].fileno()))

    def test_are_closed_where_nobody_asked(self):
        reader = join(self.ring)
        with file_with(b"one") as one:
            self.ring.publish(b"x", fds=[one])
            self.reader.recv()
            before = open_descriptors()
            message = reader.recv()
            self.assertEqual((message.fds, message.fd_count), ((), 1))
            self.assertEqual(open_descriptors(), before)
        self.assertEqual(self.ring.consumer_info(1).fds_in_flight, 0)
        reader.close()

    def test_are_taken_from_a_message_in_place(self):
        with file_with(b"one") as one:
            self.ring.publish(b"x", fds=[one])
        with self.reader.next() as message:
            (taken,) = message.take_descriptors()
            self.assertEqual(self.read(taken), b"one")
            self.assertEqual(message.take_descriptors(), ())
        with self.assertRaises(zbq.ClosedError):
            message.take_descriptors()

    def test_not_taken_they_are_closed(self):
        with file_with(b"one") as one:
            for _ in range(5):
                self.ring.publish(b"x", fds=[one])
            before = open_descriptors()
            self.reader.next().release()
            with self.reader.batch(2) as batch:
                list(batch)
            self.assertEqual(open_descriptors(), before)
        self.assertEqual(len(self.reader.recv().fds), 1)

    def test_go_with_what_was_reserved(self):
        room = self.ring.reserve(1)
        with file_with(b"one") as one, room:
            room.fds = [one]
            self.assertEqual(room.fds, (one,))
        self.assertEqual(self.read(self.reader.recv().fds[0]), b"one")

    def test_are_retained(self):
        with file_with(b"one") as one:
            self.ring.retain(7, b"buffer", fds=[one])
        late = join(self.ring, takes_fds=True)
        (message,) = late.retained()
        self.assertEqual(self.read(message.fds[0]), b"one")
        late.close()

    def test_bad_ones_publish_nothing(self):
        with self.assertRaises(zbq.InvalidError):
            self.ring.publish(b"x", fds=[1000000])
        with self.assertRaises(ValueError):
            self.ring.publish(b"x", fds=[-1])
        with self.assertRaises(TypeError):
            self.ring.publish(b"x", fds=["one"])
        with self.assertRaises(TypeError):
            self.ring.publish(b"x", fds=3)
        with self.assertRaises(zbq.InvalidError):
            self.ring.publish(b"x", fds=[0] * 254)
        self.assertIsNone(self.reader.try_recv())

    def test_none_in_pull_mode(self):
        reader = join(self.ring, mode="pull", takes_fds=True)
        with file_with(b"one") as one:
            self.ring.publish(b"x", fds=[one])
        message = reader.recv()
        self.assertEqual((message.fds, message.fd_count), ((), 1))
        reader.close()

    def test_they_wait_until_there_is_room(self):
        with file_with(b"one") as one:
            with self.assertRaises(zbq.AgainError):
                for _ in range(600):
                    self.ring.publish(b"x", fds=[one] * 2, timeout=0)
        while (message := self.reader.try_recv()) is not None:
            for fd in message.fds:
                fd.close()


class Owner(unittest.TestCase):
    def test_closes_once(self):
        number = os.memfd_create("zbq-test")
        one = zbq.Descriptor(number)
        self.assertEqual(one.fileno(), number)
        one.close()
        one.close()
        self.assertTrue(one.closed)
        with self.assertRaises(ValueError):
            one.fileno()
        with self.assertRaises(OSError):
            os.fstat(number)

    def test_hands_over(self):
        one = file_with(b"x")
        number = one.detach()
        del one
        os.close(number)

    def test_is_a_descriptor(self):
        for wrong in (-1, "3", None):
            with self.assertRaises((ValueError, TypeError)):
                zbq.Descriptor(wrong)


if __name__ == "__main__":
    main()
