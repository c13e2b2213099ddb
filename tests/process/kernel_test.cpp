// SPDX-License-Identifier: MIT
//
// Other kernels: each fallback forced, and each call of creation and join that can fail made
// to fail.
#include "consumer.hpp"
#include "producer.hpp"
#include "support/descriptors.hpp"
#include "support/kernel.hpp"
#include "support/leaks.hpp"
#include "support/remote.hpp"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <linux/membarrier.h>
#include <linux/sockios.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace {

constexpr uint32_t noexec_seal_flag = 0x8; // MFD_NOEXEC_SEAL, Linux 6.3
constexpr int exec_seal = 0x20;            // F_SEAL_EXEC
constexpr uint32_t passpidfd = 76;         // SO_PASSPIDFD, Linux 6.5
constexpr uint32_t all_bits = UINT32_MAX;

int in_child(const std::function<int()> &body) {
    test::child child(body);
    return child.wait();
}

TEST(Kernel, WithoutNoexecMemfdsTheRingWorks) {
    EXPECT_EQ(
        in_child([] {
            test::answer_with({SYS_memfd_create, 1, noexec_seal_flag, noexec_seal_flag}, EINVAL);
            const auto prod = test::make_producer();
            CHILD_CHECK((fcntl(prod->ring_region.fd.get(), F_GET_SEALS) & exec_seal) == 0);
            const test::joined joined = test::join(prod.get());
            CHILD_CHECK(test::publish(prod.get(), "x"));
            CHILD_CHECK(test::skip_all(joined.consumer.get()) == 1);
            return 0;
        }),
        0);
}

TEST(Kernel, WithNoexecMemfdsTheyAreUsed) {
    const int probe = memfd_create("probe", MFD_CLOEXEC | noexec_seal_flag);
    if (probe < 0) {
        GTEST_SKIP() << "this kernel is older than 6.3";
    }
    close(probe);
    const auto prod = test::make_producer();
    EXPECT_NE(fcntl(prod->ring_region.fd.get(), F_GET_SEALS) & exec_seal, 0);
}

// The process died and its socket is held by another: only a pidfd of its own making tells.
int second_witness_without_passed_pidfds() {
    test::answer_with({SYS_setsockopt, 2, all_bits, passpidfd}, ENOPROTOOPT);
    const auto prod = test::make_producer();
    test::step_pipe announced;
    test::step_pipe grandchild;
    test::remote_consumer victim(prod, ZBQ_WAKEUP_PUSH, [&](zbq_consumer * /*unused*/) {
        if (fork() == 0) {
            grandchild.receive();
            _exit(0);
        }
        announced.send(1);
        return pause();
    });
    announced.receive();
    CHILD_CHECK(zbq_producer_scan(prod.get()) == ZBQ_OK);
    CHILD_CHECK(prod->slots[victim.slot()].process);
    victim.process().kill();
    CHILD_CHECK(zbq_producer_scan(prod.get()) == ZBQ_OK);
    grandchild.send(1);
    return static_cast<int>(test::info(prod.get(), victim.slot()).eviction);
}

TEST(Kernel, WithoutPassedPidfdsTheProducerOpensOne) {
    EXPECT_EQ(in_child(second_witness_without_passed_pidfds), ZBQ_EVICTION_DEAD);
}

int create_fails_with(int result) {
    const std::size_t descriptors = test::open_descriptors();
    const zbq_producer_params params = {test::page, 1, 0, 1};
    zbq_producer *prod = nullptr;
    CHILD_CHECK(zbq_producer_create(&prod, &params) == result);
    CHILD_CHECK(prod == nullptr);
    CHILD_CHECK(test::open_descriptors() == descriptors);
    CHILD_CHECK(test::zbq_mappings() == 0);
    return 0;
}

struct failing_call {
    const char *name;
    test::call_pattern call;
    int error;
    int result;
};

class FailingCreate : public testing::TestWithParam<failing_call> {};

TEST_P(FailingCreate, IsAnErrorThatLeavesNothing) {
    const failing_call &failing = GetParam();
    EXPECT_EQ(in_child([&failing] {
                  test::answer_with(failing.call, failing.error);
                  return create_fails_with(failing.result);
              }),
              0);
}

