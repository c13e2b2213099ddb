// SPDX-License-Identifier: MIT
#include "harness.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

// The linker puts these in the place of the library's calls (--wrap).
// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
extern "C" {
void *__real_mmap(void *at, std::size_t size, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *base, std::size_t size);
void *__wrap_mmap(void *at, std::size_t size, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *base, std::size_t size);
int __real_close(int fd);
int __wrap_close(int fd);
int LLVMFuzzerInitialize(int *argc, char ***argv);
}

namespace {
std::uint64_t mapped_bytes = 0;
}

void *__wrap_mmap(void *at, std::size_t size, int protection, int flags, int fd, off_t offset) {
    void *base = __real_mmap(at, size, protection, flags, fd, offset);
    if (base != MAP_FAILED && (flags & MAP_FIXED) == 0) { // fixed: over what was counted before
        mapped_bytes += size;
    }
    return base;
}

int __wrap_munmap(void *base, std::size_t size) {
    const int result = __real_munmap(base, size);
    MUST(result == 0);
    mapped_bytes -= size;
    return result;
}

// Closed twice is somebody else's descriptor in a program that goes on.
int __wrap_close(int fd) {
    const int result = __real_close(fd);
    MUST(result == 0 || errno != EBADF);
    return result;
}
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)

// The kernel counts descriptors in flight for the whole user, by this limit.
int LLVMFuzzerInitialize([[maybe_unused]] int *argc, [[maybe_unused]] char ***argv) {
    rlimit limit = {};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    GTEST_FLAG_SET(break_on_failure, true); // of the tests' support
    return 0;
}

namespace fuzz {

void fail(const char *file, int line, const char *condition) {
    std::fprintf(stderr, "%s:%d: %s\n", file, line, condition);
    std::abort();
}

namespace {

// Of the lowest numbers, where a leak begins. In one system call.
unsigned open_descriptors() {
    constexpr int looked_at = 128;
    std::array<pollfd, looked_at> polled = {};
    for (int fd = 0; fd < looked_at; ++fd) {
        polled[static_cast<std::size_t>(fd)] = {fd, 0, 0};
    }
    MUST(poll(polled.data(), polled.size(), 0) >= 0);
    unsigned open = 0;
    for (const pollfd &one : polled) {
        open += (one.revents & POLLNVAL) == 0 ? 1U : 0U;
    }
    return open;
}

} // namespace

balance::balance() : descriptors_(open_descriptors()), mapped_(mapped_bytes) {}

balance::~balance() {
    MUST(open_descriptors() == descriptors_);
    MUST(mapped_bytes == mapped_);
}

bool balance::holds() const {
    return open_descriptors() == descriptors_ && mapped_bytes == mapped_;
}

void touch(const void *bytes, std::uint64_t size) {
    constexpr std::uint64_t page = 4096;
    const volatile char *at = static_cast<const char *>(bytes);
    for (std::uint64_t i = 0; i < size; i += page) {
        static_cast<void>(at[i]);
    }
    if (size != 0) {
        static_cast<void>(at[size - 1]);
    }
}

namespace {

void drain(int socket) {
    char byte = 0;
    while (recv(socket, &byte, sizeof byte, MSG_DONTWAIT) > 0) {
    }
}

} // namespace

void make_as_new(test::pretender *producer) {
    const std::uint64_t capacity = producer->payload.ring_capacity;
    *producer->control() = {};
    producer->control()->ring_capacity = capacity;
    std::memset(producer->ring(), 0, capacity);
    std::memset(producer->metadata(), 0, sizeof *producer->metadata());
    drain(producer->side());
    drain(producer->event().get());
    zbq::core::event_ring(producer->event().get());
}

} // namespace fuzz
