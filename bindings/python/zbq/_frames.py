# SPDX-License-Identifier: MIT
"""Buffers for frames, which are sent by naming them and come back when all have let go; as
``frame_pool`` and ``frames`` of C++ have them."""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from . import _zbq
from ._arrays import array_of
from ._descriptor import Descriptor
from ._errors import (
    AgainError,
    ClosedError,
    EndedError,
    ForkedError,
    InvalidError,
    IoError,
    NoneError,
    ProducerDiedError,
    ProtocolError,
    TooLargeError,
    TornError,
)
from ._kinds import Eviction, Wakeup

if TYPE_CHECKING:
    import numpy as np

    from ._consumer import Consumer
    from ._producer import Producer
    from ._zbq import Buffer

_Result = TypeVar("_Result")
_NOTE = struct.Struct("=QQII")  # mark, size, key, generation
_MARK = 0x32656D6172667162
_MOST = 64
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL | 0x10  # future writes


@dataclass(frozen=True)
class _Note:
    size: int
    key: int
    generation: int

    def pack(self) -> bytes:
        return _NOTE.pack(_MARK, self.size, self.key, self.generation)


def _note_in(payload: memoryview | bytes) -> _Note | None:
    """What a message starts with, which may be torn."""
    if len(payload) < _NOTE.size:
        return None
    mark, size, key, generation = _NOTE.unpack_from(payload)
    return _Note(size, key, generation) if mark == _MARK else None


def _view(of: Any) -> memoryview:
    return memoryview(of)


def _map(fd: int, size: int, access: int) -> mmap.mmap:
    try:
        return mmap.mmap(fd, size, access=access)
    except OSError as failure:
        raise IoError(failure.errno, f"mapping a frame: {failure.strerror}") from None


# ---- the producer's ----


class _Buffer:
    def __init__(self) -> None:
        self.memory: mmap.mmap | None = None
        self.generation = 0
        self.start = 0  # of the message that it was last published with,
        self.end = 0  # and its end; 0: never
        self.filling = False
        self.may_be_looked_at = False  # by one who was evicted


class Frame:
    """A buffer to fill, within a ``with`` block for instance. Dropped without being published, it
    is free again."""

    def __init__(self, pool: FramePool, index: int) -> None:
        self._pool: FramePool | None = pool
        self._index = index
        memory = pool._buffers[index].memory
        assert memory is not None
        self._part = _zbq.Part(memory, mmap.PAGESIZE, pool.frame_size)

    @property
    def view(self) -> memoryview:
        """Its bytes, to be written: aligned to a page. It holds what was there before."""
        self._open()
        return _view(self._part)

    def array(
        self, dtype: Any = "u1", shape: int | tuple[int, ...] = -1, offset: int = 0
    ) -> np.ndarray[Any, Any]:
        """A NumPy array of them, to be written, in place. Drop it before the frame is published."""
        self._open()
        return array_of(self._part, dtype, shape, offset)

    def publish(
        self, used: int | None = None, *, beside: Buffer = b"", timeout: float | None = None
    ) -> int:
        """Publishes the first ``used`` bytes (``None``: all), with a payload of the application's
        own beside them. Blocks until there is room in the ring. The offset of its message.

        Raises as ``Producer.reserve``, ``InvalidError`` for more bytes than it has, and
        ``BufferError`` where something still looks at it: the frame stays, then.
        """
        pool = self._open()
        used = pool.frame_size if used is None else used
        if not 0 <= used <= pool.frame_size:
            raise InvalidError(f"{used} bytes are not from 0 to the frame's {pool.frame_size}")
        if self._part.close() != 0:
            self._part.reopen()
            raise BufferError("something still looks at the frame (a view, an array)")
        try:
            offset = pool._publish(self._index, used, _view(beside).cast("B"), timeout)
        except BaseException:
            self._part.reopen()
            raise
        self._pool = None
        return offset

    def release(self) -> None:
        """Gives it up, unpublished."""
        pool, self._pool = self._pool, None
        if pool is not None:
            self._part.close()
            pool._buffers[self._index].filling = False

    def _open(self) -> FramePool:
        if self._pool is None:
            raise ClosedError("filling a frame: it was published, or given up")
        if _zbq.generation() != self._pool._generation:
            raise ForkedError("filling a frame: it is the parent process's, and dead in a child")
        return self._pool

    def __enter__(self) -> Frame:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def __del__(self) -> None:
        if getattr(self, "_part", None) is not None:
            self.release()


