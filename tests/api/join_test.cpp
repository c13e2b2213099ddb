// SPDX-License-Identifier: MIT
#include "support/leaks.hpp"
#include "support/pretender.hpp"

#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

using test::unique_fd;

int join(int fd, zbq_wakeup_mode mode = ZBQ_WAKEUP_PUSH) {
    zbq_consumer *cons = nullptr;
    const int result = zbq_consumer_join(fd, mode, &cons);
    EXPECT_EQ(cons == nullptr, result != ZBQ_OK);
    zbq_consumer_destroy(cons);
    return result;
}

TEST(Join, RefusesBadArguments) {
    const test::socket_pair sockets = test::make_sockets();
    const unique_fd file(open("/dev/null", O_RDWR | O_CLOEXEC));
    EXPECT_EQ(zbq_consumer_join(sockets.consumer_end.get(), ZBQ_WAKEUP_PUSH, nullptr),
              ZBQ_ERROR_INVALID);
    EXPECT_EQ(join(sockets.consumer_end.get(), static_cast<zbq_wakeup_mode>(4)), ZBQ_ERROR_INVALID);
    EXPECT_EQ(join(-1), ZBQ_ERROR_INVALID);
    EXPECT_EQ(join(file.get()), ZBQ_ERROR_INVALID);
}

TEST(Join, NonBlockingSocketWithNothingIsAgain) {
    const test::socket_pair sockets = test::make_sockets(SOCK_SEQPACKET | SOCK_NONBLOCK);
    EXPECT_EQ(join(sockets.consumer_end.get()), ZBQ_ERROR_AGAIN);
}

TEST(Join, ReceiveTimeoutIsAgain) {
    const test::socket_pair sockets = test::make_sockets();
    const timeval timeout = {0, 1000};
    ASSERT_EQ(
        setsockopt(sockets.consumer_end.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout),
        0);
    EXPECT_EQ(join(sockets.consumer_end.get()), ZBQ_ERROR_AGAIN);
}

