// SPDX-License-Identifier: MIT
//
// The only door to the kernel. Each function wraps one system call and gives its value
// or -errno; those that can be interrupted start again. Nothing here knows the protocol.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <poll.h>
#include <sys/types.h>

#include "zbq.h"

namespace zbq::core {

// A descriptor's one owner. -1 is none.
class unique_fd {
public:
    unique_fd() = default;
    explicit unique_fd(int fd) : fd_(fd) {}
    unique_fd(const unique_fd &) = delete;
    unique_fd &operator=(const unique_fd &) = delete;
    unique_fd(unique_fd &&other) noexcept : fd_(other.release()) {}
    unique_fd &operator=(unique_fd &&other) noexcept {
        reset(other.release());
        return *this;
    }
    ~unique_fd() { reset(); }

    [[nodiscard]] int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    int release() {
        const int fd = fd_;
        fd_ = -1;
        return fd;
    }
    void reset(int fd = -1);

private:
    int fd_ = -1;
};

// The public code for a failed system call; leaves the call's own number in errno.
int error_from(int negative_errno);

// ---- process and time ----
uint64_t page_size();
uint64_t physical_memory();
pid_t process_id();
uint64_t monotonic_ns();
uint64_t monotonic_coarse_ns(); // a few nanoseconds to read, exact to a clock tick
uint64_t thread_time_ns();      // that this thread ran: a system call
uint64_t descriptor_limit();    // RLIMIT_NOFILE

// A clock that is cheap to read and runs at one rate, on all processors.
inline uint64_t ticks_now() {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    asm volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return 0;
#endif
}
void yield_processor(); // to whoever else wants it

uint64_t ticks_in(uint64_t nanoseconds); // so many or fewer; 0: there is no such clock

int random_bytes(void *out, size_t size);

// ---- memory ----
int memfd_sealable(const char *name);
int reserve_memory(int fd, uint64_t size); // sets the size and allocates every page
int add_seals(int fd, int seals);
int get_seals(int fd);
int file_size(int fd, uint64_t *size);
int is_memory_file(int fd); // 1: tmpfs, and not hugetlb; 0: another
int map_shared(int fd, uint64_t size, int protection, void *at, void **out); // at: or NULL
int map_reserve(uint64_t size, void **out); // address space without access
int unmap(void *base, uint64_t size);
int hide_from_children(void *base, uint64_t size);
int map_page(void **out);                        // of this process's own
int wipe_in_children(void *base, uint64_t size); // they read zeros there
int first_hole(int fd, uint64_t *offset);        // its size, where there is none

// ---- sockets ----
bool is_unix_socket(int fd, int *type);
uid_t own_user();
uid_t peer_user(int fd); // who connected it; the overflow id for one that it cannot be told of
int socket_pair_seqpacket(unique_fd *first, unique_fd *second);
int socket_set(int fd, int option, int value);

// A receiver pays for the last close of a descriptor that it was sent, even unread, and that
// can take as long as the sender likes (SO_LINGER, FUSE). From 6.16 it can refuse them all, with
// SO_PASSRIGHTS; before, this does nothing.
void socket_refuse_descriptors(int fd);

// Whoever sends to a socket runs the filter that its owner has put on it: none any more.
void socket_lock_filter(int fd);
int socket_send_room(int fd, uint32_t *bytes); // as socket_unread_by_peer counts
int socket_unread_by_peer(int fd, uint32_t *accounted_bytes);
bool descriptor_is_open(int fd);
int duplicate(int fd); // close-on-exec

// ---- descriptors that gather events ----
int epoll_make(unique_fd *out);
int epoll_add(int epoll, int fd, uint32_t events, uint32_t tag);
void epoll_change(int epoll, int fd, uint32_t events, uint32_t tag);
void epoll_remove(int epoll, int fd);
inline constexpr unsigned events_at_once = 16;
int epoll_ready(int epoll, uint32_t (&tags)[events_at_once]); // how many, without waiting
int timer_make(unique_fd *out);
void timer_set(int timer, uint64_t monotonic_ns); // readable from then on; 0: never

// ---- processes and waiting ----
int pidfd_of(pid_t pid);
bool is_pidfd(int fd);
int poll_now(pollfd *fds, nfds_t count);
int futex_wait(const uint32_t *word, uint32_t expected, uint64_t timeout_ns);
int futex_wake_one(const uint32_t *word);

} // namespace zbq::core
