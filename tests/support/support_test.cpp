// SPDX-License-Identifier: MIT
//
// The tests' own tools can fail, and tell.
#include "support/leaks.hpp"
#include "support/process.hpp"
#include "support/rig.hpp"
#include "support/sanitizer.hpp"
#include "support/stepper.hpp"
#include "support/syscalls.hpp"

#include <csignal>
#include <fcntl.h>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
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
    constexpr std::size_t size = std::size_t{8} * 1024 * 1024;
    const std::size_t before = test::resident_bytes();
    const std::string used(size, 'x');
    EXPECT_GE(test::resident_bytes(), before + size / 2) << used.back();
}

// Nobody reads, so that there is always room.
TEST(Support, AFillEndsThoughTheRingIsNeverFull) {
    const auto prod = test::make_producer({.capacity = test::page});
    EXPECT_EQ(test::fill(prod.get()), test::page / sizeof(zbq_msg_header) + 1);
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

// A process that counts to a hundred where its tracer can see it.
class Stepper : public testing::Test {
protected:
    static constexpr int last = 100;

    void SetUp() override {
        if (test::sanitized || !test::can_trace()) {
            GTEST_SKIP() << "no process can be stepped through here";
        }
        void *shared = mmap(nullptr, sizeof *count_, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        ASSERT_NE(shared, MAP_FAILED);
        count_ = static_cast<volatile int *>(shared);
    }
    int count_up() const {
        test::mark();
        for (int i = 1; i <= last; ++i) {
            *count_ = i;
        }
        test::mark();
        return 5;
    }

    volatile int *count_ = nullptr;
};

TEST_F(Stepper, StopsAfterEachInstruction) {
    test::stepper process([this] { return count_up(); });
    ASSERT_TRUE(process.run_to_mark());
    EXPECT_EQ(*count_, 0);
    for (int before = 0; process.step(); before = *count_) {
        ASSERT_LE(*count_, before + 1);
    }
    EXPECT_EQ(*count_, last);
    EXPECT_GE(process.instructions(), std::uint64_t{last});
    EXPECT_FALSE(process.run_to_mark());
    EXPECT_EQ(process.finish(), 5);
}

TEST_F(Stepper, KillsWhereItIsTold) {
    test::stepper process([this] { return count_up(); });
    ASSERT_TRUE(process.run_to_mark());
    process.kill_at(last / 2);
    EXPECT_LT(*count_, last);
    EXPECT_EQ(process.finish(), 128 + SIGKILL);
}

TEST_F(Stepper, ReadsTheProcess) {
    static std::uint64_t word = 1;
    test::stepper process([] {
        word = 2;
        test::mark();
        return 0;
    });
    ASSERT_TRUE(process.run_to_mark());
    EXPECT_EQ(process.peek(reinterpret_cast<std::uintptr_t>(&word)), 2U);
    EXPECT_EQ(word, 1U);
}

TEST_F(Stepper, AnOperationWithoutAnEndIsTold) {
    test::stepper process([] {
        test::mark();
        return 0;
    });
    ASSERT_TRUE(process.run_to_mark());
    EXPECT_THROW(process.stop_at(UINT64_MAX), std::runtime_error);
}

} // namespace
