// SPDX-License-Identifier: MIT
//
// The kernel's limits and signals, as whoever must bear them: most are not root's. Nobody is
// killed, waits, or goes without because of another.
#include "consumer.hpp"
#include "producer.hpp"
#include "support/descriptors.hpp"
#include "support/remote.hpp"

#include <algorithm>
#include <functional>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

// Runs the body as a user that is not root, with so many descriptors. What is in flight is counted
// for a user: none of these tests is the same as another that runs now.
int as_another(rlim_t descriptors, const std::function<int()> &body) {
    return test::child([&] {
               const rlimit limit = {descriptors, descriptors};
               CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
               const auto user = static_cast<uid_t>(60'000 + getpid() % 4'000);
               CHILD_CHECK(geteuid() != 0 ||
                           (setgroups(0, nullptr) == 0 && setresgid(65533, 65533, 65533) == 0 &&
                            setresuid(user, user, user) == 0));
               return body();
           })
        .wait();
}

// ---- files ----

TEST(FileSizeLimit, IsAnErrorAndNoSignal) {
    const int status = test::child([] {
                           const rlimit limit = {65536, 65536};
                           CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
                           zbq_producer *prod = nullptr;
                           const zbq_producer_params params = {1U << 20U, 1, 0, 1};
                           CHILD_CHECK(zbq_producer_create(&prod, &params) == ZBQ_ERROR_NOMEM);
                           const zbq_producer_params small = {65536, 1, 0, 1};
                           CHILD_CHECK(zbq_producer_create(&prod, &small) == ZBQ_OK);
                           zbq_producer_destroy(prod);
                           return 0;
                       }).wait();
    EXPECT_EQ(status, 0);
}

// ---- descriptors in flight ----

constexpr rlim_t few_descriptors = 1024;

struct many {
    explicit many(zbq_producer *prod, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            all.push_back(test::join(prod));
        }
    }
    std::vector<test::joined> all;
};

int send(zbq_producer *prod, std::uint64_t id, std::uint8_t count) {
    const std::vector<int> fds(count, STDIN_FILENO);
    return zbq_producer_broadcast_fds(prod, id, fds.data(), count);
}

bool collects(const test::joined &who, std::uint64_t id, std::uint8_t count) {
    int fds[ZBQ_MAX_FD_PER_MSG];
    std::uint8_t got = 0;
    if (zbq_consumer_recv_fds(who.consumer.get(), id, fds, &got) != ZBQ_OK) {
        return false;
    }
    for (int i = 0; i < got; ++i) {
        close(fds[i]);
    }
    return got == count;
}

// More than the kernel lets be in flight at once goes out in turns.
TEST(DescriptorLimit, SixteenReadersOfLargeRecordsTakeTurns) {
    EXPECT_EQ(as_another(
                  few_descriptors,
                  [] {
                      const auto prod = test::make_producer({.max_consumers = 16});
                      const many readers(prod.get(), 16);
                      for (std::uint64_t id = 1; id <= 10; ++id) {
                          std::vector<bool> has(16);
                          std::size_t collected = 0;
                          bool sent = false;
                          for (int turn = 0; turn < 100 && !(sent && collected == 16); ++turn) {
                              sent = send(prod.get(), id, ZBQ_MAX_FD_PER_MSG) == ZBQ_OK;
                              for (std::size_t i = 0; i < 16; ++i) {
                                  if (!has[i] && collects(readers.all[i], id, ZBQ_MAX_FD_PER_MSG)) {
                                      has[i] = true;
                                      ++collected;
                                  }
                              }
                          }
                          CHILD_CHECK(sent && collected == 16);
                      }
                      return 0;
                  }),
              0);
}

// Who has its turn and does not collect is in the way of the others, and out when its time is up.
TEST(DescriptorLimit, WhoStopsATurnIsEvicted) {
    EXPECT_EQ(as_another(few_descriptors,
                         [] {
                             const auto prod =
                                 test::make_producer({.stall_timeout_ns = 1, .max_consumers = 16});
                             const many readers(prod.get(), 16);
                             const auto stalled = [&prod] {
                                 return test::stats(prod.get()).evicted[ZBQ_EVICTION_SIDE_STALLED];
                             };
                             for (int i = 0; i < 1000 && stalled() == 0; ++i) {
                                 send(prod.get(), 1, ZBQ_MAX_FD_PER_MSG);
                             }
                             CHILD_CHECK(stalled() != 0);
                             return 0;
                         }),
              0);
}

// One that collects nothing keeps nobody from joining, also where it comes again and again and
// keeps its sockets, and what it did not take is taken back.
TEST(DescriptorLimit, WhoNeverCollectsCostsNobody) {
    EXPECT_EQ(as_another(few_descriptors,
                         [] {
                             const auto prod =
                                 test::make_producer({.stall_timeout_ns = 1, .max_consumers = 4});
                             std::vector<test::joined> kept;
                             std::uint64_t id = 0;
                             for (int again = 0; again < 5; ++again) {
                                 kept.push_back(test::join(prod.get()));
                                 ++id;
                                 for (int i = 0;
                                      i < 100 && zbq_consumer_valid(kept.back().consumer.get());
                                      ++i) {
                                     id += send(prod.get(), id, 250) == ZBQ_OK ? 1 : 0;
                                 }
                                 CHILD_CHECK(!zbq_consumer_valid(kept.back().consumer.get()));
                             }
                             const test::joined honest = test::join(prod.get());
                             CHILD_CHECK(send(prod.get(), ++id, 250) == ZBQ_OK);
                             CHILD_CHECK(collects(honest, id, 250));
                             return 0;
                         }),
              0);
}

