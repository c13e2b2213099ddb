# SPDX-License-Identifier: MIT
"""Taking a name, to listen at it.

A socket takes its name when it can be connected to: it is bound as .NAME.new beside it, listens,
and is renamed. One at a time does that, by a lock on .NAME.lock. Both files are gone afterwards.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import time

from . import _zbq
from ._errors import AgainError, IoError, RefusedError
from ._place import _LONGEST, Place, credentials_of, place_at

_PASSRIGHTS = 83  # SO_PASSRIGHTS, Linux 6.16
_LOCK_TIME = 2.0


def make_socket() -> socket.socket:
    """One of packets, which does not block."""
    kind = socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    return socket.socket(socket.AF_UNIX, kind)


def let_descriptors_in(connection: socket.socket, let_in: bool) -> None:
    """Whether a stranger's descriptors are received at all, where the kernel can refuse them."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, _PASSRIGHTS, int(let_in))
    except OSError:
        pass


class SocketFile:
    """A socket's file, removed by the process that made it, if it is still this one that lies
    there."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._status = os.lstat(path)
        self._generation = _zbq.generation()

    def rename(self, path: str, replace: bool) -> None:
        if not replace:
            try:
                _zbq.rename_new(self._path, path)
                self._path = path
                return
            except OSError as failure:
                # Not every file system has that. Then what another program made is lost.
                if failure.errno != errno.EINVAL:
                    raise
        os.rename(self._path, path)
        self._path = path

    def remove(self) -> None:
        if _zbq.generation() != self._generation:
            return
        try:
            if os.path.samestat(os.lstat(self._path), self._status):
                os.unlink(self._path)
        except FileNotFoundError:
            pass


class _Lock:
    """A file that is locked and still has its name. Removed at the end, while it is locked."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def _take(self) -> bool:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        self._fd = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(self._fd), os.lstat(self._path)):
                return True
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(self._fd)
        return False

    def __enter__(self) -> None:
        end = time.monotonic() + _LOCK_TIME
        while not self._take():
            if time.monotonic() >= end:
                raise AgainError(f"{self._path} is locked by another process")
            time.sleep(0.001)

    def __exit__(self, *what: object) -> None:
        os.unlink(self._path)
        os.close(self._fd)


def _raise_in_use(where: Place, pid: int) -> None:
    by = f" by process {pid}" if pid > 0 else ""
    raise IoError(errno.EADDRINUSE, f"{where.text} is in use{by}")


def _check_stale(where: Place) -> None:
    """Raises unless nobody listens there."""
    with make_socket() as probe:
        try:
            probe.connect(where.address)
        except BlockingIOError:  # its queue is full
            _raise_in_use(where, 0)
        except (ConnectionRefusedError, FileNotFoundError):
            return
        _raise_in_use(where, credentials_of(probe)[0])


def _has_stale_socket(where: Place) -> bool:
    try:
        status = os.lstat(where.text)
    except FileNotFoundError:
        return False
    if not stat.S_ISSOCK(status.st_mode):
        raise RefusedError(f"{where.text} exists and is not a socket")
    _check_stale(where)
    return True


def _listen(bound: socket.socket) -> None:
    let_descriptors_in(bound, False)
    bound.listen(socket.SOMAXCONN)


def _listen_at_abstract(where: Place) -> socket.socket:
    made = make_socket()
    try:
        try:
            made.bind(where.address)
        except OSError as failure:
            if failure.errno == errno.EADDRINUSE:
                _check_stale(where)
            raise IoError(failure.errno, f"{where.text}: {failure.strerror}") from None
        _listen(made)
    except BaseException:
        made.close()
        raise
    return made


def _fnv(text: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in text:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def _fresh_path(path: str) -> tuple[str, str]:
    """Where a socket is bound before it has its name, and what goes before the address of that."""
    directory, name = os.path.split(path)
    fresh = os.path.join(directory, f".{name}.new")
    if len(os.fsencode(fresh)) <= _LONGEST:
        return fresh, ""
    # A path that fits into an address just so. What is opened has a short one.
    return os.path.join(directory, f".{_fnv(os.fsencode(name)):016x}.new"), directory


def _bind(made: socket.socket, path: str, directory: str, mode: int) -> None:
    # The file gets the socket's mode less the umask: set before, it is never open wider.
    os.fchmod(made.fileno(), mode)
    if not directory:
        made.bind(place_at(path).address)
        return
    opened = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        made.bind(os.fsencode(f"/proc/self/fd/{opened}/{os.path.basename(path)}"))
    finally:
        os.close(opened)


def _listen_at_path(where: Place, mode: int) -> tuple[socket.socket, SocketFile]:
    directory, name = os.path.split(where.text)
    with _Lock(os.path.join(directory, f".{name}.lock")):
        is_stale = _has_stale_socket(where)
        fresh, through = _fresh_path(where.text)
        try:
            os.unlink(fresh)  # of one that crashed
        except FileNotFoundError:
            pass
        made = make_socket()
        file = None
        try:
            _bind(made, fresh, through, mode)
            file = SocketFile(fresh)
            if mode & 0o077:  # what the umask took away from others is given back
                os.chmod(fresh, mode)
            _listen(made)
            file.rename(where.text, is_stale)
        except BaseException:
            if file is not None:
                file.remove()
            made.close()
            raise
        return made, file


def listen_at(where: Place, is_for_others: bool) -> tuple[socket.socket, SocketFile | None]:
    """A socket that listens there, and its file, if it has one."""
    if where.is_abstract:
        return _listen_at_abstract(where), None
    return _listen_at_path(where, 0o666 if is_for_others else 0o600)
