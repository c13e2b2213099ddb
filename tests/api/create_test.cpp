// SPDX-License-Identifier: MIT
#include "support/leaks.hpp"
#include "support/process.hpp"
#include "support/rig.hpp"
#include "support/sanitizer.hpp"

#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

namespace {

zbq_producer *const poison = reinterpret_cast<zbq_producer *>(16);

int create(const zbq_producer_params &params) {
    zbq_producer *prod = poison;
    const int result = zbq_producer_create(&prod, &params);
    EXPECT_EQ(prod == nullptr, result != ZBQ_OK);
    EXPECT_NE(prod, poison);
    zbq_producer_destroy(prod);
    return result;
}

TEST(Create, RefusesNull) {
    const zbq_producer_params params = {test::page, 1, 0, 1};
    zbq_producer *prod = poison;
    EXPECT_EQ(zbq_producer_create(nullptr, &params), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_producer_create(&prod, nullptr), ZBQ_ERROR_INVALID);
    EXPECT_EQ(prod, nullptr);
}

TEST(Create, RefusesBadNumbers) {
    EXPECT_EQ(create({0, 1, 0, 1}), ZBQ_ERROR_INVALID);
    EXPECT_EQ(create({4095, 1, 0, 1}), ZBQ_ERROR_INVALID);
    EXPECT_EQ(create({4096 + 16, 1, 0, 1}), ZBQ_ERROR_INVALID);
    EXPECT_EQ(create({UINT64_MAX, 1, 0, 1}), ZBQ_ERROR_INVALID);
    EXPECT_EQ(create({4096, 1, 0, 0}), ZBQ_ERROR_INVALID);
}

TEST(Create, AnyMultipleOfThePageIsACapacity) {
    const test::leak_check leaks;
    EXPECT_EQ(create({zbq::core::page_size(), 0, 0, 1}), ZBQ_OK);
    EXPECT_EQ(create({3 * zbq::core::page_size(), UINT64_MAX, UINT64_MAX, 1}), ZBQ_OK);
}

TEST(Create, MoreThanTheMachineHasIsNoMemory) {
    const test::leak_check leaks;
    EXPECT_EQ(create({uint64_t{1} << 45U, 1, 0, 1}), ZBQ_ERROR_NOMEM);
    EXPECT_EQ(create({test::page, 1, 0, UINT32_MAX}), ZBQ_ERROR_NOMEM);
}

// Each limit of descriptors stops creation at another system call.
TEST(Create, OutOfDescriptorsIsAnErrorThatLeavesNothing) {
    for (unsigned spare = 0; spare < 2; ++spare) {
        const test::leak_check leaks;
        const test::descriptor_shortage shortage(spare);
        EXPECT_EQ(create({test::page, 1, 0, 1}), ZBQ_ERROR_IO);
        EXPECT_EQ(errno, EMFILE);
    }
}

TEST(Create, ShortOfAddressSpaceIsNoMemory) {
    if (test::sanitized) {
        GTEST_SKIP() << "sanitizers reserve more address space than the limit";
    }
    test::child child([] {
        const rlimit limit = {uint64_t{1} << 30U, RLIM_INFINITY};
        CHILD_CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
        const zbq_producer_params params = {uint64_t{1} << 29U, 1, 0, 1}; // 1 GiB mapped
        zbq_producer *prod = poison;
        CHILD_CHECK(zbq_producer_create(&prod, &params) == ZBQ_ERROR_NOMEM);
        CHILD_CHECK(prod == nullptr);
        CHILD_CHECK(test::zbq_mappings() == 0);
        return 0;
    });
    EXPECT_EQ(child.wait(), 0);
}

TEST(Create, SaysItsParametersToTheConsumers) {
    const auto prod = test::make_producer({3 * test::page, 7, 11, 2});
    const test::joined joined = test::join(prod.get());
    const zbq_control_region *control = zbq_consumer_ctrl(joined.consumer.get());
    EXPECT_EQ(control->ring_capacity, 3 * test::page);
    EXPECT_EQ(control->clog_threshold, 7U);
    EXPECT_EQ(control->stall_timeout_ns, 11U);
    EXPECT_EQ(control->producer_pid, zbq::core::process_id());
    EXPECT_EQ(control->closed, 0U);
}

TEST(Memory, IsReservedAndNotSealed) {
    const zbq::core::unique_fd memory = [] {
        zbq::core::unique_fd made;
        made.reset(zbq_memory_create(5000));
        return made;
    }();
    ASSERT_TRUE(memory);
    struct stat status = {};
    ASSERT_EQ(fstat(memory.get(), &status), 0);
    EXPECT_EQ(status.st_size, 5000);
    EXPECT_GE(status.st_blocks, 5000 / 512);
    EXPECT_EQ(fcntl(memory.get(), F_GET_SEALS) & (F_SEAL_SHRINK | F_SEAL_WRITE | F_SEAL_SEAL), 0);
    EXPECT_EQ(fcntl(memory.get(), F_GETFD), FD_CLOEXEC);
}

TEST(Memory, OfNoSizeOrMoreThanThereIsIsRefused) {
    const test::leak_check leaks;
    EXPECT_EQ(zbq_memory_create(0), ZBQ_ERROR_INVALID);
    EXPECT_EQ(zbq_memory_create(uint64_t{1} << 50U), ZBQ_ERROR_NOMEM);
    EXPECT_EQ(zbq_memory_create(UINT64_MAX), ZBQ_ERROR_NOMEM);
}

TEST(Memory, OutOfDescriptorsSaysSo) {
    test::child child([] {
        const rlimit none = {0, 0};
        CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
        errno = 0;
        CHILD_CHECK(zbq_memory_create(1) == ZBQ_ERROR_IO);
        CHILD_CHECK(errno == EMFILE);
        return 0;
    });
    EXPECT_EQ(child.wait(), 0);
}

TEST(Create, DestroyOfNullIsNothing) {
    zbq_producer_destroy(nullptr);
}

} // namespace
