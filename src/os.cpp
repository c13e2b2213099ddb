// SPDX-License-Identifier: MIT
#include "os.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <climits>
#include <csignal>
#include <ctime>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <linux/sockios.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <unistd.h>

// Newer than Debian 12's headers; include/uapi/linux/memfd.h.
#if !defined(MFD_NOEXEC_SEAL)
#define MFD_NOEXEC_SEAL 0x0008U
#endif

// include/uapi/asm-generic/socket.h.
#if !defined(SO_PASSRIGHTS)
#define SO_PASSRIGHTS 83
#endif

namespace zbq::core {

namespace {

int value_or_errno(int value) {
    return value < 0 ? -errno : value;
}

timespec to_timespec(uint64_t nanoseconds) {
    return {static_cast<time_t>(nanoseconds / 1'000'000'000U),
            static_cast<long>(nanoseconds % 1'000'000'000U)};
}

uint64_t clock_ns(clockid_t clock) {
    timespec now = {};
    clock_gettime(clock, &now); // cannot fail for these clocks and a valid address
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<uint64_t>(now.tv_nsec);
}

} // namespace

void unique_fd::reset(int fd) {
    if (fd_ >= 0) {
        const int kept = errno;
        close(fd_); // Linux frees the descriptor whatever close() says; a retry would race
        errno = kept;
    }
    fd_ = fd;
}

int error_from(int negative_errno) {
    errno = -negative_errno;
    const bool memory = errno == ENOMEM || errno == ENOSPC || errno == EFBIG;
    return memory ? ZBQ_ERROR_NOMEM : ZBQ_ERROR_IO;
}

uint64_t page_size() {
    return static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

uint64_t physical_memory() {
    return static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * page_size();
}

pid_t process_id() {
    return getpid();
}

uint64_t monotonic_ns() {
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t monotonic_coarse_ns() {
    return clock_ns(CLOCK_MONOTONIC_COARSE);
}

uint64_t thread_time_ns() {
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t descriptor_limit() {
    rlimit limit = {};
    getrlimit(RLIMIT_NOFILE, &limit); // cannot fail for it and a valid address
    return limit.rlim_cur;
}

int random_bytes(void *out, size_t size) {
    const ssize_t got = getrandom(out, size, 0); // so few come whole, or not at all
    return got < 0 ? -errno : 0;
}

void yield_processor() {
    sched_yield();
}

uint64_t ticks_in([[maybe_unused]] uint64_t nanoseconds) {
#if defined(__x86_64__)
    // The time stamp counter, where it runs at one rate through all states of all processors
    // ("invariant TSC", AMD64 Architecture Programmer's Manual volume 3, CPUID Fn8000_0007). Its
    // rate is not told; none is below 1 GHz.
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    const bool steady = __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d & (1U << 8U)) != 0;
    return steady ? nanoseconds : 0;
#elif defined(__aarch64__)
    uint64_t frequency = 0;
    asm("mrs %0, cntfrq_el0" : "=r"(frequency));
    return nanoseconds * frequency / 1'000'000'000;
#else
    return 0;
#endif
}

int memfd_sealable(const char *name) {
    // From 6.3 a memfd should say whether it may be executed, and vm.memfd_noexec=2 refuses
    // those that do not; older kernels answer EINVAL to the flag.
    const int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd >= 0 || errno != EINVAL) {
        return value_or_errno(fd);
    }
    return value_or_errno(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
}

namespace {

// A file that would be longer than RLIMIT_FSIZE gets its maker a SIGXFSZ (inode_newsize_ok in the
// kernel): asked first.
bool is_within_file_limit(uint64_t size) {
    rlimit limit = {};
    getrlimit(RLIMIT_FSIZE, &limit); // cannot fail for it and a valid address
    return size <= limit.rlim_cur;   // RLIM_INFINITY is the largest number
}

// Before Linux 6.0 a signal that arrives meanwhile makes fallocate of a tmpfs file undo all that it
// did ("tmpfs: don't interrupt fallocate with EINTR"): a profiler's timer would let a large piece
// never end.
constexpr uint64_t allocation_piece = 256U << 10U;

int allocate_piece(int fd, uint64_t begin, uint64_t size) {
    int result = 0;
    do {
        result =
            value_or_errno(fallocate(fd, 0, static_cast<off_t>(begin), static_cast<off_t>(size)));
    } while (result == -EINTR);
    return result;
}

} // namespace

int reserve_memory(int fd, uint64_t size) {
    if (!is_within_file_limit(size)) {
        return -EFBIG;
    }
    // Said here, since the kernel would first hand out all the memory that there is.
    if (size > physical_memory()) {
        return -ENOMEM;
    }
    if (ftruncate(fd, static_cast<off_t>(size)) < 0) {
        return errno == EINVAL ? -EFBIG : -errno;
    }
    for (uint64_t begin = 0; begin < size; begin += allocation_piece) {
        const uint64_t left = size - begin;
        const uint64_t piece = left < allocation_piece ? left : allocation_piece;
        const int result = allocate_piece(fd, begin, piece);
        if (result < 0) {
            return result;
        }
    }
    return 0;
}

int add_seals(int fd, int seals) {
    return value_or_errno(fcntl(fd, F_ADD_SEALS, seals));
}

int get_seals(int fd) {
    return value_or_errno(fcntl(fd, F_GET_SEALS));
}

int file_size(int fd, uint64_t *size) {
    struct stat status = {};
    if (fstat(fd, &status) < 0) {
        return -errno;
    }
    *size = S_ISREG(status.st_mode) ? static_cast<uint64_t>(status.st_size) : 0;
    return 0;
}

int first_hole(int fd, uint64_t *offset) {
    const off_t found = lseek(fd, 0, SEEK_HOLE);
    if (found < 0) {
        return -errno;
    }
    *offset = static_cast<uint64_t>(found);
    return 0;
}

int is_memory_file(int fd) {
    struct statfs status = {};
    if (fstatfs(fd, &status) < 0) {
        return -errno;
    }
    return status.f_type == TMPFS_MAGIC ? 1 : 0;
}

namespace {

// EAGAIN is what a process with mlockall(MCL_FUTURE) gets that has reached RLIMIT_MEMLOCK.
int map_memory(void *at, uint64_t size, int protection, int flags, int fd, void **out) {
    void *base = mmap(at, size, protection, flags, fd, 0);
    if (base == MAP_FAILED) {
        return errno == EAGAIN ? -ENOMEM : -errno;
    }
    *out = base;
    return 0;
}

} // namespace

int map_shared(int fd, uint64_t size, int protection, void *at, void **out) {
    // Populated: else each page's first access is a fault, here and in every other process, which
    // costs several times as much and comes in the middle of the stream.
    const int flags = MAP_SHARED | MAP_POPULATE | (at != nullptr ? MAP_FIXED : 0);
    return map_memory(at, size, protection, flags, fd, out);
}

int map_reserve(uint64_t size, void **out) {
    return map_memory(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                      out);
}

int map_page(void **out) {
    return map_memory(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                      out);
}

int unmap(void *base, uint64_t size) {
    return value_or_errno(munmap(base, size));
}

int hide_from_children(void *base, uint64_t size) {
    return value_or_errno(madvise(base, size, MADV_DONTFORK));
}

int wipe_in_children(void *base, uint64_t size) {
    return value_or_errno(madvise(base, size, MADV_WIPEONFORK));
}

bool is_unix_socket(int fd, int *type) {
    int domain = 0;
    socklen_t length = sizeof domain;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0 || domain != AF_UNIX) {
        return false;
    }
    length = sizeof *type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, type, &length) == 0;
}

uid_t own_user() {
    return geteuid();
}

uid_t peer_user(int fd) {
    constexpr uid_t overflow = 65534; // DEFAULT_OVERFLOWUID, include/linux/highuid.h
    ucred peer = {};
    socklen_t length = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 ? peer.uid : overflow;
}

int socket_pair_seqpacket(unique_fd *first, unique_fd *second) {
    int ends[2] = {-1, -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        return -errno;
    }
    first->reset(ends[0]);
    second->reset(ends[1]);
    return 0;
}

int socket_set(int fd, int option, int value) {
    return value_or_errno(setsockopt(fd, SOL_SOCKET, option, &value, sizeof value));
}

void socket_refuse_descriptors(int fd) {
    socket_set(fd, SO_PASSRIGHTS, 0); // ENOPROTOOPT before 6.16
}

void socket_lock_filter(int fd) {
    socket_set(fd, SO_LOCK_FILTER, 1); // Linux 3.9
}

int socket_send_room(int fd, uint32_t *bytes) {
    int size = 0;
    socklen_t length = sizeof size;
    if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length) < 0) {
        return -errno;
    }
    *bytes = static_cast<uint32_t>(size);
    return 0;
}

int socket_unread_by_peer(int fd, uint32_t *accounted_bytes) {
    // For Unix sockets this is the memory of what was sent and not yet received (unix_outq_len
    // in net/unix/af_unix.c), buffers' overhead included.
    int queued = 0;
    if (ioctl(fd, SIOCOUTQ, &queued) < 0) {
        return -errno;
    }
    *accounted_bytes = static_cast<uint32_t>(queued);
    return 0;
}

int duplicate(int fd) {
    return value_or_errno(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

bool descriptor_is_open(int fd) {
    return fcntl(fd, F_GETFD) >= 0;
}

int epoll_make(unique_fd *out) {
    const int fd = value_or_errno(epoll_create1(EPOLL_CLOEXEC));
    if (fd < 0) {
        return fd;
    }
    out->reset(fd);
    return 0;
}

int epoll_add(int epoll, int fd, uint32_t events, uint32_t tag) {
    epoll_event event = {};
    event.events = events;
    event.data.u32 = tag;
    return value_or_errno(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

void epoll_change(int epoll, int fd, uint32_t events, uint32_t tag) {
    epoll_event event = {};
    event.events = events;
    event.data.u32 = tag;
    epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event); // cannot fail for one that was added
}

void epoll_remove(int epoll, int fd) {
    epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nullptr); // ENOENT: it never was there
}

int epoll_ready(int epoll, uint32_t (&tags)[events_at_once]) {
    epoll_event events[events_at_once];
    const int count = epoll_wait(epoll, events, events_at_once, 0);
    for (int i = 0; i < count; ++i) {
        tags[i] = events[i].data.u32;
    }
    return value_or_errno(count);
}

int timer_make(unique_fd *out) {
    const int fd = value_or_errno(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (fd < 0) {
        return fd;
    }
    out->reset(fd);
    return 0;
}

void timer_set(int timer, uint64_t monotonic_ns) {
    itimerspec when = {};
    when.it_value = to_timespec(monotonic_ns);
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, nullptr); // cannot fail for such a time
}

int pidfd_of(pid_t pid) {
    return value_or_errno(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
}

bool is_pidfd(int fd) {
    // Signal 0 delivers nothing. EBADF is the answer for any other kind of descriptor; ESRCH
    // (exited) and EPERM (another user's, or a seccomp filter) come only after that check or
    // tell nothing against it.
    return syscall(SYS_pidfd_send_signal, fd, 0, nullptr, 0) == 0 || errno != EBADF;
}

int poll_now(pollfd *fds, nfds_t count) {
    int result = 0;
    do {
        result = value_or_errno(poll(fds, count, 0));
    } while (result == -EINTR);
    return result;
}

// The futex calls are without FUTEX_PRIVATE_FLAG: the word is shared between processes.
int futex_wait(const uint32_t *word, uint32_t expected, uint64_t timeout_ns) {
    const timespec timeout = to_timespec(timeout_ns);
    return value_or_errno(
        static_cast<int>(syscall(SYS_futex, word, FUTEX_WAIT, expected, &timeout, nullptr, 0)));
}

int futex_wake_one(const uint32_t *word) {
    return value_or_errno(
        static_cast<int>(syscall(SYS_futex, word, FUTEX_WAKE, 1, nullptr, nullptr, 0)));
}

} // namespace zbq::core
