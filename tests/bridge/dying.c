// SPDX-License-Identifier: MIT
//
// To be loaded before a program: ends it by SIGKILL at the call of this number (ZBQ_DIES_AT) among
// those that move a message a step further, here: reads of the ring, publishing, what goes to and
// comes from the server, and what the position's changes stand between. With ZBQ_CLOCK_JUMPS the
// wall clock is an hour off now and then, for some of its looks.
#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static long left = -1;
static int jumps;

__attribute__((constructor)) static void begin(void) {
    const char *at = getenv("ZBQ_DIES_AT");
    left = at != NULL ? strtol(at, NULL, 10) : -1;
    jumps = getenv("ZBQ_CLOCK_JUMPS") != NULL;
}

static void step(void) {
    if (left > 0 && __atomic_sub_fetch(&left, 1, __ATOMIC_RELAXED) == 0) {
        kill(getpid(), SIGKILL);
    }
}

// The library's own names of parameters are not for others.
// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)

// NOLINTNEXTLINE(bugprone-macro-parentheses): a name, which is made a text too
#define NEXT(name) (__extension__(__typeof__(&name)) dlsym(RTLD_NEXT, #name))

int zbq_consumer_copy(void *consumer, void *into, uint64_t size, void *out);
int zbq_producer_retain(void *producer, uint16_t key, const void *header, const void *payload,
                        const int *fds);

int zbq_consumer_copy(void *consumer, void *into, uint64_t size, void *out) {
    step();
    const int result = NEXT(zbq_consumer_copy)(consumer, into, size, out);
    step();
    return result;
}

int zbq_producer_retain(void *producer, uint16_t key, const void *header, const void *payload,
                        const int *fds) {
    step();
    const int result = NEXT(zbq_producer_retain)(producer, key, header, payload, fds);
    step();
    return result;
}

ssize_t send(int fd, const void *bytes, size_t size, int flags) {
    step();
    const ssize_t sent = NEXT(send)(fd, bytes, size, flags);
    step();
    return sent;
}

ssize_t recv(int fd, void *bytes, size_t size, int flags) {
    step();
    return NEXT(recv)(fd, bytes, size, flags);
}

ssize_t read(int fd, void *bytes, size_t size) {
    step();
    return NEXT(read)(fd, bytes, size);
}

ssize_t write(int fd, const void *bytes, size_t size) {
    step();
    return NEXT(write)(fd, bytes, size);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    const int result = NEXT(clock_gettime)(clock, now);
    if (jumps && clock == CLOCK_REALTIME) {
        static unsigned looks;
        const unsigned look = __atomic_add_fetch(&looks, 1, __ATOMIC_RELAXED) / 64;
        now->tv_sec += look % 4 == 3 ? 3600 : look % 4 == 1 ? -3600 : 0;
    }
    step();
    return result;
}

// NOLINTEND(readability-inconsistent-declaration-parameter-name)
