# SPDX-License-Identifier: MIT
"""What both sides of the protocol need: layouts, shared memory, the rendezvous by name.

reader.py and producer.py are the two sides. All three are written from docs/protocol.md alone, to
find out whether it suffices; "section N" is a section of that page.

Python has no atomics. On x86-64 none are needed for loads and stores: ctypes moves an aligned word
in one instruction, loads are not overtaken by later ones nor stores by later stores, which is what
acquire and release ask for. Where the page wants a word changed atomically, or a full fence, the
kernel does it: FUTEX_WAKE_OP changes a word by a locked instruction.
"""
import collections
import ctypes
import errno
import fcntl
import mmap
import os
import platform
import socket
import struct
import time

SUPPORTED = platform.system() == "Linux" and platform.machine() == "x86_64"

VERSION = 2
PUSH, PULL, OBSERVE_PUSH, OBSERVE_PULL = 0, 1, 2, 3
GRID = 16

# Section 3: offsets in the control region.
CONTROL_SIZE = 256
PRODUCER_HEAD, FLOOR, NEWEST, BROADCAST_FUTEX, PRODUCER_PID = 0, 8, 16, 64, 128
RING_CAPACITY, CLOG_THRESHOLD, STALL_TIMEOUT, CLOSED, AWAITED_TAIL = 192, 200, 208, 216, 224
RING_ID, RING_ID_SIZE = 240, 16

# Section 4: offsets in the consumer page, and the bits of `parked`.
PAGE_SIZE = 4096
TAIL_OFFSET, PROGRESS_TIMESTAMP, JOIN_BASELINE, EVICTION, QUIET_UNTIL = 0, 8, 16, 64, 72
ASLEEP, POLLS = 1, 2


def parked_at(slot):
    return 128 + 64 * (slot % 62)


# Sections 5 to 7: what travels in the ring and on the sockets.
HEADER = struct.Struct("<IBBHQ")
JOIN = struct.Struct("<QQQiIIIQQII")
JOIN_FIELDS = ("ring_capacity join_baseline initial_head producer_pid slot_index wakeup_mode "
               "protocol_version seq_floor type_hash type_size type_align").split()
ANNOUNCEMENT = struct.Struct("<IIQ")
MAGIC = 0x3171627A
RECORD = struct.Struct("<QII")
MAX_DESCRIPTORS = 253
BELL = b"\0"

# Section 5.2: so often does an observer look in a row that is lapped while it looks.
MOST_LAPS = 8

# Section 6.1: what is retained, and a key's mark in a message of the ring that is retained no more.
RETAINED_HEAD = struct.Struct("<I12x")
RETAINED_ENTRY = struct.Struct("<Q8x")
MOST_RETAINED, MOST_RETAINED_BYTES = 64, 2**20
FORGOTTEN = 0x8000

# Section 8: how long somebody sleeps who may have been overlooked, and who may not.
NAP = 50e-6
LOOK_AGAIN = 0.1

# Section 9: why a slot is lost.
DEAD, STALLED, UNCOLLECTED, BAD_TAIL = 1, 2, 3, 4

# What Python has no names for.
SO_LOCK_FILTER, SO_PASSPIDFD, SO_PASSRIGHTS = 44, 76, 83
SCM_CREDENTIALS, SCM_PIDFD = 2, 4
MFD_NOEXEC_SEAL = 8
MAP_FIXED, MAP_POPULATE = 0x10, 0x8000
SYS_FUTEX, FUTEX_WAIT, FUTEX_WAKE_OP = 202, 0, 5
FUTEX_OR, FUTEX_ANDN = 2, 3
TMPFS_MAGIC = 0x01021994
CLOCK_MONOTONIC_COARSE = 6

# Section 2: the seals.
PAGE_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
F_SEAL_FUTURE_WRITE = 0x10
READ_ONLY_SEALS = PAGE_SEALS | F_SEAL_FUTURE_WRITE


class Malformed(Exception):
    """The other side broke the protocol."""


class Refused(Exception):
    """The listener did not want this reader, or had no room for it."""


class NoSuchStart(Refused):
    """No message starts where the reader wanted to."""


def pulls(mode):
    return bool(mode & PULL)


def observes(mode):
    return bool(mode & OBSERVE_PUSH)


def on_grid(size):
    return (size + GRID - 1) // GRID * GRID


def coarse_now():
    return time.clock_gettime_ns(CLOCK_MONOTONIC_COARSE)


# ---- Shared memory

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
                       ctypes.c_long)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_libc.syscall.restype = ctypes.c_long


def _error():
    return OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _map(address, size, protection, flags, fd):
    address = _libc.mmap(address, size, protection, flags, fd, 0)
    if address == ctypes.c_void_p(-1).value:
        raise _error()
    return address


def _futex(address, operation, value, fourth, other=0, last=0):
    result = _libc.syscall(ctypes.c_long(SYS_FUTEX), ctypes.c_void_p(address),
                           ctypes.c_long(operation), ctypes.c_long(value), fourth,
                           ctypes.c_void_p(other), ctypes.c_long(last))
    if result < 0:
        raise _error()