// ---- a record that stops in its turns ----

// As a user that nobody else is, so that the turns are as long as here.
class Turns : public testing::Test {
protected:
    void SetUp() override {
        if (geteuid() != 0) {
            GTEST_SKIP() << "not root: what other tests have in flight counts, too";
        }
    }
    // With some of the readers that have the first record, and some that have not.
    static int run(std::size_t readers,
                   const std::function<int(zbq_producer *, const many &)> &body) {
        return as_another(few_descriptors, [&] {
            const auto prod = test::make_producer(
                {.clog_threshold = 1000, .stall_timeout_ns = 1, .max_consumers = 64});
            const many all(prod.get(), readers);
            CHILD_CHECK(send(prod.get(), 1, ZBQ_MAX_FD_PER_MSG) == ZBQ_ERROR_AGAIN);
            return body(prod.get(), all);
        });
    }
    static bool any_collects(const many &readers, std::uint64_t id) {
        return std::any_of(readers.all.begin(), readers.all.end(), [&](const test::joined &who) {
            return collects(who, id, ZBQ_MAX_FD_PER_MSG);
        });
    }
};

// When all have had theirs, nobody waits for those that do not collect.
TEST_F(Turns, AreNoMatterOnceAllHaveHadThem) {
    EXPECT_EQ(run(4,
                  [](zbq_producer *prod, const many &readers) {
                      CHILD_CHECK(any_collects(readers, 1));
                      CHILD_CHECK(send(prod, 1, ZBQ_MAX_FD_PER_MSG) == ZBQ_OK);
                      for (int scans = 0; scans < 3; ++scans) {
                          CHILD_CHECK(zbq_producer_scan(prod) == ZBQ_OK);
                      }
                      CHILD_CHECK(test::stats(prod).evicted[0] == 0);
                      return 0;
                  }),
              0);
}

// What some have of a record that is given up is no obstacle to the next.
TEST_F(Turns, OfARecordGivenUpAreTakenBack) {
    EXPECT_EQ(run(8,
                  [](zbq_producer *prod, const many &readers) {
                      CHILD_CHECK(send(prod, 2, ZBQ_MAX_FD_PER_MSG) == ZBQ_ERROR_AGAIN);
                      CHILD_CHECK(any_collects(readers, 2));
                      return 0;
                  }),
              0);
}

// For as many as need not be answered.
TEST_F(Turns, LeaveRoomForJoins) {
    EXPECT_EQ(run(8,
                  [](zbq_producer *prod, const many & /*readers*/) {
                      std::vector<test::socket_pair> sockets;
                      for (std::uint32_t i = 0; i < zbq::core::most_unanswered; ++i) {
                          std::uint32_t slot = 0;
                          sockets.push_back(test::make_sockets());
                          CHILD_CHECK(zbq_producer_handshake(prod,
                                                             sockets.back().producer_end.get(),
                                                             ZBQ_WAKEUP_PUSH, &slot) == ZBQ_OK);
                      }
                      return 0;
                  }),
              0);
}

// ---- joins that are not answered ----

// Strangers that ask for slots and never take what they are sent: a share for each user, and one
// for all. Who is evicted before it has answered counts until its join is taken, or nobody's any
// more.
class Unanswered : public testing::Test {
protected:
    static constexpr uid_t first_user = 64'900;
    static constexpr std::size_t users = 6;
    static constexpr std::size_t of_each = 16;

    void SetUp() override {
        if (geteuid() != 0) {
            GTEST_SKIP() << "not root: no sockets of other users to be had";
        }
        for (uid_t user = first_user; user < first_user + users; ++user) {
            ASSERT_EQ(seteuid(user), 0);
            for (std::size_t i = 0; i < of_each; ++i) {
                sockets_.push_back(test::make_sockets());
            }
            ASSERT_EQ(seteuid(0), 0);
        }
    }
    int handshake(std::size_t number) {
        std::uint32_t slot = 0;
        return zbq_producer_handshake(prod_.get(), sockets_[number].producer_end.get(),
                                      ZBQ_WAKEUP_PUSH, &slot);
    }
    test::consumer_ptr answer(std::size_t number) {
        zbq_consumer *late = nullptr;
        CHILD_CHECK(zbq_consumer_join(sockets_[number].consumer_end.get(), ZBQ_WAKEUP_PUSH,
                                      &late) == ZBQ_OK);
        return test::consumer_ptr(late);
    }
    // How many of that user's.
    std::size_t admit_from(std::size_t user) {
        std::size_t admitted = 0;
        for (std::size_t i = 0; i < of_each; ++i) {
            admitted += handshake(user * of_each + i) == ZBQ_OK ? 1 : 0;
        }
        return admitted;
    }
    int run(const std::function<int()> &body) {
        return as_another(few_descriptors, [this, &body] {
            prod_ = test::make_producer({.max_consumers = 256});
            return body();
        });
    }