TEST(Join, PeerGoneIsAnIoError) {
    test::socket_pair sockets = test::make_sockets();
    sockets.producer_end.reset();
    EXPECT_EQ(join(sockets.consumer_end.get()), ZBQ_ERROR_IO);
    const unique_fd lonely(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(join(lonely.get()), ZBQ_ERROR_IO);
}

TEST(Join, ModeMustBeTheProducers) {
    const auto prod = test::make_producer();
    const test::socket_pair sockets = test::make_sockets();
    uint32_t slot = 0;
    ASSERT_EQ(
        zbq_producer_handshake(prod.get(), sockets.producer_end.get(), ZBQ_WAKEUP_PULL, &slot),
        ZBQ_OK);
    const test::leak_check leaks;
    EXPECT_EQ(join(sockets.consumer_end.get(), ZBQ_WAKEUP_PUSH), ZBQ_ERROR_PROTOCOL);
}

TEST(Join, CallerKeepsTheSocketAndNothingLeaks) {
    const auto prod = test::make_producer();
    const test::socket_pair sockets = test::make_sockets();
    const test::leak_check leaks;
    uint32_t slot = 0;
    ASSERT_EQ(
        zbq_producer_handshake(prod.get(), sockets.producer_end.get(), ZBQ_WAKEUP_PUSH, &slot),
        ZBQ_OK);
    EXPECT_EQ(join(sockets.consumer_end.get()), ZBQ_OK);
    EXPECT_GE(fcntl(sockets.consumer_end.get(), F_GETFD), 0);
    EXPECT_EQ(test::scan_until_evicted(prod.get(), slot), uint32_t{ZBQ_EVICTION_DEAD});
}

// The message waits in the socket, and so does what was committed after it.
TEST(Join, AfterTheEndReadsWhatWasCommitted) {
    auto prod = test::make_producer();
    const test::socket_pair sockets = test::make_sockets();
    uint32_t slot = 0;
    ASSERT_EQ(
        zbq_producer_handshake(prod.get(), sockets.producer_end.get(), ZBQ_WAKEUP_PUSH, &slot),
        ZBQ_OK);
    ASSERT_TRUE(test::publish(prod.get(), "all there ever was"));
    prod.reset();
    zbq_consumer *cons = nullptr;
    ASSERT_EQ(zbq_consumer_join(sockets.consumer_end.get(), ZBQ_WAKEUP_PUSH, &cons), ZBQ_OK);
    const test::consumer_ptr owner(cons);
    std::string payload;
    ASSERT_EQ(test::read_one(cons, &payload), ZBQ_OK);
    EXPECT_EQ(payload, "all there ever was");
    EXPECT_EQ(test::read_one(cons, &payload), ZBQ_ERROR_NOENT);
}

TEST(Join, OutOfDescriptorsIsAnIoErrorThatClosesAll) {
    const auto prod = test::make_producer();
    for (unsigned spare = 0; spare < 6; ++spare) {
        const test::socket_pair sockets = test::make_sockets();
        uint32_t slot = 0;
        ASSERT_EQ(
            zbq_producer_handshake(prod.get(), sockets.producer_end.get(), ZBQ_WAKEUP_PUSH, &slot),
            ZBQ_OK);
        const test::leak_check leaks;
        const test::descriptor_shortage shortage(spare);
        EXPECT_EQ(join(sockets.consumer_end.get()), ZBQ_ERROR_IO);
    }
}

// ---- a hostile producer: each change alone must be found ----

class Hostile : public testing::Test {
protected:
    void expect_refused() {
        const test::leak_check leaks;
        EXPECT_EQ(pretender_.join(), nullptr);
        EXPECT_EQ(pretender_.result, ZBQ_ERROR_PROTOCOL);
    }

    test::pretender pretender_;
};

TEST_F(Hostile, ThePretenderIsBelievedUnchanged) {
    EXPECT_NE(pretender_.join(), nullptr);
}

// Descriptors that were sent before they could be refused.
TEST_F(Hostile, DescriptorsInASocketThatIsNotForThem) {
    const unique_fd extra(open("/dev/null", O_RDONLY | O_CLOEXEC));
    const int fd = extra.get();
    zbq::core::event_take(pretender_.fds[5]); // the first bell
    ASSERT_EQ(zbq::core::send_record(pretender_.event().get(), "x", 1, &fd, 1), 1);
    expect_refused();
}

TEST_F(Hostile, DescriptorsForOneInPullMode) {
    const unique_fd extra(open("/dev/null", O_RDONLY | O_CLOEXEC));
    const int fd = extra.get();
    ASSERT_EQ(zbq::core::send_record(pretender_.side(), "x", 1, &fd, 1), 1);
    pretender_.payload.wakeup_mode = ZBQ_WAKEUP_PULL;
    EXPECT_EQ(pretender_.join(ZBQ_WAKEUP_PULL), nullptr);
    EXPECT_EQ(pretender_.result, ZBQ_ERROR_PROTOCOL);
}

TEST_F(Hostile, Payload) {
    const zbq_join_payload good = pretender_.payload;
    const std::function<void(zbq_join_payload *)> changes[] = {
        [](auto *payload) { payload->ring_capacity = 0; },
        [](auto *payload) { payload->ring_capacity = 8192; }, // not the object's size
        [](auto *payload) { payload->ring_capacity = 100; },
        [](auto *payload) { payload->ring_capacity = UINT64_MAX; },
        [](auto *payload) { payload->ring_capacity = uint64_t{1} << 63U; },
        [](auto *payload) { payload->initial_head = 8; },
        [](auto *payload) { payload->wakeup_mode = ZBQ_WAKEUP_PULL; },
        [](auto *payload) { payload->wakeup_mode = 9; },
        [](auto *payload) { payload->protocol_version = 0; },
        [](auto *payload) { payload->protocol_version = 1; },
        [](auto *payload) { payload->protocol_version = 3; },
    };
    for (const auto &change : changes) {
        pretender_.payload = good;
        change(&pretender_.payload);
        expect_refused();
    }
}

TEST_F(Hostile, SizeOfTheMessage) {
    for (const std::size_t size : {1U, 16U, 63U}) {
        pretender_.payload_size = size;
        expect_refused();
    }
}

TEST_F(Hostile, CapacityInTheControlRegion) {
    pretender_.control()->ring_capacity = 8192;
    expect_refused();
}

TEST_F(Hostile, NumberOfDescriptors) {
    const std::vector<int> good = pretender_.fds;
    for (const std::size_t count : {0U, 1U, 5U, 8U, 253U}) {
        pretender_.fds = good;
        pretender_.fds.resize(count, good[1]); // what is retained might be such a one
        expect_refused();
    }
}

TEST_F(Hostile, KindOfEachDescriptor) {
    const std::vector<int> good = pretender_.fds;
    int ends[2] = {-1, -1};
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const unique_fd reader(ends[0]);
    const unique_fd writer(ends[1]);
    const unique_fd directory(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const unique_fd device(open("/dev/zero", O_RDWR | O_CLOEXEC));
    const unique_fd path(open("/dev/null", O_PATH | O_CLOEXEC));
    const test::socket_pair stream = test::make_sockets(SOCK_STREAM);
    const int wrong[] = {reader.get(), device.get(), path.get(), stream.consumer_end.get(),
                         directory.get()};
    for (std::size_t place = 0; place < good.size(); ++place) {
        for (const int fd : wrong) {
            if (place == 4 && fd == directory.get()) {
                continue; // a directory of /proc is a pidfd of old: see is_pidfd
            }
            pretender_.fds = good;
            pretender_.fds[place] = fd;
            expect_refused();
        }
    }
}

TEST_F(Hostile, DescriptorsInTheWrongOrder) {
    const std::vector<int> good = pretender_.fds;
    for (std::size_t i = 0; i + 1 < good.size(); ++i) {
        pretender_.fds = good;
        std::swap(pretender_.fds[i], pretender_.fds[i + 1]);
        expect_refused();
    }
}

unique_fd memory(uint64_t size, int seals) {
    unique_fd fd(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    EXPECT_EQ(ftruncate(fd.get(), static_cast<off_t>(size)), 0);
    if (size >= sizeof(zbq_control_region)) { // so that only the seals are wrong
        const uint64_t capacity = test::page;
        EXPECT_EQ(pwrite(fd.get(), &capacity, sizeof capacity, 192), 8);
    }
    if (size != 0) {
        EXPECT_EQ(fallocate(fd.get(), 0, 0, static_cast<off_t>(size)), 0);
    }
    EXPECT_EQ(fcntl(fd.get(), F_ADD_SEALS, seals), 0);
    return fd;
}

constexpr int all_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | F_SEAL_FUTURE_WRITE;

TEST_F(Hostile, SealsOfEachObject) {
    const std::vector<int> good = pretender_.fds;
    const uint64_t sizes[] = {256, test::page, 4096};
    for (std::size_t place = 0; place < 3; ++place) {
        for (const int missing : {F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_FUTURE_WRITE}) {
            if (place == 2 && missing == F_SEAL_FUTURE_WRITE) {
                continue; // a consumer's page has none
            }
            const int wanted = place == 2 ? all_seals & ~F_SEAL_FUTURE_WRITE : all_seals;
            const unique_fd fd = memory(sizes[place], wanted & ~missing);
            pretender_.fds = good;
            pretender_.fds[place] = fd.get();
            expect_refused();
        }
    }
}

TEST_F(Hostile, PageThatCannotBeWritten) {
    const unique_fd fd = memory(4096, all_seals);
    pretender_.fds[2] = fd.get();
    expect_refused();
}

TEST_F(Hostile, SizeOfEachObject) {
    const std::vector<int> good = pretender_.fds;
    const uint64_t sizes[] = {256, test::page, 4096};
    for (std::size_t place = 0; place < 3; ++place) {
        const int seals = place == 2 ? all_seals & ~F_SEAL_FUTURE_WRITE : all_seals;
        for (const uint64_t size : {uint64_t{0}, sizes[place] - 1, sizes[place] + 1}) {
            const unique_fd fd = memory(size, seals);
            pretender_.fds = good;
            pretender_.fds[place] = fd.get();
            expect_refused();
        }
    }
}

TEST_F(Hostile, MemoryThatIsNotReserved) {
    const unique_fd fd(memfd_create("holes", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    ASSERT_EQ(ftruncate(fd.get(), test::page), 0);
    ASSERT_EQ(fcntl(fd.get(), F_ADD_SEALS, all_seals), 0);
    pretender_.fds[1] = fd.get();
    expect_refused();
}

TEST_F(Hostile, AnObjectOfTheTestsOwnIsBelieved) {
    const unique_fd fd = memory(test::page, all_seals);
    pretender_.fds[1] = fd.get();
    EXPECT_NE(pretender_.join(), nullptr);
}

TEST_F(Hostile, RingOfASizeThatCannotBe) {
    for (const uint64_t size : {uint64_t{0}, uint64_t{100}, test::page + 16}) {
        const unique_fd fd = memory(size, all_seals);
        pretender_.payload.ring_capacity = size;
        pretender_.control()->ring_capacity = size;
        pretender_.fds[1] = fd.get();
        expect_refused();
    }
}

TEST_F(Hostile, HugePagesCanFaultLater) {
    const unique_fd fd(memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB));
    constexpr uint64_t huge = uint64_t{2} << 20U;
    if (!fd || ftruncate(fd.get(), huge) != 0 || fcntl(fd.get(), F_ADD_SEALS, all_seals) != 0) {
        GTEST_SKIP() << "no huge pages of 2 MiB here";
    }
    pretender_.payload.ring_capacity = huge;
    pretender_.control()->ring_capacity = huge;
    pretender_.fds[1] = fd.get();
    expect_refused();
}

} // namespace