class FramePool:
    """A few buffers of one size that are sealed, and retained by a ring: each reader maps them once,
    read-only, and a frame is a message that names one. A buffer is used again when every consumer
    has released its frame's message; one that an evicted consumer may still look at is replaced.

    >>> pool = zbq.FramePool(zbq.Producer(), frame_size=640 * 480)
    >>> with pool.acquire() as picture:
    ...     picture.array("u1", (480, 640))[:] = 255
    ...     picture.publish()
    """

    def __init__(
        self,
        ring: Producer,
        *,
        frame_size: int,
        frames: int = 8,
        first_key: int = 1,
        timeout: float | None = None,
    ) -> None:
        """Makes the buffers and retains them, under ``first_key`` and the next ones. ``frame_size``:
        bytes of each. ``frames``: 1 to 64. Blocks until there is room in the ring.

        Raises ``InvalidError`` (an option), ``NoMemoryError``, ``AgainError`` (no room in time),
        ``TooLargeError`` (more than the ring can retain), ``IoError``.
        """
        if frames <= 0 or frame_size <= 0:
            raise InvalidError("a pool of no frames")
        if frames > _MOST or frame_size > 1 << 62:
            raise TooLargeError("a pool of so many frames, or of such a size")
        self.frame_size = frame_size
        self._generation = _zbq.generation()
        self._ring = ring
        self._first_key = first_key
        self._buffers = [_Buffer() for _ in range(frames)]
        self._joined: dict[int, int] = {}  # join numbers of the evicted that were seen, by slot
        self._evicted = 0
        self._replaced = 0
        self._note_evictions()  # of before, which are nothing to it
        for index in range(frames):
            self._renew(index, timeout)

    @property
    def replaced(self) -> int:
        """How often a buffer was replaced since an evicted consumer might still look at it."""
        return self._replaced

    def acquire(self, timeout: float | None = None) -> Frame:
        """A buffer to fill: one that never was used, or the one that was published first and that
        all have let go of. Blocks until there is one; who is in the way for the stall timeout is
        evicted meanwhile. ``AgainError`` where there is none in time, or all are being filled."""
        while True:
            idle = [i for i, one in enumerate(self._buffers) if not one.filling]
            if not idle:
                raise AgainError("acquiring a frame: all are being filled")
            index = min(idle, key=lambda i: self._buffers[i].end)
            one = self._buffers[index]
            if not self._ring.wait_released(one.end, timeout=timeout):
                raise AgainError("acquiring a frame: none came back")
            self._note_evictions()
            if one.may_be_looked_at:
                self._renew(index, timeout)
            if one.filling:  # by what was served meanwhile
                continue
            assert one.memory is not None
            one.filling = True
            _zbq.begin_frame(one.memory)
            return Frame(self, index)

    def _note_evictions(self) -> None:
        """Of those that left or died nobody looks any more. Where it is not sure which frames one
        had, all are."""
        now = self._ring.statistics()
        if now.evicted[0] == self._evicted:
            return
        seen = 0
        for slot in range(now.max_consumers):
            gone = self._ring.consumer_info(slot)
            if gone.eviction == 0 or gone.join_number <= self._joined.get(slot, 0):
                continue
            self._joined[slot] = gone.join_number
            seen += 1
            if gone.eviction != Eviction.DEAD:
                self._mark_from(gone.tail)
        if seen < now.evicted[0] - self._evicted:
            self._mark_from(0)
        self._evicted = now.evicted[0]

    def _mark_from(self, tail: int) -> None:
        for one in self._buffers:
            if one.end != 0 and one.start >= tail:
                one.may_be_looked_at = True

    def _renew(self, index: int, timeout: float | None) -> None:
        """Makes a new one, and says so."""
        one = self._buffers[index]
        size = mmap.PAGESIZE + self.frame_size
        with Descriptor(_zbq.memory_create(size)) as file:
            memory = _map(file.fileno(), size, mmap.ACCESS_WRITE)
            fcntl.fcntl(file.fileno(), fcntl.F_ADD_SEALS, _SEALS)
            note = _Note(self.frame_size, self._first_key + index, one.generation + 1)
            self._ring.retain(note.key, note.pack(), fds=[file], timeout=timeout)
        self._replaced += one.generation != 0
        one.memory = memory
        one.generation = note.generation
        one.start = one.end = 0
        one.may_be_looked_at = False

    def _publish(self, index: int, used: int, beside: memoryview, timeout: float | None) -> int:
        one = self._buffers[index]
        assert one.memory is not None
        note = _Note(used, self._first_key + index, one.generation)
        room = self._ring.reserve(_NOTE.size + beside.nbytes, timeout=timeout)
        with room as view:
            view[: _NOTE.size] = note.pack()
            view[_NOTE.size :] = beside
            one.start = room.offset
            _zbq.end_frame(one.memory, room.offset)
        one.end = self._ring.head
        one.filling = False
        return one.start


