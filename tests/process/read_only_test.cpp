// SPDX-License-Identifier: MIT
//
// The read-only promise: a consumer process that has the descriptors of the ring and the
// control region tries every road to a byte of them.
#include "support/process.hpp"
#include "support/rig.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <string>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

// The descriptors of a join message, as a hostile consumer takes them off the socket.
int receive_descriptors(int socket, int *fds, int count) {
    char bytes[64];
    iovec part = {bytes, sizeof bytes};
    alignas(cmsghdr) char control[CMSG_SPACE(16 * sizeof(int))];
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (recvmsg(socket, &message, 0) != sizeof bytes) {
        return -1;
    }
    const cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header == nullptr) {
        return -1;
    }
    std::memcpy(fds, CMSG_DATA(header), static_cast<size_t>(count) * sizeof(int));
    return count;
}

class ReadOnly : public testing::TestWithParam<int> { // 0: control region, 1: ring
protected:
    void SetUp() override {
        sockets_ = test::make_sockets();
        uint32_t slot = 0;
        ASSERT_EQ(zbq_producer_handshake(prod_.get(), sockets_.producer_end.get(), ZBQ_WAKEUP_PUSH,
                                         &slot),
                  ZBQ_OK);
    }

    // Runs in a consumer's process with the descriptor, then sees that nothing has changed.
    void attack(int (*body)(int fd, size_t size)) {
        test::child child([this, body] {
            int fds[5];
            CHILD_CHECK(receive_descriptors(sockets_.consumer_end.get(), fds, 5) == 5);
            return body(fds[GetParam()], GetParam() == 0 ? 256 : test::page);
        });
        EXPECT_EQ(child.wait(), 0);
        EXPECT_TRUE(test::publish(prod_.get(), "still works"));
    }

    test::producer_ptr prod_ = test::make_producer({.capacity = test::page});
    test::socket_pair sockets_;
};

int reopen(int fd, int flags) {
    return open(("/proc/self/fd/" + std::to_string(fd)).c_str(), flags | O_CLOEXEC);
}

bool is_refused(void *mapping) {
    return mapping == MAP_FAILED && (errno == EPERM || errno == EACCES);
}

TEST_P(ReadOnly, MapWritable) {
    attack([](int fd, size_t size) {
        CHILD_CHECK(is_refused(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)));
        CHILD_CHECK(is_refused(mmap(nullptr, size, PROT_WRITE, MAP_SHARED, fd, 0)));
        return 0;
    });
}

TEST_P(ReadOnly, MapReadableThenProtectWritable) {
    attack([](int fd, size_t size) {
        void *map = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
        CHILD_CHECK(map != MAP_FAILED);
        CHILD_CHECK(mprotect(map, size, PROT_READ | PROT_WRITE) < 0 && errno == EACCES);
        return 0;
    });
}

TEST_P(ReadOnly, ReopenWritableAndMap) {
    attack([](int fd, size_t size) {
        const int again = reopen(fd, O_RDWR);
        CHILD_CHECK(again < 0 ||
                    is_refused(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0)));
        CHILD_CHECK(again < 0 || (pwrite(again, "x", 1, 0) < 0 && errno == EPERM));
        return 0;
    });
}

TEST_P(ReadOnly, Write) {
    attack([](int fd, size_t /*size*/) {
        CHILD_CHECK(write(fd, "x", 1) < 0 && errno == EPERM);
        CHILD_CHECK(pwrite(fd, "x", 1, 0) < 0 && errno == EPERM);
        return 0;
    });
}

TEST_P(ReadOnly, ChangeTheSize) {
    attack([](int fd, size_t size) {
        CHILD_CHECK(ftruncate(fd, 0) < 0 && errno == EPERM);
        CHILD_CHECK(ftruncate(fd, static_cast<off_t>(size) * 2) < 0 && errno == EPERM);
        const int again = reopen(fd, O_RDWR | O_TRUNC);
        CHILD_CHECK(again < 0);
        return 0;
    });
}

TEST_P(ReadOnly, PunchAHole) {
    attack([](int fd, size_t /*size*/) {
        constexpr int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
        CHILD_CHECK(fallocate(fd, punch, 0, 4096) < 0 && errno == EPERM);
        void *map = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0);
        CHILD_CHECK(map != MAP_FAILED);
        CHILD_CHECK(madvise(map, 4096, MADV_REMOVE) < 0);
        return 0;
    });
}

TEST_P(ReadOnly, AddOrChangeSeals) {
    attack([](int fd, size_t /*size*/) {
        CHILD_CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0 && errno == EPERM);
        CHILD_CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL) < 0 && errno == EPERM);
        return 0;
    });
}

INSTANTIATE_TEST_SUITE_P(Objects, ReadOnly, testing::Values(0, 1), [](const auto &object) {
    return object.param == 0 ? "ControlRegion" : "Ring";
});

// Through the library's own mapping.
TEST(ReadOnlyMapping, CannotBeMadeWritable) {
    const auto prod = test::make_producer({.capacity = test::page});
    const test::joined joined = test::join(prod.get());
    ASSERT_TRUE(test::publish(prod.get(), "x"));
    zbq_msg_view view = {};
    ASSERT_EQ(zbq_consumer_peek(joined.consumer.get(), &view), ZBQ_OK);
    auto *ring = const_cast<zbq_msg_header *>(view.header);
    auto *control = const_cast<zbq_control_region *>(zbq_consumer_ctrl(joined.consumer.get()));
    EXPECT_LT(mprotect(ring, test::page, PROT_READ | PROT_WRITE), 0);
    EXPECT_LT(mprotect(control, test::page, PROT_READ | PROT_WRITE), 0);
}

} // namespace
