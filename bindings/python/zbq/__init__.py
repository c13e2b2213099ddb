# SPDX-License-Identifier: MIT
"""zbq: a zero-copy broadcast queue for Linux.

One process publishes a stream of messages; many processes on the same machine read it in place from
shared memory that the kernel lets them map read-only. There is no daemon.

    >>> ring = zbq.Producer()
    >>> door = zbq.Listener("greetings")
    >>> ring.attach(door)
    >>> ring.serve_until(lambda: ring.statistics().consumers != 0)
    >>> ring.publish(b"hello")

and in another process:

    >>> for message in zbq.connect("greetings"):
    ...     print(message.payload)

What is read in place may be overwritten while it is read, where a reader was evicted or observes:
ask ``intact()`` after reading and before acting, or let ``process``, ``recv`` and ``copies`` do so.
Times are seconds, sizes bytes. An object belongs to one thread at a time, and to the process that
made it.
"""

from ._asynchronous import AsyncConsumer, AsyncProducer, AsyncSubscription, connect_async
from ._channel import Channel, ChannelConsumer, ChannelProducer
from ._collector import Caller, Collector, Source
from ._consumer import Consumer
from ._descriptor import Descriptor
from ._dialing import Dialing, ServingThread, ThreadProducers, dial
from ._errors import (
    AgainError,
    BusyError,
    ClosedError,
    EndedError,
    Error,
    EvictedError,
    ForkedError,
    FullError,
    InvalidError,
    IoError,
    NoMemoryError,
    NoneError,
    NotFoundError,
    ProducerDiedError,
    ProtocolError,
    RefusedError,
    TooLargeError,
    TornError,
    TypeMismatchError,
)
from ._frames import Frame, FramePool, Frames, ReceivedFrame
from ._inspect import Statistics, inspect
from ._joining import Joining, connect
from ._kinds import Ending, Eviction, Flow, Gap, GapCause, Loss, PayloadType, Start, Wakeup
from ._listener import Listener, Newcomer, Peer, Terms
from ._producer import Producer, Service
from ._statistics import ConsumerInfo, ProducerStatistics, RingStatistics, SlotStatistics
from ._subscription import Subscription
from ._variants import VariantChannel, VariantConsumer, VariantProducer
from ._zbq import (
    MAX_FD_PER_MSG,
    MSG_ALIGN,
    Batch,
    Copied,
    Message,
    MessageBatch,
    Reservation,
    Rows,
    type_hash,
)

__version__ = "1.0.0"

__all__ = [
    "AgainError",
    "AsyncConsumer",
    "AsyncProducer",
    "AsyncSubscription",
    "Batch",
    "BusyError",
    "Caller",
    "Channel",
    "ChannelConsumer",
    "ChannelProducer",
    "ClosedError",
    "Collector",
    "Consumer",
    "ConsumerInfo",
    "Copied",
    "Descriptor",
    "Dialing",
    "EndedError",
    "Ending",
    "Error",
    "EvictedError",
    "Eviction",
    "Flow",
    "ForkedError",
    "Frame",
    "FramePool",
    "Frames",
    "FullError",
    "Gap",
    "GapCause",
    "InvalidError",
    "IoError",
    "Joining",
    "Listener",
    "Loss",
    "MAX_FD_PER_MSG",
    "MSG_ALIGN",
    "Message",
    "MessageBatch",
    "Newcomer",
    "NoMemoryError",
    "NoneError",
    "NotFoundError",
    "PayloadType",
    "Peer",
    "Producer",
    "ProducerDiedError",
    "ProducerStatistics",
    "ProtocolError",
    "ReceivedFrame",
    "RefusedError",
    "Reservation",
    "RingStatistics",
    "Rows",
    "Service",
    "ServingThread",
    "SlotStatistics",
    "Source",
    "Start",
    "Statistics",
    "Subscription",
    "Terms",
    "ThreadProducers",
    "TooLargeError",
    "TornError",
    "TypeMismatchError",
    "VariantChannel",
    "VariantConsumer",
    "VariantProducer",
    "Wakeup",
    "connect",
    "connect_async",
    "dial",
    "inspect",
    "type_hash",
]

for _name in __all__:  # where people find them, whatever file they are in
    _each = globals()[_name]
    if isinstance(_each, type) and _each.__module__.startswith("zbq._"):
        try:
            _each.__module__ = "zbq"
        except (AttributeError, TypeError):  # a type of the extension
            pass
del _name, _each
