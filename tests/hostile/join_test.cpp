// SPDX-License-Identifier: MIT
//
// A hostile producer's join, swept: every kind of descriptor in each of the six places, every
// set of seals with every size, by a rule that says what is to be believed.
#include "support/leaks.hpp"
#include "support/pretender.hpp"
#include "support/process.hpp"

#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

using test::page;
using test::unique_fd;

enum place : unsigned { control, ring, metadata, side, process, event };

constexpr int seals_of_size = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
constexpr int all_seals = seals_of_size | F_SEAL_FUTURE_WRITE;

// Whatever a join gave can be used, and comes back.
void use(const test::consumer_ptr &cons) {
    zbq_msg_view view = {};
    zbq_consumer_peek(cons.get(), &view);
    zbq_consumer_wait(cons.get(), zbq_consumer_get_futex_token(cons.get()), 1000);
    int fds[ZBQ_MAX_FD_PER_MSG];
    std::uint8_t count = 0;
    zbq_consumer_recv_fds(cons.get(), 1, fds, &count);
    zbq_consumer_event_fd(cons.get());
    zbq_consumer_next(cons.get(), &view);
    zbq_consumer_publish(cons.get(), 16);
    zbq_consumer_is_producer_alive(cons.get());
}

class HostileJoin : public testing::Test {
protected:
    void SetUp() override { test::start_watchdog(); }

    void expect(bool believed, const std::vector<int> &fds) {
        const test::leak_check leaks;
        pretender_.fds = fds;
        const test::consumer_ptr cons = pretender_.join();
        EXPECT_EQ(pretender_.result, believed ? ZBQ_OK : ZBQ_ERROR_PROTOCOL);
        if (cons != nullptr) {
            use(cons);
        }
    }
    void expect(bool believed, unsigned where, int fd) {
        std::vector<int> fds = good_;
        fds[where] = fd;
        expect(believed, fds);
    }

    test::pretender pretender_;
    const std::vector<int> good_ = pretender_.fds;
};

// ---- kinds ----

struct kind {
    const char *name;
    unique_fd fd;
    bool channel = false; // a Unix socket of packets, connected or not: has to be borne
};

void add_sockets(std::vector<kind> *kinds) {
    const auto socket_of = [](int family, int type) {
        return unique_fd(socket(family, type | SOCK_CLOEXEC, 0));
    };
    kinds->push_back({"a stream", test::make_sockets(SOCK_STREAM).consumer_end});
    kinds->push_back({"a datagram", test::make_sockets(SOCK_DGRAM).consumer_end});
    kinds->push_back({"TCP", socket_of(AF_INET, SOCK_STREAM)});
    kinds->push_back({"UDP", socket_of(AF_INET, SOCK_DGRAM)});
    kinds->push_back({"netlink", socket_of(AF_NETLINK, SOCK_RAW)});
    kinds->push_back({"packets, unconnected", socket_of(AF_UNIX, SOCK_SEQPACKET), true});
    kinds->push_back({"packets, hung up", test::make_sockets().consumer_end, true});
    unique_fd listening = socket_of(AF_UNIX, SOCK_SEQPACKET);
    sockaddr_un name = {}; // the kernel gives it an abstract one
    name.sun_family = AF_UNIX;
    EXPECT_EQ(bind(listening.get(), reinterpret_cast<sockaddr *>(&name), sizeof(sa_family_t)), 0);
    EXPECT_EQ(listen(listening.get(), 1), 0);
    kinds->push_back({"packets, listening", std::move(listening), true});
}

void add_files(std::vector<kind> *kinds) {
    const auto file = [](const char *path, int flags) {
        return unique_fd(open(path, flags | O_CLOEXEC, 0600));
    };
    kinds->push_back({"/dev/zero", file("/dev/zero", O_RDWR)});
    kinds->push_back({"/dev/null", file("/dev/null", O_RDWR)});
    kinds->push_back({"a path", file("/dev/null", O_PATH)});
    kinds->push_back({"a file", file("/tmp", O_RDWR | O_TMPFILE)});
    kinds->push_back({"a file of tmpfs", file("/dev/shm", O_RDWR | O_TMPFILE)});
    kinds->push_back({"a file of proc", file("/proc/self/maps", O_RDONLY)});
    for (std::size_t i = kinds->size() - 3; i < kinds->size() - 1; ++i) { // but for what it is
        EXPECT_EQ(fallocate((*kinds)[i].fd.get(), 0, 0, page), 0) << (*kinds)[i].name;
    }
}

void add_others(std::vector<kind> *kinds) {
    sigset_t none;
    sigemptyset(&none);
    int ends[2] = {-1, -1};
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    kinds->push_back({"a pipe to read", unique_fd(ends[0])});
    kinds->push_back({"a pipe to write", unique_fd(ends[1])});
    kinds->push_back({"eventfd", unique_fd(eventfd(0, EFD_CLOEXEC))});
    kinds->push_back({"epoll", unique_fd(epoll_create1(EPOLL_CLOEXEC))});
    kinds->push_back({"timerfd", unique_fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC))});
    kinds->push_back({"signalfd", unique_fd(signalfd(-1, &none, SFD_CLOEXEC))});
    kinds->push_back({"inotify", unique_fd(inotify_init1(IN_CLOEXEC))});
    kinds->push_back({"a bare memfd", unique_fd(memfd_create("bare", MFD_CLOEXEC))});
}

TEST_F(HostileJoin, EveryKindInEveryPlace) {
    std::vector<kind> kinds;
    add_sockets(&kinds);
    add_files(&kinds);
    add_others(&kinds);
    for (const kind &wrong : kinds) {
        ASSERT_TRUE(wrong.fd) << wrong.name;
        for (unsigned where = control; where <= event; ++where) {
            SCOPED_TRACE(std::string(wrong.name) + " in place " + std::to_string(where));
            expect(wrong.channel && (where == side || where == event), where, wrong.fd.get());
        }
    }
}

