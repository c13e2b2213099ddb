// SPDX-License-Identifier: MIT
//
// The tests' own tools can fail, and tell.
#include "support/leaks.hpp"
#include "support/process.hpp"
#include "support/syscalls.hpp"

#include <csignal>
#include <fcntl.h>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

int leaked = -1;

void leak_one() {
    const test::leak_check check;
    leaked = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

TEST(Support, LeakCheckSeesALeakedDescriptor) {
    EXPECT_NONFATAL_FAILURE(leak_one(), "descriptors leaked");
    close(leaked);
}

TEST(Support, ChildTellsItsExitStatus) {
    test::child child([] { return 7; });
    EXPECT_EQ(child.wait(), 7);
}

TEST(Support, ChildTellsItsSignal) {
    test::child child([] { return pause(); });
    child.kill();
    EXPECT_EQ(child.wait(), 128 + SIGKILL);
}

TEST(Support, ChildThatEndedIsNotStopped) {
    test::child child([] { return 7; });
    while (!child.has_ended()) {
        sched_yield();
    }
    EXPECT_FALSE(child.stop_unless_ended());
    EXPECT_EQ(child.wait(), 7);
}

TEST(Support, ChildThatRunsIsStoppedAndHasNotEnded) {
    test::child child([] { return pause(); });
    EXPECT_TRUE(child.stop_unless_ended());
    EXPECT_FALSE(child.has_ended());
}

TEST(Support, MemoryThatIsUsedIsResident) {
    constexpr std::size_t size = 8 * 1024 * 1024;
    const std::size_t before = test::resident_bytes();
    const std::string used(size, 'x');
    EXPECT_GE(test::resident_bytes(), before + size / 2) << used.back();
}

TEST(Support, FailedCheckInAChildIsAnExitStatus) {
    test::child child([] {
        close(STDERR_FILENO);
        CHILD_CHECK(1 == 2);
        return 0;
    });
    EXPECT_EQ(child.wait(), 99);
}

TEST(Support, SyscallCounterCountsBetweenTheMarkers) {
    const test::syscall_counts counts = test::count_syscalls([] {
        getppid();
        test::begin_counting();
        getppid();
        getppid();
        test::end_counting();
        getppid();
        return 3;
    });
    EXPECT_EQ(counts.total(), 2);
    EXPECT_EQ(counts.by_number.at(SYS_getppid), 2);
    EXPECT_EQ(counts.exit_status, 3);
}

} // namespace
