# SPDX-License-Identifier: MIT
"""A ring whose messages are of a few types, as ``zbq::variant_channel<"name", A, B>`` of C++ and
``VariantChannel`` of Rust have it: each message's flags say which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from . import _zbq
from ._channel import Channel
from ._errors import InvalidError, ProtocolError, TypeMismatchError
from ._kinds import PayloadType

if TYPE_CHECKING:
    from ._consumer import Consumer
    from ._producer import Producer
    from ._zbq import Copied

_MASK = (1 << 64) - 1
_MOST = 255


def _hash_on(value: int, number: int) -> int:
    for byte in number.to_bytes(4, "little"):
        value = (value ^ byte) * 0x100000001B3 & _MASK
    return value


class VariantChannel:
    """The types of a ring's messages: a name that both sides agree on, and dtypes, each with a name
    of this program's own. Their order, sizes and alignments travel in the join.

    >>> feed = zbq.VariantChannel("feed/1", {"quote": [("bid", "f8"), ("ask", "f8")], "trade": "f8"})
    >>> source = feed.producer(zbq.Producer())
    >>> source.send("quote", (101.25, 101.5))
    """

    def __init__(self, name: str, types: Mapping[str, Any]) -> None:
        """Raises as :class:`zbq.Channel`, and ``InvalidError`` for none, and for more than 255."""
        if not 0 < len(types) <= _MOST:
            raise InvalidError(f"{len(types)} types are not from 1 to {_MOST}")
        self.name = name
        self.types = {key: Channel(name, dtype).dtype for key, dtype in types.items()}
        self._flags = {key: index + 1 for index, key in enumerate(types)}
        value = _zbq.type_hash(name)
        for each in self.types.values():
            value = _hash_on(_hash_on(value, each.itemsize), each.alignment)
        align = max(each.alignment for each in self.types.values())
        self.type = PayloadType(value, 0, align)

    def producer(self, ring: Producer) -> VariantProducer:
        """The producer of this channel, over a ring that no consumer has joined yet."""
        return VariantProducer(self, ring)

    def consumer(self, reader: Consumer) -> VariantConsumer:
        """The consumer of this channel. ``TypeMismatchError`` where it receives something else."""
        return VariantConsumer(self, reader)

    def __repr__(self) -> str:
        return f"<zbq.VariantChannel '{self.name}' of {', '.join(self.types)}>"


class VariantProducer:
    """Publishes values of a few types."""

    def __init__(self, channel: VariantChannel, ring: Producer) -> None:
        ring.set_type(channel.type.hash, channel.type.size, channel.type.align)
        self.channel = channel
        self.ring = ring

    def send(self, which: str, value: Any, *, timeout: float | None = None) -> int:
        """Publishes a copy of one value of the type of that name. Blocks until there is room. Its
        offset. ``InvalidError`` where there is no such type; and as ``Producer.publish``."""
        import numpy

        if which not in self.channel.types:
            raise InvalidError(f"{which!r} is not one of {', '.join(self.channel.types)}")
        one = numpy.asarray(value, self.channel.types[which])
        if one.ndim != 0:
            raise InvalidError(f"an array of shape {one.shape} is not one value")
        flags = self.channel._flags[which]
        return self.ring.publish(one.reshape(1).view("u1"), flags=flags, timeout=timeout)


class VariantConsumer:
    """Reads values of a few types, each with the name of its type."""

    def __init__(self, channel: VariantChannel, reader: Consumer) -> None:
        if reader.type != channel.type:
            raise TypeMismatchError(
                f"expected '{channel.name}' of {channel.type}; the producer has {reader.type}"
            )
        self.channel = channel
        self.reader = reader
        self._types = list(channel.types.items())

    def decode(self, message: Copied) -> tuple[str, Any]:
        """What a message is: the name of its type, and the value, a scalar of NumPy.
        ``ProtocolError`` where it is none."""
        import numpy

        index = message.flags - 1
        if not 0 <= index < len(self._types) or len(message) != self._types[index][1].itemsize:
            raise ProtocolError(
                f"a message with flags {message.flags} of {len(message)} bytes is none"
            )
        which, dtype = self._types[index]
        return which, numpy.frombuffer(message.payload, dtype)[0]

    def recv(self, timeout: float | None = None) -> tuple[str, Any]:
        """The next one, copied and whole. Blocks. Raises as ``Consumer.recv``, and ``ProtocolError``
        for a message of no type."""
        return self.decode(self.reader.recv(timeout))

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """All, until the stream ends. Blocks."""
        for message in self.reader:
            yield self.decode(message)