// Each of the six in each place: right where it is of the right kind.
TEST_F(HostileJoin, EachOfTheSixInEveryPlace) {
    for (unsigned what = control; what <= event; ++what) {
        for (unsigned where = control; where <= event; ++where) {
            SCOPED_TRACE(std::to_string(what) + " in place " + std::to_string(where));
            const auto is_channel = [](unsigned which) { return which == side || which == event; };
            expect(what == where || (is_channel(what) && is_channel(where)), where, good_[what]);
        }
    }
}

// The socket that the join itself came by.
TEST_F(HostileJoin, TheRendezvousItself) {
    for (unsigned where = control; where <= event; ++where) {
        SCOPED_TRACE("in place " + std::to_string(where));
        for (const bool own : {true, false}) {
            const test::leak_check leaks;
            const test::socket_pair sockets = test::make_sockets();
            std::vector<int> fds = good_;
            fds[where] = (own ? sockets.consumer_end : sockets.producer_end).get();
            ASSERT_EQ(zbq::core::send_record(sockets.producer_end.get(), &pretender_.payload,
                                             sizeof pretender_.payload, fds.data(), 6),
                      64);
            zbq_consumer *joined = nullptr;
            const int result =
                zbq_consumer_join(sockets.consumer_end.get(), ZBQ_WAKEUP_PUSH, &joined);
            const test::consumer_ptr cons(joined);
            EXPECT_EQ(result, where == side || where == event ? ZBQ_OK : ZBQ_ERROR_PROTOCOL);
            if (cons != nullptr) {
                use(cons);
            }
        }
    }
}

TEST_F(HostileJoin, EveryNumberOfDescriptors) {
    for (std::size_t count = 0; count <= ZBQ_MAX_FD_PER_MSG; count += count < 16 ? 1 : 79) {
        SCOPED_TRACE(count);
        std::vector<int> fds = good_;
        fds.resize(count, good_[0]);
        expect(count == good_.size(), fds);
    }
}

TEST_F(HostileJoin, EveryLengthOfTheMessage) {
    char bytes[4096] = {};
    std::memcpy(bytes, &pretender_.payload, sizeof pretender_.payload);
    for (std::size_t size = 0; size <= sizeof bytes; size += size < 130 ? 1 : 661) {
        SCOPED_TRACE(size);
        const test::leak_check leaks;
        const test::socket_pair sockets = test::make_sockets();
        ASSERT_GE(zbq::core::send_record(sockets.producer_end.get(), bytes, size, good_.data(), 6),
                  0);
        zbq_consumer *cons = nullptr;
        EXPECT_EQ(zbq_consumer_join(sockets.consumer_end.get(), ZBQ_WAKEUP_PUSH, &cons),
                  size == 64 ? ZBQ_OK : ZBQ_ERROR_PROTOCOL);
        zbq_consumer_destroy(cons);
    }
}

// ---- memory ----

struct memory {
    std::uint64_t size;
    int seals;
    bool sparse;
    bool opened_to_write;
};

unique_fd make(const memory &like) {
    unique_fd fd(memfd_create("swept", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    EXPECT_EQ(ftruncate(fd.get(), static_cast<off_t>(like.size)), 0);
    if (like.size >= sizeof(zbq_control_region)) {
        const std::uint64_t capacity = page;
        EXPECT_EQ(pwrite(fd.get(), &capacity, sizeof capacity,
                         offsetof(zbq_control_region, ring_capacity)),
                  8);
    }
    if (like.size != 0) {
        EXPECT_EQ(fallocate(fd.get(), 0, 0, static_cast<off_t>(like.size)), 0);
    }
    if (like.sparse && like.size != 0) {
        EXPECT_EQ(fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, page), 0);
    }
    EXPECT_EQ(fcntl(fd.get(), F_ADD_SEALS, like.seals), 0);
    if (!like.opened_to_write) {
        const std::string path = "/proc/self/fd/" + std::to_string(fd.get());
        fd.reset(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    }
    return fd;
}

bool is_believed(unsigned where, std::uint64_t right_size, const memory &like) {
    const int wanted = where == metadata ? seals_of_size : all_seals;
    const bool writable = like.opened_to_write && (like.seals & F_SEAL_FUTURE_WRITE) == 0;
    return like.size == right_size && !like.sparse && (like.seals & wanted) == wanted &&
           (where != metadata || writable);
}

TEST_F(HostileJoin, EverySetOfSealsWithEverySize) {
    constexpr int each[] = {F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_FUTURE_WRITE};
    unsigned believed = 0;
    for (unsigned where = control; where <= metadata; ++where) {
        const std::uint64_t right = where == control ? 256 : page;
        for (const std::uint64_t size :
             {std::uint64_t{0}, right - 1, right, right + 1, 2 * right, right + page, right / 2}) {
            for (unsigned bits = 0; bits < 64; ++bits) {
                memory like = {size, 0, (bits & 16U) != 0, (bits & 32U) != 0};
                for (unsigned i = 0; i < 4; ++i) {
                    like.seals |= (bits >> i & 1U) != 0 ? each[i] : 0;
                }
                SCOPED_TRACE(testing::Message()
                             << "place " << where << ", size " << size << ", bits " << bits);
                const bool right_one = is_believed(where, right, like);
                expect(right_one, where, make(like).get());
                believed += right_one ? 1U : 0U;
            }
        }
    }
    EXPECT_EQ(believed, 5U); // control and ring, opened either way; the page, to write
}

} // namespace
