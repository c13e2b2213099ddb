# SPDX-License-Identifier: MIT
"""Publishing: copies, in place, in batches; room; what is let go, retained and counted."""

import array
import unittest

import zbq
from support import Case, join, main


class Publish(Case):
    def test_gives_the_offset(self):
        self.assertEqual(self.ring.publish(b"first"), 0)
        self.assertEqual(self.ring.publish(b"second"), 32)
        self.assertEqual(self.ring.head, 64)
        self.assertEqual(self.everything(), [b"first", b"second"])

    def test_takes_all_that_has_bytes(self):
        for payload in (b"ab", bytearray(b"ab"), memoryview(b"xabx")[1:3], array.array("b", b"ab")):
            self.ring.publish(payload)
        self.assertEqual(self.everything(), [b"ab"] * 4)

    def test_wide_items_count_as_bytes(self):
        self.ring.publish(array.array("I", [1, 2]))
        self.assertEqual(self.everything(), [bytes([1, 0, 0, 0, 2, 0, 0, 0])])

    def test_flags_travel(self):
        self.ring.publish(b"", flags=255)
        self.ring.try_publish(b"", 7)
        self.assertEqual([self.reader.recv().flags for _ in range(2)], [255, 7])

    def test_an_empty_message_is_one(self):
        self.ring.publish(b"")
        self.assertEqual(self.everything(), [b""])

    def test_no_room_is_no_error_of_a_try(self):
        big = bytes(self.capacity // 2)
        self.assertTrue(self.ring.try_publish(big[16:]))
        self.assertTrue(self.ring.try_publish(big[16:]))
        self.assertFalse(self.ring.try_publish(b"more"))
        with self.assertRaises(TimeoutError):
            self.ring.publish(b"more", timeout=0.01)
        self.reader.recv()
        self.assertTrue(self.ring.try_publish(b"more"))

    def test_too_large(self):
        for publish in (self.ring.publish, self.ring.try_publish):
            with self.assertRaises(zbq.TooLargeError):
                publish(bytes(self.capacity))

    def test_a_large_copy_is_whole(self):
        ring = zbq.Producer(4 << 20)
        reader = join(ring)
        payload = bytes(range(256)) * (8 << 10)
        ring.publish(payload)
        self.assertEqual(reader.recv().payload, payload)
        ring.close()
        reader.close()

    def test_size_of_is_what_it_takes(self):
        for size in (0, 1, 15, 16, 17, 1000):
            before = self.ring.head
            self.ring.publish(bytes(size))
            self.assertEqual(self.ring.head - before, zbq.Producer.size_of(size))
        with self.assertRaises(ValueError):
            zbq.Producer.size_of(-1)


class Many(Case):
    def test_all_in_one_commit(self):
        self.assertEqual(self.ring.publish_many([b"a", bytearray(b"bb"), memoryview(b"ccc")]), 0)
        self.assertEqual(self.everything(), [b"a", b"bb", b"ccc"])

    def test_none_is_fine(self):
        self.assertEqual(self.ring.publish_many([]), 0)
        self.assertEqual(self.ring.publish_items(b"", 8), 0)
        self.assertEqual(self.everything(), [])

    def test_all_or_nothing(self):
        with self.assertRaises(TypeError):
            self.ring.publish_many([b"a", "text"])
        with self.assertRaises(zbq.TooLargeError):
            self.ring.publish_many([bytes(self.capacity // 2)] * 2)
        self.assertEqual(self.everything(), [])

    def test_items_of_a_buffer(self):
        self.ring.publish_items(array.array("d", [1.5, 2.5]), 8, flags=3)
        with self.assertRaises(zbq.InvalidError):
            self.ring.publish_items(b"seven b", 4)
        with self.assertRaises(zbq.InvalidError):
            self.ring.publish_items(b"", 0)
        messages = [self.reader.recv() for _ in range(2)]
        self.assertEqual([m.flags for m in messages], [3, 3])
        self.assertEqual(
            b"".join(m.payload for m in messages), array.array("d", [1.5, 2.5]).tobytes()
        )


class Reserve(Case):
    def test_is_published_at_the_end(self):
        room = self.ring.reserve(5, flags=9)
        with room as view:
            self.assertEqual((len(view), view.readonly, room.offset), (5, False, 0))
            view[:] = b"hello"
            self.assertIsNone(self.reader.try_recv())
        message = self.reader.recv()
        self.assertEqual((message.payload, message.flags), (b"hello", 9))

    def test_a_kept_view_raises(self):
        with self.ring.reserve(5) as view:
            kept = view
        with self.assertRaises(ValueError):
            kept[0] = 1

    def test_less_can_be_used(self):
        room = self.ring.reserve(5)
        with room as view:
            view[:2] = b"ab"
            room.used = 2
            with self.assertRaises(ValueError):
                room.used = 6
        self.assertEqual(self.everything(), [b"ab"])

    def test_what_raises_publishes_nothing(self):
        with self.assertRaises(KeyError):
            with self.ring.reserve(5) as view:
                view[0] = 1
                raise KeyError
        self.ring.publish(b"next")
        self.assertEqual(self.everything(), [b"next"])

    def test_what_looks_at_it_still_stops_it(self):
        with self.assertRaises(BufferError):
            with self.ring.reserve(5) as view:
                part = view[1:]
        for use in (
            lambda: self.ring.publish(b"x"),
            lambda: self.ring.reserve(1),
            lambda: self.ring.publish_many([b"x"]),
            lambda: self.ring.retain(1, b"x"),
        ):
            with self.assertRaises(BufferError):
                use()
        part[0] = 1  # nobody else has this room
        del part
        self.ring.publish(b"x")
        self.assertEqual(self.everything(), [b"x"])

    def test_while_one_is_filled_nothing_else_is_published(self):
        with self.ring.reserve(5) as view:
            view[:] = b"hello"
            with self.assertRaises(BufferError):
                self.ring.publish(b"between")
        self.assertEqual(self.everything(), [b"hello"])

    def test_a_newer_one_makes_it_void(self):
        room = self.ring.reserve(5)
        self.ring.publish(b"x")
        with self.assertRaises(zbq.InvalidError):
            room.commit()
        with self.assertRaises(zbq.InvalidError):
            room.__enter__()

    def test_is_committed_once(self):
        with self.ring.reserve(1) as view:
            view[0] = 65
        room = self.ring.reserve(1)
        room.commit()
        with self.assertRaises(zbq.InvalidError):
            room.commit()
        room = self.ring.reserve(1)
        with room as view:
            room.cancel()
            with self.assertRaises(ValueError):
                view[0] = 1
        self.assertEqual(len(self.everything()), 2)

    def test_dropped_it_never_was(self):
        self.ring.reserve(5)
        view = self.ring.reserve(5).__enter__()
        with self.assertRaises(ValueError):
            view[0] = 1
        self.ring.publish(b"x")
        self.assertEqual(self.everything(), [b"x"])


class Batch(Case):
    def test_is_published_at_the_end(self):
        with self.ring.batch(200) as batch:
            self.assertTrue(batch.add(b"one", 4))
            batch.reserve(3)[:] = b"two"
            self.assertIsNone(self.reader.try_recv())
            self.assertEqual(len(batch), 2)
        messages = [self.reader.recv() for _ in range(2)]
        self.assertEqual([(m.payload, m.flags) for m in messages], [(b"one", 4), (b"two", 0)])

    def test_is_full_at_its_size(self):
        with self.ring.batch(64) as batch:
            self.assertTrue(batch.add(bytes(16)))
            self.assertFalse(batch.add(bytes(17)))
            self.assertIsNone(batch.reserve(17))
            self.assertEqual(batch.left, 32)
            self.assertTrue(batch.add(bytes(16)))
        self.assertEqual(len(self.everything()), 2)

    def test_a_kept_slice_stops_it(self):
        with self.assertRaises(BufferError):
            with self.ring.batch(64) as batch:
                part = batch.reserve(8)[1:]
        del part
        self.ring.publish(b"x")
        self.assertEqual(self.everything(), [b"x"])

    def test_what_raises_publishes_nothing(self):
        with self.assertRaises(KeyError):
            with self.ring.batch(64) as batch:
                batch.add(b"x")
                raise KeyError
        with self.assertRaises(zbq.InvalidError):
            batch.add(b"x")
        self.assertEqual(self.everything(), [])


class Retain(Case):
    def test_newcomers_have_it_first(self):
        self.ring.retain(1, b"old")
        self.ring.retain(1, b"format", flags=2)
        self.ring.retain(2, b"snapshot")
        late = join(self.ring)
        told = [(m.key, m.payload, m.flags) for m in late.retained()]
        self.assertEqual(told, [(1, b"format", 2), (2, b"snapshot", 0)])
        self.ring.forget(1)
        last = late.recv()
        self.assertEqual((last.key, last.is_forgotten), (1, True))
        with self.assertRaises(zbq.NoneError):
            self.ring.forget(1)
        late.close()

    def test_keys_have_limits(self):
        for key in (0, 32768, 65535):
            with self.assertRaises(zbq.InvalidError):
                self.ring.retain(key, b"")


class Released(Case):
    def test_when_all_have_let_go(self):
        self.ring.publish(b"x")
        end = self.ring.head
        self.assertFalse(self.ring.released(end))
        self.assertFalse(self.ring.wait_released(end, timeout=0.01))
        self.reader.recv()
        self.assertTrue(self.ring.released(end))
        self.assertTrue(self.ring.wait_released(end))
        with self.assertRaises(zbq.InvalidError):
            self.ring.released(end + 16)


class Standing(Case):
    def test_statistics(self):
        self.ring.publish(b"x")
        counters = self.ring.statistics()
        self.assertEqual((counters.head, counters.slowest_tail), (32, 0))
        self.assertEqual((counters.consumers, counters.max_consumers, counters.joined), (1, 16, 1))
        info = self.ring.consumer_info(0)
        self.assertEqual((info.lag, info.join_number, info.eviction), (32, 1, 0))
        self.assertEqual(self.ring.consumer_info(1).join_number, 0)
        with self.assertRaises(zbq.InvalidError):
            self.ring.consumer_info(16)

    def test_patience_and_scan(self):
        self.ring.set_patience(0.5, 0.1)
        self.ring.set_patience(None)
        self.ring.set_patience(0.5, slot=0)
        with self.assertRaises(zbq.NoneError):
            self.ring.set_patience(0.5, slot=3)
        self.ring.scan()

    def test_both_ends_know_the_ring(self):
        self.assertEqual(self.ring.id, self.reader.id)
        self.assertEqual(len(self.ring.id), 16)
        self.assertEqual(self.ring.capacity, self.reader.capacity)

    def test_the_type_is_told(self):
        with zbq.Producer(4096) as ring:
            ring.set_type(zbq.type_hash("quote/1"), 24, 8)
            reader = join(ring)
            self.assertEqual(reader.type, zbq.PayloadType(zbq.type_hash("quote/1"), 24, 8))
            with self.assertRaises(zbq.InvalidError):
                ring.set_type(1, 1, 1)
            reader.close()


if __name__ == "__main__":
    main()