// A success that did nothing for F_ADD_SEALS is a kernel that does not enforce seals.
INSTANTIATE_TEST_SUITE_P(
    Calls, FailingCreate,
    testing::Values(
        failing_call{"NoMemfd", {SYS_memfd_create, 0, 0, 0}, ENOSYS, ZBQ_ERROR_IO},
        failing_call{"NoMemoryForTheFile", {SYS_fallocate, 0, 0, 0}, ENOSPC, ZBQ_ERROR_NOMEM},
        failing_call{"NoMemoryForTheSize", {SYS_ftruncate, 0, 0, 0}, ENOMEM, ZBQ_ERROR_NOMEM},
        failing_call{
            "NoSharedMaps", {SYS_mmap, 3, MAP_SHARED, MAP_SHARED}, ENOMEM, ZBQ_ERROR_NOMEM},
        failing_call{"NoDontFork", {SYS_madvise, 2, all_bits, MADV_DONTFORK}, EINVAL, ZBQ_ERROR_IO},
        failing_call{"NoSeals", {SYS_fcntl, 1, all_bits, F_ADD_SEALS}, EPERM, ZBQ_ERROR_IO},
        failing_call{"SealsNotEnforced", {SYS_fcntl, 1, all_bits, F_ADD_SEALS}, 0, ZBQ_ERROR_IO},
        failing_call{"SealsNotProven", // the one mapping that is not put into a place
                     {SYS_mmap, 3, MAP_SHARED | MAP_FIXED, MAP_SHARED},
                     ENOMEM,
                     ZBQ_ERROR_NOMEM},
        failing_call{"MappingsLocked", // of a process that has locked all it may
                     {SYS_mmap, 3, MAP_SHARED | MAP_FIXED, MAP_SHARED},
                     EAGAIN,
                     ZBQ_ERROR_NOMEM},
        failing_call{
            "NoBirthmark", {SYS_madvise, 2, all_bits, MADV_WIPEONFORK}, EINVAL, ZBQ_ERROR_IO}),
    [](const auto &failing) { return failing.param.name; });

class FailingHandshake : public testing::TestWithParam<failing_call> {};

TEST_P(FailingHandshake, IsAnErrorThatLeavesNothing) {
    const failing_call &failing = GetParam();
    EXPECT_EQ(in_child([&failing] {
                  const auto prod = test::make_producer();
                  const test::socket_pair sockets = test::make_sockets();
                  const std::size_t descriptors = test::open_descriptors();
                  const std::size_t mappings = test::zbq_mappings();
                  test::answer_with(failing.call, failing.error);
                  uint32_t slot = 0;
                  CHILD_CHECK(zbq_producer_handshake(prod.get(), sockets.producer_end.get(),
                                                     ZBQ_WAKEUP_PUSH, &slot) == failing.result);
                  CHILD_CHECK(test::open_descriptors() == descriptors);
                  CHILD_CHECK(test::zbq_mappings() == mappings);
                  CHILD_CHECK(test::stats(prod.get()).consumers == 0);
                  return 0;
              }),
              0);
}

INSTANTIATE_TEST_SUITE_P(
    Calls, FailingHandshake,
    testing::Values(
        failing_call{"NoMemfd", {SYS_memfd_create, 0, 0, 0}, EMFILE, ZBQ_ERROR_IO},
        failing_call{"NoMemory", {SYS_fallocate, 0, 0, 0}, ENOSPC, ZBQ_ERROR_NOMEM},
        failing_call{"NoSocketpair", {SYS_socketpair, 0, 0, 0}, EMFILE, ZBQ_ERROR_IO},
        failing_call{"NoPidfd", {SYS_pidfd_open, 0, 0, 0}, EPERM, ZBQ_ERROR_IO},
        failing_call{
            "NoCredentials", {SYS_setsockopt, 2, all_bits, SO_PASSCRED}, EPERM, ZBQ_ERROR_IO},
        failing_call{"NoQueueLength", {SYS_ioctl, 1, all_bits, SIOCOUTQ}, EPERM, ZBQ_ERROR_IO},
        failing_call{"NoSend", {SYS_sendmsg, 0, 0, 0}, ENOBUFS, ZBQ_ERROR_IO}),
    [](const auto &failing) { return failing.param.name; });

