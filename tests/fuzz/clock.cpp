// SPDX-License-Identifier: MIT
#include "clock.hpp"

#include <ctime>
#include <map>
#include <sys/resource.h>
#include <sys/timerfd.h>

// The linker puts these in the place of the library's calls (--wrap).
// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
extern "C" {
int __real_clock_gettime(clockid_t clock, timespec *now);
int __wrap_clock_gettime(clockid_t clock, timespec *now);
int __real_timerfd_settime(int fd, int flags, const itimerspec *when, itimerspec *before);
int __wrap_timerfd_settime(int fd, int flags, const itimerspec *when, itimerspec *before);
int __real_getrlimit(__rlimit_resource_t resource, rlimit *limit);
int __wrap_getrlimit(__rlimit_resource_t resource, rlimit *limit);
}

namespace {

constexpr std::uint64_t second = 1'000'000'000;

struct state {
    std::uint64_t now = second;
    std::uint64_t descriptor_limit = 0;       // 0: the true one
    std::map<int, std::uint64_t> timers = {}; // that are to go off, by descriptor
};

state &fake() {
    static state the_one;
    return the_one;
}

itimerspec at(std::uint64_t time) {
    itimerspec when = {};
    when.it_value.tv_nsec = static_cast<long>(time);
    return when;
}

void go_off(int timer) {
    const itimerspec long_past = at(1);
    __real_timerfd_settime(timer, TFD_TIMER_ABSTIME, &long_past, nullptr);
}

} // namespace

int __wrap_clock_gettime(clockid_t clock, timespec *now) {
    if (clock != CLOCK_MONOTONIC && clock != CLOCK_MONOTONIC_COARSE &&
        clock != CLOCK_THREAD_CPUTIME_ID) {
        return __real_clock_gettime(clock, now);
    }
    now->tv_sec = static_cast<time_t>(fake().now / second);
    now->tv_nsec = static_cast<long>(fake().now % second);
    return 0;
}

int __wrap_timerfd_settime(int fd, int flags, const itimerspec *when, itimerspec *before) {
    const std::uint64_t due = static_cast<std::uint64_t>(when->it_value.tv_sec) * second +
                              static_cast<std::uint64_t>(when->it_value.tv_nsec);
    const itimerspec never = at(0);
    const int result = __real_timerfd_settime(fd, flags, &never, before);
    fake().timers.erase(fd);
    if (due != 0 && due <= fake().now) {
        go_off(fd);
    } else if (due != 0) {
        fake().timers[fd] = due;
    }
    return result;
}

int __wrap_getrlimit(__rlimit_resource_t resource, rlimit *limit) {
    const int result = __real_getrlimit(resource, limit);
    if (resource == RLIMIT_NOFILE && fake().descriptor_limit != 0) {
        limit->rlim_cur = fake().descriptor_limit;
    }
    return result;
}
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)

namespace fuzz {

void begin_time(std::uint64_t descriptor_limit) {
    fake() = {second, descriptor_limit, {}};
}

std::uint64_t time_now() {
    return fake().now;
}

void pass_time_until(std::uint64_t later) {
    fake().now = later > fake().now ? later : fake().now;
    for (auto one = fake().timers.begin(); one != fake().timers.end();) {
        const bool due = one->second <= fake().now;
        if (due) {
            go_off(one->first);
        }
        one = due ? fake().timers.erase(one) : std::next(one);
    }
}

bool pass_time_until_a_timer() {
    std::uint64_t first = UINT64_MAX;
    for (const auto &[timer, due] : fake().timers) {
        first = due < first ? due : first;
    }
    if (first != UINT64_MAX) {
        pass_time_until(first);
    }
    return first != UINT64_MAX;
}

} // namespace fuzz