# ---- the reader's ----


class ReceivedFrame:
    """A frame as it lies in its buffer, held until it is released, by the end of a ``with`` block
    for instance. A view that outlives it reads whatever lies there, and never faults."""

    def __init__(self, message: _zbq.Message, memory: mmap.mmap, size: int) -> None:
        self._message = message
        self._memory = memory
        self._part = _zbq.Part(memory, mmap.PAGESIZE, size)

    @property
    def view(self) -> memoryview:
        """Its bytes, in place, read-only, aligned to a page. Ask :meth:`intact` after reading."""
        return _view(self._part)

    def array(
        self, dtype: Any = "u1", shape: int | tuple[int, ...] = -1, offset: int = 0
    ) -> np.ndarray[Any, Any]:
        """A NumPy array of them, in place and read-only."""
        return array_of(self._part, dtype, shape, offset)

    @property
    def beside(self) -> memoryview:
        """What the application has put beside it, in the ring: ask :meth:`beside_intact`."""
        return self._message.payload[_NOTE.size :]

    @property
    def offset(self) -> int:
        """Its message's place in the stream."""
        return self._message.offset

    def __len__(self) -> int:
        return len(self._part)

    def intact(self) -> bool:
        """Asked after reading: whether the bytes were whole. An observer's, and those of history,
        may be filled anew at any time; an evicted consumer's stay as they are."""
        return _zbq.is_frame(self._memory, self._message.offset)

    def beside_intact(self) -> bool:
        """The same of what lies beside."""
        return self._message.intact()

    def process(self, function: Callable[[memoryview], _Result]) -> _Result:
        """What a function makes of the bytes, if they were whole; else ``TornError``.
        ``BufferError`` where it has kept something that looks at them."""
        before = self._part.exports
        with _view(self._part) as view:
            result = function(view)
        if self._part.exports != before:
            raise BufferError("the function has kept something that looks at the frame's bytes")
        if not self.intact():
            raise TornError("reading a frame: its bytes were overwritten meanwhile")
        return result

    def release(self) -> None:
        """Lets go of it. ``BufferError`` where views of it are still out: they read whatever lies
        there."""
        views = self._part.close()
        self._message.release()
        if views:
            raise BufferError(f"{views} views of the frame are still out")

    def __enter__(self) -> ReceivedFrame:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.release()
        except BufferError:
            if kind is None:
                raise