class FailingJoin : public testing::TestWithParam<failing_call> {};

TEST_P(FailingJoin, IsAnErrorThatLeavesNothing) {
    const failing_call &failing = GetParam();
    EXPECT_EQ(in_child([&failing] {
                  const auto prod = test::make_producer();
                  const test::socket_pair sockets = test::make_sockets();
                  uint32_t slot = 0;
                  CHILD_CHECK(zbq_producer_handshake(prod.get(), sockets.producer_end.get(),
                                                     ZBQ_WAKEUP_PUSH, &slot) == ZBQ_OK);
                  const std::size_t descriptors = test::open_descriptors();
                  const std::size_t mappings = test::zbq_mappings();
                  test::answer_with(failing.call, failing.error);
                  zbq_consumer *cons = nullptr;
                  CHILD_CHECK(zbq_consumer_join(sockets.consumer_end.get(), ZBQ_WAKEUP_PUSH,
                                                &cons) == failing.result);
                  CHILD_CHECK(cons == nullptr);
                  CHILD_CHECK(test::open_descriptors() == descriptors);
                  CHILD_CHECK(test::zbq_mappings() == mappings);
                  return 0;
              }),
              0);
}

INSTANTIATE_TEST_SUITE_P(
    Calls, FailingJoin,
    testing::Values(
        failing_call{"NoReceive", {SYS_recvmsg, 0, 0, 0}, ENOBUFS, ZBQ_ERROR_IO},
        failing_call{
            "NoMemoryToMap", {SYS_mmap, 3, MAP_SHARED, MAP_SHARED}, ENOMEM, ZBQ_ERROR_NOMEM},
        failing_call{"NoDontFork", {SYS_madvise, 2, all_bits, MADV_DONTFORK}, EINVAL, ZBQ_ERROR_IO},
        // What is this side's own trouble is not the producer's fault.
        failing_call{
            "DontForkForbidden", {SYS_madvise, 2, all_bits, MADV_DONTFORK}, EPERM, ZBQ_ERROR_IO},
        failing_call{"SealsNotTold", {SYS_fcntl, 1, all_bits, F_GET_SEALS}, EPERM, ZBQ_ERROR_IO},
        failing_call{"FileSystemNotTold", {SYS_fstatfs, 0, 0, 0}, ENOMEM, ZBQ_ERROR_NOMEM}),
    [](const auto &failing) { return failing.param.name; });

// A filter that forbids the signal leaves the check of the pidfd to what can be known.
TEST(Kernel, PidfdSignalForbiddenStillJoins) {
    EXPECT_EQ(in_child([] {
                  const auto prod = test::make_producer();
                  test::answer_with({SYS_pidfd_send_signal, 0, 0, 0}, EPERM);
                  const test::joined joined = test::join(prod.get());
                  return joined.consumer != nullptr ? 0 : 1;
              }),
              0);
}

TEST(Kernel, FutexForbiddenIsTold) {
    EXPECT_EQ(in_child([] {
                  const auto prod = test::make_producer();
                  const test::joined joined = test::join(prod.get());
                  test::answer_with({SYS_futex, 1, 0x7f, 0}, EPERM); // FUTEX_WAIT
                  const uint32_t token = zbq_consumer_get_futex_token(joined.consumer.get());
                  return zbq_consumer_wait_broadcast(joined.consumer.get(), token);
              }),
              static_cast<uint8_t>(ZBQ_ERROR_IO));
}

// A receive for which there is no memory tells nothing of the other side.
TEST(Kernel, ConsumersFailedReceiveIsNoEnd) {
    EXPECT_EQ(in_child([] {
                  const auto prod = test::make_producer();
                  const test::joined joined = test::join(prod.get());
                  CHILD_CHECK(zbq_consumer_event_fd(joined.consumer.get()) >= 0);
                  test::answer_with({SYS_recvmsg, 0, 0, 0}, ENOMEM);
                  std::string payload;
                  CHILD_CHECK(test::read_one(joined.consumer.get(), &payload) == ZBQ_ERROR_AGAIN);
                  CHILD_CHECK(zbq_consumer_ending(joined.consumer.get(), nullptr) ==
                              ZBQ_ENDING_NONE);
                  return 0;
              }),
              0);
}