class Memory:
    """A file, mapped so many times one after the other: what crosses the end goes on."""

    def __init__(self, fd, size, writable, times=1):
        self.size = size * times
        self.address = _map(None, self.size, 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1)
        protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        try:
            for copy in range(times):
                _map(self.address + copy * size, size, protection,
                     mmap.MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd)
        except OSError:
            self.close()
            raise
        _libc.madvise(self.address, self.size, mmap.MADV_DONTFORK)

    def close(self):
        _libc.munmap(self.address, self.size)
        self.address = None  # a use after this is a TypeError

    def u32(self, offset):
        return ctypes.c_uint32.from_address(self.address + offset).value

    def u64(self, offset):
        return ctypes.c_uint64.from_address(self.address + offset).value

    def put32(self, offset, value):
        ctypes.c_uint32.from_address(self.address + offset).value = value

    def put64(self, offset, value):
        ctypes.c_uint64.from_address(self.address + offset).value = value

    def bytes(self, offset, size):
        return ctypes.string_at(self.address + offset, size)

    def put_bytes(self, offset, data):
        ctypes.memmove(self.address + offset, data, len(data))

    def set_bits(self, offset, bits):
        """Atomic or, and a full fence."""
        self._change(offset, FUTEX_OR, bits)

    def clear_bits(self, offset, bits):
        """Atomic and of the others, and a full fence; wakes one who sleeps on that word."""
        self._change(offset, FUTEX_ANDN, bits)

    def _change(self, offset, operation, bits):
        word = self.address + offset
        _futex(word, FUTEX_WAKE_OP, 1, ctypes.c_long(0), word, operation << 28 | bits << 12)

    def sleep(self, offset, value, seconds):
        """Whether all of the time passed while that word had the value and nobody woke us."""
        seconds, rest = divmod(int(seconds * 1e9), 10**9)
        try:
            _futex(self.address + offset, FUTEX_WAIT, value,
                   ctypes.byref((ctypes.c_long * 2)(seconds, rest)))
        except OSError as error:
            if error.errno not in (errno.ETIMEDOUT, errno.EAGAIN, errno.EINTR):
                raise
            return error.errno == errno.ETIMEDOUT
        return False


def create(name, size, seals, times=1):
    """Section 2: a sealed memfd, and the producer's mapping of it."""
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        fd = os.memfd_create(name, flags | MFD_NOEXEC_SEAL)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        fd = os.memfd_create(name, flags)
    os.ftruncate(fd, size)
    os.posix_fallocate(fd, 0, size)
    memory = Memory(fd, size, True, times)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    if seals & F_SEAL_FUTURE_WRITE:
        try:
            Memory(fd, size, True)
        except PermissionError:
            return fd, memory
        raise OSError("this kernel does not enforce F_SEAL_FUTURE_WRITE")
    return fd, memory


def check_memory(fd, size, seals):
    """Section 6, check 5: whether that can be mapped without fear of SIGBUS."""
    statfs = (ctypes.c_long * 32)()
    if _libc.fstatfs(fd, ctypes.byref(statfs)) != 0 or statfs[0] != TMPFS_MAGIC:
        raise Malformed("not a file on tmpfs")
    if fcntl.fcntl(fd, fcntl.F_GET_SEALS) & seals != seals:
        raise Malformed("seals are missing")
    if os.fstat(fd).st_size != size or os.lseek(fd, 0, os.SEEK_HOLE) != size:
        raise Malformed("another size, or a hole")


# ---- Sockets