class Frames:
    """The reader of a pool of frames. One that wants the newest frame alone follows, and takes the
    last: ``flow="newest"`` would skip the messages that tell of new buffers.

    >>> for picture in zbq.Frames(zbq.connect("camera")):
    ...     with picture:
    ...         mean = picture.array().mean()
    ...         if picture.intact():
    ...             print(mean)
    """

    def __init__(self, reader: Consumer) -> None:
        """Of a consumer that has just joined, whose messages it takes from now on; maps the buffers.
        Raises ``InvalidError`` (pull mode), ``ProtocolError`` (what is retained are no buffers),
        ``IoError``."""
        if reader.mode is not Wakeup.PUSH:
            raise InvalidError("buffers for frames come in push mode alone")
        self.reader = reader
        self._buffers: dict[int, tuple[_Note, mmap.mmap]] = {}
        self._skipped = 0
        before, reader.takes_fds = reader.takes_fds, True
        try:
            retained = reader.retained()
        finally:
            reader.takes_fds = before
        for message in retained:
            self._learn(_note_in(message.payload), message.key, message.fds)

    @property
    def skipped(self) -> int:
        """How many frames were skipped since their buffer is not known: of history whose buffer was
        replaced since, and of an observer that was lapped where a new buffer took the place of
        another. To join again gives all buffers."""
        return self._skipped

    def try_next(self) -> ReceivedFrame | None:
        """The next frame; ``None`` when there is none now. Never blocks. Raises as
        ``Consumer.try_next``, and ``ProtocolError``, ``IoError``: a new buffer cannot be mapped."""
        while (message := self.reader.try_next()) is not None:
            found = self._frame_of(message)
            if found is not None:
                return found
        return None

    def next(self, timeout: float | None = None) -> ReceivedFrame:
        """The next frame. Blocks for so many seconds at most. Raises as :meth:`try_next`, and
        ``AgainError``."""
        while True:
            found = self.try_next()
            if found is not None:
                return found
            if not self.reader.wait(timeout):
                raise AgainError("waiting for a frame: not yet")

    def __iter__(self) -> Iterator[ReceivedFrame]:
        """Frames, until the stream ends. Blocks."""
        while True:
            try:
                found = self.next()
            except ProducerDiedError:
                raise
            except EndedError:
                return
            yield found

    def _frame_of(self, message: _zbq.Message) -> ReceivedFrame | None:
        """``None``: it is none, or one whose buffer this reader need not know."""
        with message.payload as payload:
            note = _note_in(payload)
        if not message.intact():  # it was overwritten meanwhile
            return None
        if message.key != 0:
            try:
                fds = message.take_descriptors()
            except (AgainError, NoneError):  # an observer had no room for them
                fds = ()
            self._learn(note, message.key, fds)
            return None
        if note is None:
            raise ProtocolError("reading a frame: a message that names none")
        known = self._buffers.get(note.key)
        is_known = known is not None and known[0].generation == note.generation
        if known is not None and is_known and note.size <= known[0].size:
            return ReceivedFrame(message, known[1], note.size)
        is_old = known is not None and note.generation < known[0].generation
        if not is_old and not self.reader.observes:
            raise ProtocolError("reading a frame: its buffer never came")
        self._skipped += 1
        return None

    def _learn(self, note: _Note | None, key: int, fds: tuple[Descriptor, ...]) -> None:
        """Of a buffer, where it is one: any that is retained may be another thing."""
        if note is None or note.key != key or len(fds) != 1:
            return
        number = fds[0].fileno()
        try:
            is_sealed = fcntl.fcntl(number, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK != 0
        except OSError:
            is_sealed = False
        if not is_sealed or note.size > os.fstat(number).st_size - mmap.PAGESIZE:
            raise ProtocolError("a buffer for frames that is none")
        memory = _map(number, mmap.PAGESIZE + note.size, mmap.ACCESS_READ)
        fds[0].close()
        if key in self._buffers or len(self._buffers) < _MOST:  # else a hostile producer's
            self._buffers[key] = (note, memory)
