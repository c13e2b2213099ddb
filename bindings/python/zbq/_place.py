# SPDX-License-Identifier: MIT
"""Where a name's socket lies; docs/guide.md says what a name is. And who somebody is."""

from __future__ import annotations

import functools
import os
import socket
import stat
import struct
from collections.abc import Collection
from dataclasses import dataclass

from ._errors import InvalidError, RefusedError, TooLargeError

_LONGEST = 107  # of a path, in bytes
_PEERGROUPS = 59  # SO_PEERGROUPS, include/uapi/asm-generic/socket.h
_NOBODY = 65534  # the usual number for all whom a user namespace has no number for


@dataclass(frozen=True)
class Place:
    """An address to bind or connect to."""

    text: str
    """For people: the path, or @ and the abstract name."""
    address: bytes

    @property
    def is_abstract(self) -> bool:
        return self.text.startswith("@")


# ---- who ----


@functools.cache
def _overflow_ids() -> tuple[int, int]:
    found = []
    for name in ("overflowuid", "overflowgid"):
        try:
            with open(f"/proc/sys/kernel/{name}", encoding="ascii") as file:
                found.append(int(file.read()))
        except (OSError, ValueError):
            found.append(_NOBODY)
    return found[0], found[1]


def is_user(uid: int) -> bool:
    """Whether it is somebody's number."""
    return uid not in (_overflow_ids()[0], _NOBODY, 0xFFFFFFFF)


def is_group(gid: int) -> bool:
    """Whether it is some group's number."""
    return gid not in (_overflow_ids()[1], _NOBODY, 0xFFFFFFFF)


def is_own_user(uid: int) -> bool:
    """Whether it is this process's own."""
    return uid == os.geteuid() and is_user(uid)


def user_text(uid: int) -> str:
    """For people."""
    return f"user {uid}" + ("" if is_user(uid) else ", who may be anyone")


def credentials_of(connection: socket.socket) -> tuple[int, int, int]:
    """Pid, user and group of who made the other end, as the kernel tells."""
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    except OSError:
        return 0, 0xFFFFFFFF, 0xFFFFFFFF
    pid, uid, gid = struct.unpack("iII", raw)
    return pid, uid, gid


def _groups_of(connection: socket.socket) -> list[int]:
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, _PEERGROUPS, 1024)  # 256 groups
    except OSError:
        return []
    return list(struct.unpack(f"{len(raw) // 4}I", raw[: len(raw) // 4 * 4]))


def is_one_of(
    users: Collection[int],
    groups: Collection[int],
    uid: int,
    gid: int,
    connection: socket.socket,
) -> bool:
    """Whether a peer is listed: by its user, its effective group, or a supplementary one."""
    if is_user(uid) and uid in users:
        return True
    if not groups:
        return False
    return any(is_group(one) and one in groups for one in [gid, *_groups_of(connection)])


# ---- where ----


def _session_directory(runtime: str) -> str:
    if not runtime.startswith("/"):
        raise RefusedError(f"XDG_RUNTIME_DIR is '{runtime}', not an absolute path")
    status = os.stat(runtime)
    if not stat.S_ISDIR(status.st_mode) or not is_own_user(status.st_uid):
        own = user_text(os.geteuid())
        raise RefusedError(f"XDG_RUNTIME_DIR, {runtime}, is not a directory of {own}")
    if status.st_mode & 0o022:
        raise RefusedError(f"XDG_RUNTIME_DIR, {runtime}, can be written by others")
    return runtime + "/zbq"


def _default_directory() -> str:
    user = os.geteuid()
    runtime = f"/run/user/{user}"
    try:
        status = os.stat(runtime)
    except OSError:
        return f"/tmp/zbq-{user}"
    is_own = stat.S_ISDIR(status.st_mode) and is_own_user(status.st_uid)
    return runtime + "/zbq" if is_own and not status.st_mode & 0o022 else f"/tmp/zbq-{user}"


def _check_private(path: str) -> None:
    """A real directory of ours that nobody else can even look into: in /tmp anyone may have made
    the name first."""
    named = os.lstat(path)
    if not stat.S_ISDIR(named.st_mode):
        raise RefusedError(f"{path} is not a directory of {user_text(os.geteuid())}")
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        opened = os.fstat(directory)
    finally:
        os.close(directory)
    if not os.path.samestat(named, opened) or not is_own_user(opened.st_uid):
        raise RefusedError(f"{path} is not a directory of {user_text(os.geteuid())}")
    if opened.st_mode & 0o077:
        raise RefusedError(f"{path} is open to others; it must have mode 700")


def _private_directory(create: bool) -> str:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    directory = _session_directory(runtime) if runtime else _default_directory()
    if create:
        try:
            os.mkdir(directory, 0o700)
        except FileExistsError:
            pass
    if create or os.path.lexists(directory):
        _check_private(directory)
    return directory


def place_at(text: str) -> Place:
    """Of a path, or @ and an abstract name."""
    raw = os.fsencode(text)
    is_abstract = text.startswith("@")
    most = _LONGEST + (1 if is_abstract else 0)
    if len(raw) > most:
        raise TooLargeError(f"{text} is too long for a socket: {len(raw)} bytes, {most} at most")
    return Place(text, b"\0" + raw[1:] if is_abstract else raw)


def place_of(name: str, create: bool) -> Place:
    """Of a stream's name. ``create``: a listener makes the private directory."""
    if not isinstance(name, str):
        raise TypeError(f"a stream's name is a str, not {type(name).__name__}")
    if name in ("", ".", "..", "@") or name.endswith("/") or "\0" in name:
        raise InvalidError(f"'{name}' is no name for a stream")
    is_address = name.startswith("@") or "/" in name
    return place_at(name if is_address else f"{_private_directory(create)}/{name}")
