# SPDX-License-Identifier: MIT
"""A ring whose messages are all of one type, as NumPy has it, and as ``zbq::channel<T, "name">`` of
C++ and ``Channel<T>`` of Rust do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import _zbq
from ._errors import InvalidError, ProtocolError, TypeMismatchError
from ._kinds import PayloadType

if TYPE_CHECKING:
    import numpy as np

    from ._consumer import Consumer
    from ._producer import Producer

    _Array = np.ndarray[Any, Any]


class Channel:
    """The type of a ring's messages: a name that both sides agree on, and should change with its
    meaning (``"quote/2"``), and a dtype. Name, size and alignment travel in the join; a consumer of
    another type is refused.

    >>> quotes = zbq.Channel("quote/1", [("bid", "f8"), ("ask", "f8")])
    >>> source = quotes.producer(zbq.Producer())
    >>> source.send((101.25, 101.5))

    A structured dtype gets the layout of the same ``struct`` in C (``align=True``). NumPy is
    imported when a channel is made.
    """

    def __init__(self, name: str, dtype: Any) -> None:
        """Raises ``InvalidError`` for a type with Python objects, of no size, or aligned to more
        than 16; ``TypeError`` for what is no dtype."""
        import numpy

        given = numpy.dtype(dtype)
        if given.names is not None:
            given = numpy.dtype(dtype, align=True)
        if given.hasobject or given.itemsize == 0 or given.alignment > _zbq.MSG_ALIGN:
            raise InvalidError(f"{given} cannot be the type of messages")
        self.name = name
        self.dtype: np.dtype[Any] = given
        self.type = PayloadType(_zbq.type_hash(name), given.itemsize, given.alignment)

    def producer(self, ring: Producer) -> ChannelProducer:
        """The producer of this channel, over a ring that no consumer has joined yet."""
        return ChannelProducer(self, ring)

    def consumer(self, reader: Consumer) -> ChannelConsumer:
        """The consumer of this channel. ``TypeMismatchError`` where it receives something else."""
        return ChannelConsumer(self, reader)

    def __repr__(self) -> str:
        return f"<zbq.Channel '{self.name}' of {self.dtype}>"


class ChannelProducer:
    """Publishes values of one type, one for each message."""

    def __init__(self, channel: Channel, ring: Producer) -> None:
        ring.set_type(channel.type.hash, channel.type.size, channel.type.align)
        self.channel = channel
        self.ring = ring

    def send(self, value: Any, *, flags: int = 0, timeout: float | None = None) -> int:
        """Publishes a copy of one value: a scalar, or what the dtype can be made of, a tuple for
        instance. Blocks until there is room. Its offset. Raises as ``Producer.publish``."""
        import numpy

        one = numpy.asarray(value, self.channel.dtype)
        if one.ndim != 0:
            raise InvalidError(f"an array of shape {one.shape} is not one value")
        return self.ring.publish(one.reshape(1).view("u1"), flags=flags, timeout=timeout)

    def send_many(self, values: Any, *, flags: int = 0, timeout: float | None = None) -> int:
        """Publishes copies of all the values of an array of one dimension, in one commit: all, or
        none. Blocks until there is room. The offset of the first."""
        import numpy

        many = numpy.ascontiguousarray(values, self.channel.dtype)
        if many.ndim != 1:
            raise InvalidError(f"an array of shape {many.shape} is no row of values")
        size = self.channel.dtype.itemsize
        flat: Any = many.view("u1") if many.size else b""
        return self.ring.publish_items(flat, size, flags=flags, timeout=timeout)


class ChannelConsumer:
    """Reads values of one type."""

    def __init__(self, channel: Channel, reader: Consumer) -> None:
        told = reader.type
        if told != channel.type:
            raise TypeMismatchError(
                f"expected '{channel.name}' of {channel.type.size} bytes, aligned to "
                f"{channel.type.align}; the producer has hash {told.hash:#x} of {told.size} bytes, "
                f"aligned to {told.align}"
            )
        self.channel = channel
        self.reader = reader

    def recv(self, timeout: float | None = None) -> Any:
        """The next value, a scalar of NumPy, copied and whole. Blocks. Raises as ``Consumer.recv``,
        and ``ProtocolError`` for a message of another size."""
        return self._array_of([self.reader.recv(timeout).payload])[0]

    def __iter__(self) -> Iterator[Any]:
        """Values, until the stream ends. Blocks. Raises as :meth:`recv`."""
        for message in self.reader:
            yield self._array_of([message.payload])[0]

    def take(self, most: int | None = None) -> _Array:
        """The values that are there, at most so many, copied in one go, and whole: an array, which
        is empty where there is nothing. Never blocks. Raises as ``Consumer.try_recv``, and
        ``ProtocolError`` for a message of another size."""
        import numpy

        with self.reader.batch(most) as batch:
            rows = batch.rows(self.channel.dtype.itemsize)
            copy = numpy.array(rows)
            is_whole = rows.intact()
            if len(copy) == 0:
                return self._take_one(batch)
        if not is_whole:
            return self._take_whole_ones()
        return copy.view(self.channel.dtype).reshape(len(copy))

    def in_place(self, batch: _zbq.MessageBatch) -> _Array:
        """The values of a batch in place, read-only, as far as they follow each other: an array
        with strides. Ask ``batch.intact()`` after reading, and drop the array before the batch
        ends."""
        import numpy

        rows = numpy.asarray(batch.rows(self.channel.dtype.itemsize))
        return rows.view(self.channel.dtype).reshape(len(rows))

    def _take_one(self, batch: _zbq.MessageBatch) -> _Array:
        """Where no row was found: an observer that was lapped may have one all the same, and one of
        another size is told of."""
        import numpy

        message = next(batch, None)
        if message is None:
            self.reader.wait(0)  # raises at the end, or for one who was evicted
            return numpy.empty(0, self.channel.dtype)
        return self._array_of([message.tobytes()])

    def _take_whole_ones(self) -> _Array:
        """What was copied was overwritten meanwhile: each by itself, then."""
        self.reader.wait(0)
        values: list[bytes] = []
        while len(values) < 1000 and (message := self.reader.try_recv()) is not None:
            values.append(message.payload)
        return self._array_of(values)

    def _array_of(self, payloads: list[bytes]) -> _Array:
        import numpy

        for payload in payloads:
            if len(payload) != self.channel.dtype.itemsize:
                size = len(payload)
                raise ProtocolError(f"a message of {size} bytes is no '{self.channel.name}'")
        return numpy.frombuffer(b"".join(payloads), self.channel.dtype).copy()