TEST(Kernel, ProducersFailedReceiveEvictsNobody) {
    EXPECT_EQ(in_child([] {
                  const auto prod = test::make_producer();
                  const test::joined joined = test::join(prod.get());
                  CHILD_CHECK(zbq_producer_event_fd(prod.get()) >= 0);
                  CHILD_CHECK(test::fill(prod.get()) != 0);                // asks to be rung,
                  CHILD_CHECK(test::skip_all(joined.consumer.get()) != 0); // and is
                  test::answer_with({SYS_recvmsg, 0, 0, 0}, ENOMEM);
                  CHILD_CHECK(zbq_producer_scan(prod.get()) == ZBQ_OK);
                  CHILD_CHECK(zbq_consumer_valid(joined.consumer.get()));
                  return 0;
              }),
              0);
}

// At the cap the producer asks how much was collected. Not told, it waits, and evicts nobody.
TEST(Kernel, QueueLengthForbiddenHoldsRecordsBack) {
    EXPECT_EQ(in_child([] {
                  const auto prod = test::make_producer();
                  const test::joined joined = test::join(prod.get());
                  const std::vector<int> fds(ZBQ_MAX_FD_PER_MSG, STDIN_FILENO);
                  for (const std::uint64_t seq_id : {1U, 2U}) {
                      CHILD_CHECK(zbq_producer_broadcast_fds(prod.get(), seq_id, fds.data(),
                                                             ZBQ_MAX_FD_PER_MSG) == ZBQ_OK);
                  }
                  test::answer_with({SYS_ioctl, 1, all_bits, SIOCOUTQ}, EPERM);
                  CHILD_CHECK(zbq_producer_broadcast_fds(prod.get(), 3, fds.data(),
                                                         ZBQ_MAX_FD_PER_MSG) == ZBQ_ERROR_AGAIN);
                  CHILD_CHECK(zbq_consumer_valid(joined.consumer.get()));
                  return 0;
              }),
              0);
}

// What nobody was sent never was: nor was its id.
TEST(Kernel, RecordThatIsRefusedAtOnceNeverWas) {
    EXPECT_EQ(
        in_child([] {
            const auto prod = test::make_producer();
            const test::joined other = test::join(prod.get());
            test::joined first = test::join(prod.get()); // the newest is the first to get it
            const int side = prod->slots[first.slot].side.get();
            test::answer_with({SYS_sendmsg, 0, all_bits, static_cast<uint32_t>(side)}, EINVAL);
            CHILD_CHECK(test::broadcast(prod.get(), 2) == ZBQ_ERROR_INVALID);
            CHILD_CHECK(test::collect(other.consumer.get(), 2).result == ZBQ_ERROR_AGAIN);
            first.consumer.reset();
            CHILD_CHECK(zbq_producer_scan(prod.get()) == ZBQ_OK);
            CHILD_CHECK(test::broadcast(prod.get(), 1) == ZBQ_OK);
            CHILD_CHECK(test::collect(other.consumer.get(), 1).result == ZBQ_OK);
            return 0;
        }),
        0);
}

// But where some have it, it is given up for another, however often it was refused.
TEST(Kernel, RecordThatIsRefusedToSomeIsGivenUp) {
    EXPECT_EQ(
        in_child([] {
            const auto prod = test::make_producer();
            test::joined last = test::join(prod.get());
            const test::joined first = test::join(prod.get());
            const int side = prod->slots[last.slot].side.get();
            test::answer_with({SYS_sendmsg, 0, all_bits, static_cast<uint32_t>(side)}, EINVAL);
            const std::vector<int> fds(ZBQ_MAX_FD_PER_MSG, STDIN_FILENO);
            const auto send = [&](std::uint64_t seq_id) {
                return zbq_producer_broadcast_fds(prod.get(), seq_id, fds.data(),
                                                  ZBQ_MAX_FD_PER_MSG);
            };
            for (const std::uint64_t seq_id : {1U, 1U, 2U, 2U}) {
                CHILD_CHECK(send(seq_id) == ZBQ_ERROR_INVALID);
            }
            last.consumer.reset();
            CHILD_CHECK(zbq_producer_scan(prod.get()) == ZBQ_OK);
            CHILD_CHECK(send(3) == ZBQ_OK);
            return 0;
        }),
        0);
}

} // namespace