def set_where_known(sock, option, value):
    """For the options that only newer kernels have."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, option, value)
    except OSError as error:
        if error.errno not in (errno.ENOPROTOOPT, errno.EOPNOTSUPP):
            raise


# Instead of socket.send_fds() and recv_fds(), which lose the flags that they are given.

def send_with(sock, data, fds):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("%di" % len(fds), *fds))]
    sock.sendmsg([data], rights, socket.MSG_DONTWAIT)


def receive_with(sock, size, most, flags=0):
    """The data, the descriptors, and whether either was cut off."""
    data, control, flags, _ = sock.recvmsg(
        size, socket.CMSG_LEN(4 * most), flags | socket.MSG_CMSG_CLOEXEC)
    fds = [fd for level, kind, value in control
           if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
           for fd in struct.unpack("%di" % (len(value) // 4), value)]
    return data, fds, bool(flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC))


def ring_bell(event):
    """Section 8.2. Whether it is rung, or needs not be: False only for want of memory."""
    try:
        event.send(BELL, socket.MSG_DONTWAIT)
    except OSError as error:
        return error.errno not in (errno.ENOMEM, errno.ENOBUFS)
    return True


# ---- The rendezvous by name: section 13

GREETING_VERSION = 2
WELCOME, FULL, REFUSED, NO_SUCH_START, OTHER_SIDE = 0, 1, 2, 3, 4
HEAD, OLDEST, LAST, OFFSET = 0, 1, 2, 3
HELLO = struct.Struct("<3sBBBHQ16s")
CALL = struct.Struct("<3sBBBBB24s")
HELLO_SIZE, WELCOME_SIZE = 32, 8
HELLO_TIMEOUT = 5.0

Start = collections.namedtuple("Start", "at offset ring_id",
                               defaults=(HEAD, 0, bytes(RING_ID_SIZE)))


def hello(mode, start=Start(), version=GREETING_VERSION):
    return HELLO.pack(b"zbq", version, mode, start.at, 0, start.offset, start.ring_id)


def call(mode, name):
    """Of a producer that dials a collector."""
    return CALL.pack(b"zbq", GREETING_VERSION, mode, 0, 1, 0, name)


def inquiry():
    """Of one who asks for the statistics alone."""
    return HELLO.pack(b"zbq", GREETING_VERSION, PUSH, 0, 2, 0, b"")


def read_call(data):
    """The mode and the name in it; None for anything malformed."""
    if len(data) != HELLO_SIZE:
        return None
    _, _, mode, _, _, _, name = CALL.unpack(data)
    name = name.partition(b"\0")[0]
    return (mode, name) if data == call(mode, name) and mode in (PUSH, OBSERVE_PUSH) else None


def read_hello(data):
    """The mode and the start that it asks for; None for anything malformed."""
    if len(data) != HELLO_SIZE:
        return None
    _, _, mode, at, _, offset, ring_id = HELLO.unpack(data)
    start = Start(at, offset, ring_id)
    is_one = data == hello(mode, start) and mode <= OBSERVE_PULL and at <= OFFSET
    return (mode, start) if is_one else None


def welcome(code, version=GREETING_VERSION):
    return b"zbq" + bytes((version, code, 0, 0, 0))


def read_welcome(data):
    """Its code; None for anything malformed."""
    return data[4] if len(data) == WELCOME_SIZE and data == welcome(data[4]) else None


def address_of(name):
    if name.startswith("@"):
        return "\0" + name[1:]
    if "/" in name:
        return name
    user, own = os.geteuid(), "/run/user/%d" % os.geteuid()
    if os.environ.get("XDG_RUNTIME_DIR"):
        folder = os.environ["XDG_RUNTIME_DIR"] + "/zbq"
    elif os.path.isdir(own) and os.stat(own).st_uid == user:
        folder = own + "/zbq"
    else:
        folder = "/tmp/zbq-%d" % user
    return folder + "/" + name


def say_hello(name, mode, start, timeout):
    """The consumer's half of the greeting; gives the connection, where the join comes next."""
    return say(name, hello(mode, start), timeout)


def say(name, what, timeout):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.settimeout(timeout)
        connection.connect(address_of(name))
        connection.send(what)
        code = read_welcome(connection.recv(WELCOME_SIZE + 1))
        if code is None:
            raise Malformed("that is no welcome")
        if code == NO_SUCH_START:
            raise NoSuchStart("no message starts there")
        if code != WELCOME:
            raise Refused("no slot is free" if code == FULL else "not admitted")
    except BaseException:
        connection.close()
        raise
    return connection


class Listener:
    """The producer's half. It serves one connection after the other: who says nothing makes the
    others wait, for five seconds at most. And it takes a name that is free, without taking turns
    with other publishers."""

    statistics = None  # a page, where it hands one out

    def __init__(self, name):
        self.address = address_of(name)
        if not self.address.startswith("\0"):
            os.makedirs(os.path.dirname(self.address) or ".", 0o700, exist_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.bind(self.address)
        self.socket.listen(16)

    def accept(self, producer, timeout=30.0):
        """Waits until somebody has joined; gives what the producer keeps of it."""
        joined = None
        while joined is None:
            joined = self.answer(producer, timeout)
        return joined

    def answer(self, producer, timeout=30.0):
        """Waits until somebody comes; None for one that did not join."""
        self.socket.settimeout(timeout)
        with self.socket.accept()[0] as connection:
            connection.settimeout(HELLO_TIMEOUT)
            try:
                data = connection.recv(HELLO_SIZE + 1)
                asked = read_hello(data)
                if data == inquiry() and self.statistics and self._admits(connection):
                    connection.send(welcome(WELCOME))
                    self.statistics.send(connection)
                    return None
                if asked is None or not self._admits(connection):
                    connection.send(welcome(OTHER_SIDE if read_call(data) else REFUSED))
                    return None
                mode, start = asked
                offset = producer.find_start(start)
                connection.send(welcome(NO_SUCH_START if offset is None else WELCOME))
                return None if offset is None else producer.join(connection, mode, offset)
            except OSError:
                return None  # it went away, or never spoke

    @staticmethod
    def _admits(connection):
        ucred = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return struct.unpack("iII", ucred)[1] == os.geteuid()

    def close(self):
        self.socket.close()
        if not self.address.startswith("\0"):
            os.unlink(self.address)