    std::vector<test::socket_pair> sockets_;
    test::producer_ptr prod_;
};

TEST_F(Unanswered, AreFewForOneUser) {
    EXPECT_EQ(run([this] {
                  CHILD_CHECK(admit_from(0) == zbq::core::most_unanswered_of_one);
                  const test::joined own = test::join(prod_.get()); // others are let in,
                  CHILD_CHECK(own.consumer != nullptr);
                  const test::consumer_ptr late = answer(0); // and it too, once one has answered
                  CHILD_CHECK(handshake(of_each - 1) == ZBQ_OK);
                  return 0;
              }),
              0);
}

TEST_F(Unanswered, NeedNotBeWhereAUserOwes) {
    EXPECT_EQ(run([this] {
                  prod_->slots[100].uid = first_user; // of a consumer that is gone
                  prod_->slots[100].wakes = {-1, 0, UINT64_MAX, 0};
                  CHILD_CHECK(handshake(0) == ZBQ_ERROR_NOENT);
                  CHILD_CHECK(handshake(of_each) == ZBQ_OK);
                  return 0;
              }),
              0);
}

TEST_F(Unanswered, AreFewInAll) {
    EXPECT_EQ(run([this] {
                  std::size_t admitted = 0;
                  for (std::size_t user = 0; user < users; ++user) {
                      admitted += admit_from(user);
                  }
                  CHILD_CHECK(admitted == zbq::core::most_unanswered);
                  return 0;
              }),
              0);
}

TEST_F(Unanswered, CountAlsoOnceEvicted) {
    EXPECT_EQ(run([this] {
                  CHILD_CHECK(admit_from(0) == zbq::core::most_unanswered_of_one);
                  while (prod_->active_count != 0) {
                      zbq::core::evict(prod_.get(), &prod_->slots[prod_->active[0]],
                                       ZBQ_EVICTION_DEAD);
                  }
                  CHILD_CHECK(handshake(of_each - 1) == ZBQ_ERROR_NOENT);
                  CHILD_CHECK(handshake(of_each) == ZBQ_OK); // another user's
                  const test::consumer_ptr late = answer(0); // though it is no good any more
                  CHILD_CHECK(handshake(of_each - 1) == ZBQ_OK);
                  return 0;
              }),
              0);
}

// Statistics that were sent and not taken are as joins that are not answered.
TEST_F(Unanswered, StatisticsCount) {
    EXPECT_EQ(run([this] {
                  const auto ask = [this](std::size_t number) {
                      return zbq_producer_send_stats(prod_.get(),
                                                     sockets_[number].producer_end.get());
                  };
                  for (std::uint32_t i = 0; i < zbq::core::most_unanswered_of_one; ++i) {
                      CHILD_CHECK(ask(i) == ZBQ_OK);
                  }
                  CHILD_CHECK(ask(of_each - 1) == ZBQ_ERROR_NOENT);
                  CHILD_CHECK(handshake(of_each - 1) == ZBQ_ERROR_NOENT);
                  CHILD_CHECK(ask(of_each) == ZBQ_OK); // another user's
                  zbq_stats *taken = nullptr;
                  CHILD_CHECK(zbq_stats_receive(sockets_[0].consumer_end.get(), &taken) == ZBQ_OK);
                  zbq_stats_close(taken);
                  // As by a close, of which the parent of this process has a copy.
                  CHILD_CHECK(shutdown(sockets_[0].consumer_end.get(), SHUT_RDWR) == 0);
                  CHILD_CHECK(ask(of_each - 1) == ZBQ_OK);
                  return 0;
              }),
              0);
}

// ---- the poll of many ----

// The kernel limits from how many epoll instances one file can be reached.
TEST(EpollLimit, EachConsumerHasAPidfdOfItsOwn) {
    const auto prod = test::make_producer({.max_consumers = 2});
    const test::joined greedy = test::join(prod.get());
    const test::unique_fd inner(epoll_create1(EPOLL_CLOEXEC));
    epoll_event event = {};
    event.events = EPOLLIN;
    ASSERT_EQ(epoll_ctl(inner.get(), EPOLL_CTL_ADD, greedy.consumer->producer.get(), &event), 0);
    std::vector<test::unique_fd> outer;
    for (int i = 0; i < 600; ++i) {
        outer.emplace_back(epoll_create1(EPOLL_CLOEXEC));
        if (epoll_ctl(outer.back().get(), EPOLL_CTL_ADD, inner.get(), &event) != 0) {
            break;
        }
    }
    const test::joined honest = test::join(prod.get());
    const test::unique_fd loop(epoll_create1(EPOLL_CLOEXEC));
    const int fd = zbq_consumer_event_fd(honest.consumer.get());
    ASSERT_GE(fd, 0);
    EXPECT_EQ(epoll_ctl(loop.get(), EPOLL_CTL_ADD, fd, &event), 0);
}

} // namespace
