// SPDX-License-Identifier: MIT
//
// Both ends of the rendezvous. The producer's thread is this one; whoever connects is a thread
// or a process.
#include "scm.hpp"
#include "support/kernel.hpp"
#include "support/leaks.hpp"
#include "support/process.hpp"
#include "support/sanitizer.hpp"

#include <gtest/gtest.h>

#include "both_ends.hpp"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <grp.h>
#include <optional>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <thread>

// What a test does at the moment before a socket listens, or a file is locked. The linker takes
// these for libc's.
static std::function<void()> before_listen;
static std::function<void()> before_lock;

extern "C" int flock(int fd, int operation) noexcept {
    if (before_lock) {
        before_lock();
    }
    return static_cast<int>(::syscall(SYS_flock, fd, operation));
}

// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): libc names them __fd, __n
extern "C" int listen(int fd, int backlog) noexcept {
    if (before_listen) {
        before_listen();
    }
    return static_cast<int>(::syscall(SYS_listen, fd, backlog));
}

namespace {

namespace fs = std::filesystem;
using test::thrown_by;
using zbq::status;

class Listener : public testing::Test {
protected:
    Listener() {
        char name[] = "/tmp/zbq-test-XXXXXX";
        directory_ = mkdtemp(name);
        path_ = directory_ + "/x";
        test::start_watchdog();
    }
    ~Listener() override {
        before_listen = {};
        before_lock = {};
        fs::remove_all(directory_);
    }
    Listener(const Listener &) = delete;
    Listener &operator=(const Listener &) = delete;
    Listener(Listener &&) = delete;
    Listener &operator=(Listener &&) = delete;

    // Serves, as its descriptor says, until that is done.
    template <typename Result>
    Result serve_until(zbq::listener &door, std::future<Result> done) {
        while (done.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
            pollfd polled = {door.event_fd(), POLLIN, 0};
            poll(&polled, 1, 10);
            door.serve(ring_, [this](const zbq::newcomer &who) { decided_.push_back(who); });
        }
        return done.get();
    }

    // What connecting gives: ok, or the status thrown.
    static status try_to_connect(const std::string &name, zbq::connect_options options = {},
                                 zbq::deadline end = zbq::in(std::chrono::seconds(60))) {
        return thrown_by([&] { const zbq::consumer joined = zbq::connect(name, end, options); });
    }
    zbq::consumer join_by(zbq::listener &door, const zbq::connect_options &options) {
        return serve_until(door, std::async(std::launch::async, [&] {
                               return zbq::connect(path_, zbq::never, options);
                           }));
    }
    status connect_to(zbq::listener &door, const std::string &name,
                      const zbq::connect_options &options = {}) {
        return serve_until(
            door, std::async(std::launch::async, [&] { return try_to_connect(name, options); }));
    }

    // Waits for the listener's descriptor alone, and serves once.
    void serve_when_ready(zbq::listener &door) {
        pollfd polled = {door.event_fd(), POLLIN, 0};
        ASSERT_EQ(poll(&polled, 1, 60'000), 1);
        door.serve(ring_, [this](const zbq::newcomer &who) { decided_.push_back(who); });
    }
    static bool is_ready(const zbq::listener &door) {
        pollfd polled = {door.event_fd(), POLLIN, 0};
        return poll(&polled, 1, 0) == 1;
    }
    // Serves until nothing is left to do, and no rest goes on whose end would have to be told.
    void serve_all(zbq::listener &door) {
        const zbq::deadline end = zbq::in(std::chrono::seconds(60));
        pollfd polled = {door.event_fd(), POLLIN, 0};
        while (poll(&polled, 1, 150) == 1) { // no rest is longer
            ASSERT_LT(zbq::clock::now(), end) << "it has always something to do";
            door.serve(ring_, [this](const zbq::newcomer &who) { decided_.push_back(who); });
        }
    }
    [[nodiscard]] std::vector<std::string> files() const {
        std::vector<std::string> names;
        for (const auto &entry : fs::directory_iterator(directory_)) {
            names.push_back(entry.path().filename());
        }
        return names;
    }
    // A socket that nobody listens at.
    static void leave_behind(const std::string &path) {
        const zbq::unique_fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
        const zbq::detail::place where = zbq::detail::place_at(path);
        ASSERT_EQ(bind(socket.get(), where.get(), where.size), 0);
    }

    static zbq::unique_fd dial(const std::string &path) {
        zbq::unique_fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
        const zbq::detail::place where =
            zbq::detail::place_of(path, zbq::detail::directory_use::look);
        EXPECT_EQ(connect(socket.get(), where.get(), where.size), 0) << errno;
        return socket;
    }
    static bool was_dropped(const zbq::unique_fd &socket) {
        char byte = 0;
        return recv(socket.get(), &byte, 1, MSG_DONTWAIT) == 0;
    }

    std::string directory_;
    std::string path_;
    zbq::producer ring_;
    std::vector<zbq::newcomer> decided_;
};

TEST_F(Listener, JoinByPath) {
    zbq::listener door(path_);
    EXPECT_EQ(fs::status(path_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
    zbq::consumer reader = serve_until(
        door, std::async(std::launch::async, [&] { return zbq::connect(path_, zbq::never); }));
    EXPECT_EQ(ring_.try_publish(test::bytes("x")), status::ok);
    EXPECT_EQ(test::text_of(reader.try_next().payload()), "x");
    ASSERT_EQ(decided_.size(), 1U);
    EXPECT_EQ(decided_[0].result, status::ok);
    EXPECT_EQ(decided_[0].who.pid, getpid());
    EXPECT_EQ(decided_[0].who.uid, geteuid());
    EXPECT_EQ(decided_[0].who.mode, zbq::wakeup::push);
}

TEST_F(Listener, JoinByAbstractNameInPullMode) {
    const std::string name = "@zbq-test-" + std::to_string(getpid());
    zbq::listener door(name);
    zbq::connect_options options;
    options.mode = zbq::wakeup::pull;
    EXPECT_EQ(connect_to(door, name, options), status::ok);
    EXPECT_EQ(decided_.at(0).who.mode, zbq::wakeup::pull);
    try {
        const zbq::listener second(name);
        FAIL();
    } catch (const zbq::error &failure) {
        EXPECT_EQ(failure.os_error(), EADDRINUSE);
        EXPECT_NE(std::string(failure.what()).find("by process " + std::to_string(getpid())),
                  std::string::npos);
    }
}

TEST_F(Listener, JoinByPlainName) {
    setenv("XDG_RUNTIME_DIR", directory_.c_str(), 1);
    zbq::listener door("camera");
    EXPECT_TRUE(fs::is_socket(directory_ + "/zbq/camera"));
    EXPECT_EQ(connect_to(door, "camera"), status::ok);
}

TEST_F(Listener, ConnectWaitsForTheProducerToAppear) {
    auto joining = std::async(std::launch::async, [&] { return try_to_connect(path_); });
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    zbq::listener door(path_);
    EXPECT_EQ(serve_until(door, std::move(joining)), status::ok);
}

TEST_F(Listener, ConnectGivesUp) {
    EXPECT_EQ(try_to_connect(path_, {}, zbq::now), status::none);
    EXPECT_EQ(try_to_connect(path_, {}, zbq::in(std::chrono::milliseconds(10))), status::none);
    zbq::connect_options options;
    options.wait_for_producer = false;
    EXPECT_EQ(try_to_connect(path_, options, zbq::never), status::none);
    options.wait_for_producer = true;
    int asked = 0;
    options.give_up = [&asked] { return ++asked == 3; };
    EXPECT_EQ(try_to_connect(path_, options, zbq::never), status::again);
    const zbq::listener mute(path_);
    EXPECT_EQ(try_to_connect(path_, {}, zbq::in(std::chrono::milliseconds(10))), status::again);
}

TEST_F(Listener, Names) {
    for (const char *name : {"", ".", "..", "@", "a/", "/"}) {
        EXPECT_EQ(thrown_by([&] { const zbq::listener door(name); }), status::invalid) << name;
        EXPECT_EQ(try_to_connect(name), status::invalid) << name;
    }
    const std::string nul("/tmp/a\0b", 8);
    EXPECT_EQ(try_to_connect(nul), status::invalid);
    const std::string fits = directory_ + "/" + std::string(107 - directory_.size() - 1, 'n');
    EXPECT_EQ(try_to_connect(fits, {}, zbq::now), status::none);
    EXPECT_EQ(try_to_connect(fits + "n"), status::too_large);
    EXPECT_EQ(thrown_by([&] { const zbq::listener door(fits + "n"); }), status::too_large);
    zbq::listener door(fits);
    EXPECT_EQ(connect_to(door, fits), status::ok);
    EXPECT_EQ(files().size(), 1U);
    EXPECT_EQ(try_to_connect("@" + std::string(107, 'n'), {}, zbq::now), status::none);
    EXPECT_EQ(try_to_connect("@" + std::string(108, 'n')), status::too_large);
}

TEST_F(Listener, RemovesItsSocketAndOnlyThat) {
    {
        const zbq::listener door(path_);
        EXPECT_TRUE(fs::exists(path_));
    }
    EXPECT_FALSE(fs::exists(path_));
    {
        const zbq::listener door(path_);
        fs::remove(path_);
        std::ofstream(path_) << "another's";
    }
    EXPECT_TRUE(fs::exists(path_));
    EXPECT_EQ(thrown_by([&] { const zbq::listener door(path_); }), status::refused);
}

TEST_F(Listener, OfAnotherThatListensIsLeftAlone) {
    zbq::listener door(path_);
    EXPECT_EQ(thrown_by([&] { const zbq::listener second(path_); }), status::io);
    EXPECT_EQ(connect_to(door, path_), status::ok);
}

TEST_F(Listener, MovesWithItsSocket) {
    zbq::listener first(path_);
    zbq::listener second = std::move(first);
    EXPECT_EQ(first.event_fd(), -1); // NOLINT(*use-after-move,*Move): that is the question
    first.serve(ring_);
    EXPECT_EQ(connect_to(second, path_), status::ok);
    second = zbq::listener(directory_ + "/y");
    EXPECT_FALSE(fs::exists(path_));
    EXPECT_TRUE(fs::exists(directory_ + "/y"));
}

TEST_F(Listener, ANameThatWasTakenOverStays) {
    const auto listen_at_last = [&] {
        for (;;) {
            try {
                return zbq::listener(path_);
            } catch (const zbq::error &) { // it is in use
            }
        }
    };
    for (int i = 0; i < 50; ++i) {
        zbq::listener door(path_);
        std::future<zbq::listener> next = std::async(std::launch::async, listen_at_last);
        door = zbq::listener(directory_ + "/y");
        const zbq::listener taken = next.get();
        EXPECT_TRUE(fs::exists(path_));
    }
}

// ---- names ----

TEST_F(Listener, ANameAppearsWhenItCanBeJoined) {
    int asked = 0;
    before_listen = [&] {
        ++asked;
        EXPECT_FALSE(fs::exists(path_));
    };
    zbq::listener door(path_);
    EXPECT_EQ(asked, 1);
    EXPECT_EQ(files(), std::vector<std::string>{"x"});
    EXPECT_EQ(connect_to(door, path_), status::ok);
}

TEST_F(Listener, AStaleNameIsThereUntilTheNewOneIs) {
    leave_behind(path_);
    struct stat stale = {};
    ASSERT_EQ(lstat(path_.c_str(), &stale), 0);
    before_listen = [&] {
        struct stat now = {};
        EXPECT_EQ(lstat(path_.c_str(), &now), 0);
        EXPECT_EQ(now.st_ino, stale.st_ino);
    };
    zbq::listener door(path_);
    EXPECT_EQ(connect_to(door, path_), status::ok);
}

TEST_F(Listener, WhatACrashLeavesIsInNobodysWay) {
    leave_behind(path_);
    leave_behind(directory_ + "/.x.new");
    std::ofstream(directory_ + "/.x.lock") << "";
    zbq::listener door(path_);
    EXPECT_EQ(files(), std::vector<std::string>{"x"});
    EXPECT_EQ(connect_to(door, path_), status::ok);
}

TEST_F(Listener, WhatComesMeanwhileStays) {
    before_listen = [&] { std::ofstream(path_) << "another's"; };
    EXPECT_EQ(thrown_by([&] { const zbq::listener door(path_); }), status::io);
    EXPECT_EQ(files(), std::vector<std::string>{"x"});
    EXPECT_TRUE(fs::is_regular_file(path_));
}

TEST_F(Listener, AFileSystemThatOnlyReplaces) {
    test::child old([&] {
        test::answer_with({SYS_renameat2, 4, UINT32_MAX, 1}, EINVAL);
        const zbq::listener door(path_);
        CHILD_CHECK(fs::is_socket(path_));
        return 0;
    });
    EXPECT_EQ(old.wait(), 0);
}

TEST_F(Listener, ALockedDirectoryStopsNobody) {
    const zbq::unique_fd directory(open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_EQ(flock(directory.get(), LOCK_EX), 0);
    EXPECT_EQ(thrown_by([&] { const zbq::listener door(path_); }), status::ok);
}

TEST_F(Listener, NobodyElseCanOpenTheLock) {
    before_listen = [&] {
        struct stat lock = {};
        EXPECT_EQ(lstat((directory_ + "/.x.lock").c_str(), &lock), 0);
        EXPECT_EQ(lock.st_mode, mode_t{S_IFREG | S_IRUSR | S_IWUSR});
    };
    const zbq::listener door(path_);
}

TEST_F(Listener, ALockedNameIsWaitedFor) {
    const std::string path = directory_ + "/.x.lock";
    zbq::unique_fd lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR));
    ASSERT_EQ(flock(lock.get(), LOCK_EX), 0);
    EXPECT_EQ(thrown_by([&] { const zbq::listener door(path_); }), status::again);
    auto taking = std::async(std::launch::async,
                             [&] { return thrown_by([&] { const zbq::listener door(path_); }); });
    fs::remove(path); // as its owner does: the name is of another file then
    lock.reset();
    EXPECT_EQ(taking.get(), status::ok);
    EXPECT_TRUE(files().empty());
}

// Its owner was done with it after this one had opened it, and the next one has come.
TEST_F(Listener, ALockThatHasLostItsNameIsNone) {
    const std::string path = directory_ + "/.x.lock";
    bool replaced = false;
    before_lock = [&] {
        if (!replaced) {
            replaced = fs::remove(path);
            std::ofstream(path) << "";
        }
    };
    before_listen = [&] {
        const zbq::unique_fd named(open(path.c_str(), O_RDWR | O_CLOEXEC));
        EXPECT_NE(flock(named.get(), LOCK_EX | LOCK_NB), 0);
    };
    const zbq::listener door(path_);
    EXPECT_EQ(files(), std::vector<std::string>{"x"});
}

// Who finds the same stale socket as others does not take the name away from who was first.
TEST_F(Listener, OneOfManyTakesAStaleName) {
    constexpr std::size_t many = 4;
    for (int round = 0; round < 30; ++round) {
        leave_behind(path_);
        std::atomic<std::size_t> ready = 0;
        std::vector<std::optional<zbq::listener>> doors(many);
        std::vector<std::thread> threads;
        threads.reserve(many);
        std::atomic<std::size_t> in_use = 0;
        for (std::optional<zbq::listener> &door : doors) {
            threads.emplace_back([&] {
                for (++ready; ready != many;) { // which all of them become
                    std::this_thread::yield();
                }
                try {
                    door.emplace(path_);
                } catch (const zbq::error &failure) {
                    in_use += failure.os_error() == EADDRINUSE ? 1U : 0U;
                }
            });
        }
        for (std::thread &thread : threads) {
            thread.join();
        }
        EXPECT_EQ(in_use, many - 1);
        EXPECT_EQ(files(), std::vector<std::string>{"x"});
        dial(path_).reset();
    }
}

// ---- forked children ----

TEST_F(Listener, AForkedChildLeavesTheNameAndTheStrangers) {
    std::optional<zbq::listener> door(path_);
    const zbq::unique_fd stranger = dial(path_);
    ASSERT_TRUE(zbq::detail::send_packet(stranger.get(), zbq::detail::make_hello(ZBQ_WAKEUP_PULL)));
    test::child forked([&] {
        door->serve(ring_);
        door.reset();
        CHILD_CHECK(fs::exists(path_));
        const zbq::listener own(directory_ + "/y"); // which it may have
        return 0;
    });
    EXPECT_EQ(forked.wait(), 0);
    EXPECT_EQ(files(), std::vector<std::string>{"x"});
    serve_all(*door);
    ASSERT_EQ(decided_.size(), 1U);
    EXPECT_EQ(decided_[0].result, status::ok);
}

// Where it has the same number as its parent.
TEST_F(Listener, AForkedChildInAPidNamespaceLeavesTheName) {
    test::child outside([&] {
        if (unshare(CLONE_NEWPID) != 0) {
            return 77;
        }
        test::child parent([&] {
            CHILD_CHECK(getpid() == 1);
            std::optional<zbq::listener> door(path_);
            CHILD_CHECK(unshare(CLONE_NEWPID) == 0);
            test::child forked([&] {
                CHILD_CHECK(getpid() == 1);
                door.reset();
                return 0;
            });
            CHILD_CHECK(forked.wait() == 0);
            CHILD_CHECK(fs::exists(path_));
            return 0;
        });
        return parent.wait();
    });
    const int result = outside.wait();
    if (result == 77) {
        GTEST_SKIP() << "no pid namespace can be made here";
    }
    EXPECT_EQ(result, 0);
}

TEST_F(Listener, CopiesInAForkedChildDoNotKeepItBusy) {
    zbq::listener door(path_);
    zbq::unique_fd stranger = dial(path_);
    serve_all(door);
    const test::step_pipe ready;
    test::child forked([&] {
        stranger.reset(); // and keeps the listener's end
        ready.send(1);
        pause();
        return 0;
    });
    ready.receive();
    ASSERT_EQ(send(stranger.get(), "x", 1, 0), 1);
    serve_all(door); // it is refused, and dropped
    stranger.reset();
    serve_all(door);
    EXPECT_FALSE(is_ready(door));
}

// ---- decisions ----

TEST_F(Listener, FullIsSaid) {
    zbq::producer_options options;
    options.max_consumers = 1;
    ring_ = zbq::producer(options);
    zbq::listener door(path_);
    {
        const zbq::consumer first = test::join(ring_);
        EXPECT_EQ(connect_to(door, path_), status::full);
        EXPECT_EQ(decided_.back().result, status::full);
    }
    EXPECT_EQ(connect_to(door, path_), status::ok); // the first has gone
}

TEST_F(Listener, TheApplicationMayRefuse) {
    zbq::listener_options options;
    options.accept = [](const zbq::peer &who, zbq::terms & /*given*/) {
        return who.mode == zbq::wakeup::pull;
    };
    zbq::listener door(path_, options);
    EXPECT_EQ(connect_to(door, path_), status::refused);
    EXPECT_EQ(decided_.back().result, status::refused);
    zbq::connect_options pull;
    pull.mode = zbq::wakeup::pull;
    EXPECT_EQ(connect_to(door, path_, pull), status::ok);
    EXPECT_EQ(ring_.statistics().joined, 1U);
}

TEST_F(Listener, TheApplicationMayLimitHistory) {
    constexpr std::uint64_t kib = 1024; // what each message takes
    constexpr std::uint64_t allowed = 200'000;
    constexpr std::uint64_t step = (1U << 20U) / 32;
    zbq::listener_options options;
    options.accept = [](const zbq::peer & /*who*/, zbq::terms &given) {
        given.history = allowed;
        return true;
    };
    zbq::listener door(path_, options);
    for (int i = 0; i < 600; ++i) {
        ASSERT_EQ(ring_.try_publish(test::bytes(std::string(1000, '.'))), status::ok);
    }
    const std::uint64_t head = ring_.head();
    const auto offset_from = [&](const zbq::start &from) {
        return join_by(door, {.flow = zbq::flow::follow, .from = from}).offset();
    };
    for (const zbq::start &from :
         {zbq::start::oldest(), zbq::start::at(ring_.id(), 1024), zbq::start::last(UINT64_MAX)}) {
        const std::uint64_t offset = offset_from(from);
        EXPECT_GE(offset, head - allowed);
        EXPECT_LE(offset, head - allowed + 2 * step);
        EXPECT_EQ(decided_.back().who.from.get().at, from.get().at);
    }
    EXPECT_EQ(offset_from({}), head);
    EXPECT_EQ(offset_from(zbq::start::at(ring_.id(), head - 10 * kib)), head - 10 * kib);
    EXPECT_EQ(offset_from(zbq::start::last(10 * kib)), head - 10 * kib);
    EXPECT_EQ(offset_from(zbq::start::last(10 * kib + 1023U)), head - 10 * kib);
    EXPECT_EQ(offset_from(zbq::start::last(10 * kib - 1)), head - 9 * kib);
}

TEST_F(Listener, TheApplicationMayLimitPatience) {
    ring_ = zbq::producer({.capacity = 1U << 16U, .stall_timeout = std::chrono::hours(1)});
    zbq::listener_options options;
    options.accept = [](const zbq::peer & /*who*/, zbq::terms &given) {
        given.limit = zbq::patience{std::chrono::milliseconds(1), {}};
        return true;
    };
    zbq::listener door(path_, options);
    const zbq::consumer slow = join_by(door, {});
    while (slow.eviction() == zbq::eviction::none) {
        ASSERT_EQ(ring_.publish(test::bytes(std::string(10'000, '.')), zbq::never), status::ok);
    }
    EXPECT_EQ(slow.eviction(), zbq::eviction::slow);
}

TEST_F(Listener, WhereNoMessageStartsNobodyDoes) {
    zbq::listener door(path_);
    ASSERT_EQ(ring_.try_publish(test::bytes(std::string(100, '.'))), status::ok);
    const auto connect_at = [&](std::uint64_t offset) {
        return connect_to(door, path_, {.from = zbq::start::at(ring_.id(), offset)});
    };
    EXPECT_EQ(connect_at(ring_.head() + 16), status::invalid);
    EXPECT_EQ(decided_.back().result, status::invalid);
    EXPECT_EQ(ring_.statistics().joined, 0U);
    EXPECT_EQ(connect_at(16), status::invalid); // which it finds out by itself
    EXPECT_EQ(decided_.back().result, status::ok);
    EXPECT_EQ(connect_at(ring_.head()), status::ok);
    EXPECT_EQ(connect_at(0), status::ok);
}

TEST_F(Listener, ServingFromInsideOfItDoesNothing) {
    zbq::listener *inner = nullptr;
    bool is_asking = false;
    int asked = 0;
    zbq::listener door(path_, {.accept = [&](const zbq::peer & /*who*/, zbq::terms & /*given*/) {
                           EXPECT_FALSE(is_asking);
                           is_asking = true;
                           inner->serve(ring_); // the other one waits, too
                           is_asking = false;
                           return ++asked == 0;
                       }});
    inner = &door;
    const zbq::unique_fd first = dial(path_);
    const zbq::unique_fd second = dial(path_);
    serve_all(door);
    for (const zbq::unique_fd *stranger : {&first, &second}) {
        ASSERT_TRUE(
            zbq::detail::send_packet(stranger->get(), zbq::detail::make_hello(ZBQ_WAKEUP_PUSH)));
    }
    serve_all(door);
    EXPECT_EQ(asked, 2);
}

TEST_F(Listener, ObserversHaveSoManySlots) {
    zbq::listener_options options;
    options.max_observers = 1;
    zbq::listener door(path_, options);
    const zbq::connect_options observing = {.flow = zbq::flow::follow};
    const zbq::consumer earlier = join_by(door, {}); // is none
    {
        const zbq::consumer first = join_by(door, observing);
        EXPECT_TRUE(decided_.back().who.observes);
        EXPECT_EQ(connect_to(door, path_, observing), status::full);
        EXPECT_EQ(decided_.back().result, status::full);
        const zbq::consumer lossless = join_by(door, {});
        EXPECT_FALSE(decided_.back().who.observes);
        EXPECT_EQ(connect_to(door, path_, observing), status::full);
    }
    EXPECT_EQ(connect_to(door, path_, observing), status::ok); // the first has gone
}

// ---- one step at a time ----

// A producer that answers as a test wants it.
class Answering : public Listener {
protected:
    Answering() : door_(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
        const zbq::detail::place where = zbq::detail::place_at(path_);
        EXPECT_EQ(bind(door_.get(), where.get(), where.size), 0);
        EXPECT_EQ(listen(door_.get(), 0), 0);
    }
    static bool becomes_ready(const zbq::joining &join) {
        pollfd polled = {join.event_fd(), POLLIN, 0};
        return poll(&polled, 1, 60'000) == 1;
    }
    // What a step throws that does not lead to the end.
    static status step(zbq::joining &join) {
        return thrown_by([&] { EXPECT_FALSE(join.step()); });
    }
    zbq::unique_fd accept_one() {
        return zbq::unique_fd(accept4(door_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    }
    // It has said hello then.
    zbq::unique_fd meet(zbq::joining &join) {
        EXPECT_TRUE(becomes_ready(join));
        EXPECT_EQ(step(join), status::ok);
        zbq::unique_fd line = accept_one();
        EXPECT_TRUE(line);
        EXPECT_TRUE(join.has_met());
        char hello[64] = {};
        EXPECT_EQ(recv(line.get(), hello, sizeof hello, MSG_DONTWAIT), 32);
        EXPECT_EQ(step(join), status::ok); // nothing yet
        return line;
    }

    zbq::unique_fd door_;
};

TEST_F(Answering, WhatIsNoWelcome) {
    zbq::joining join(path_);
    std::vector<zbq::unique_fd> lines; // which stay open
    const std::pair<std::string, status> answers[] = {
        {std::string("zbq\1\0\0\0\0", 8), status::protocol},
        {std::string("zbq\2\0\0\0\0\0", 9), status::protocol},
        {std::string("zbq\2\0\0\0", 7), status::protocol},
        {std::string("zbq\2\0\0\0\1", 8), status::protocol},
        {std::string("xbq\2\0\0\0\0", 8), status::protocol},
        {std::string("zbq\2\1\0\0\0", 8), status::full},
        {std::string("zbq\2\2\0\0\0", 8), status::refused},
        {std::string("zbq\2\3\0\0\0", 8), status::invalid},
        {std::string("zbq\2\115\0\0\0", 8), status::refused},
    };
    for (const auto &[answer, expected] : answers) {
        lines.push_back(meet(join));
        ASSERT_EQ(send(lines.back().get(), answer.data(), answer.size(), 0),
                  static_cast<ssize_t>(answer.size()));
        EXPECT_TRUE(becomes_ready(join));
        EXPECT_EQ(step(join), expected);
        EXPECT_FALSE(join.has_met()); // it can be tried again
    }
}

TEST_F(Answering, OneThatGoesBeforeItAnswersIsMetAgain) {
    zbq::joining join(path_);
    meet(join).reset();
    EXPECT_TRUE(becomes_ready(join));
    EXPECT_EQ(step(join), status::ok);
    EXPECT_FALSE(join.has_met());
    meet(join).reset();
}

TEST_F(Answering, AFullQueueIsWaitedFor) {
    std::vector<zbq::unique_fd> waiting;
    const zbq::detail::place where = zbq::detail::place_at(path_);
    bool full = false;
    while (!full) {
        waiting.emplace_back(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        full = connect(waiting.back().get(), where.get(), where.size) != 0;
    }
    ASSERT_EQ(errno, EAGAIN);
    zbq::joining join(path_);
    for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(becomes_ready(join));
        EXPECT_EQ(step(join), status::ok);
        EXPECT_TRUE(join.has_met()); // whose queue it is
    }
    while (accept_one()) {
    }
    meet(join).reset();
}

// And till then there is nothing to do.
TEST_F(Listener, ANameThatAppearsIsTold) {
    bool told = false;
    for (int i = 0; i < 10 && !told; ++i) {
        zbq::joining join(path_);
        const zbq::deadline start = zbq::clock::now();
        EXPECT_FALSE(join.step());
        pollfd polled = {join.event_fd(), POLLIN, 0};
        const bool quiet = poll(&polled, 1, 100) == 0;
        const zbq::listener door(path_);
        ASSERT_EQ(poll(&polled, 1, 60'000), 1);
        told = quiet && zbq::clock::now() - start < std::chrono::milliseconds(900);
    }
    EXPECT_TRUE(told);
}

// ---- strangers ----

constexpr std::chrono::milliseconds rest(100); // the longest

TEST_F(Listener, NonsenseIsRefused) {
    zbq::listener door(path_);
    const zbq::detail::hello right = zbq::detail::make_hello(ZBQ_WAKEUP_PUSH);
    const std::string whole(right.begin(), right.end());
    const auto with = [&](std::size_t place, int value) {
        std::string changed = whole;
        changed[place] = static_cast<char>(value);
        return changed;
    };
    for (const std::string &words :
         {std::string("zbq\1\0\0\0\0", 8), std::string("zbq"), std::string(1000, 'x'),
          whole.substr(0, 31), whole + 'x', with(0, 'x'), with(3, 1), with(3, 3), with(4, 4),
          with(4, 255), with(5, 4), with(5, 255), with(6, 3), with(7, 1)}) {
        const zbq::unique_fd stranger = dial(path_);
        ASSERT_GT(send(stranger.get(), words.data(), words.size(), 0), 0);
        serve_when_ready(door);
        char answer[8] = {};
        EXPECT_EQ(recv(stranger.get(), answer, sizeof answer, MSG_DONTWAIT), 8);
        EXPECT_EQ(answer[4], 2);
        EXPECT_TRUE(was_dropped(stranger));
    }
    EXPECT_TRUE(decided_.empty());
    EXPECT_EQ(ring_.statistics().joined, 0U);
}

TEST_F(Listener, DescriptorsOfStrangersAreRefused) {
    constexpr int passrights = 83; // SO_PASSRIGHTS
    const zbq::listener door(path_);
    const zbq::unique_fd stranger = dial(path_);
    if (zbq::detail::int_option(stranger.get(), passrights) < 0) {
        GTEST_SKIP() << "this kernel cannot refuse descriptors (Linux 6.16)";
    }
    const int fd = stranger.get();
    const char byte = 0;
    EXPECT_EQ(zbq::core::send_record(fd, &byte, 1, &fd, 1), -EPERM);
}

TEST_F(Listener, TheOldestOfManyMakesWay) {
    zbq::listener_options options;
    options.max_strangers = 3;
    zbq::listener door(path_, options);
    std::vector<zbq::unique_fd> strangers;
    for (int i = 0; i < 5; ++i) {
        strangers.push_back(dial(path_));
        serve_when_ready(door);
    }
    serve_all(door);
    EXPECT_TRUE(was_dropped(strangers[0]));
    EXPECT_TRUE(was_dropped(strangers[1]));
    EXPECT_FALSE(was_dropped(strangers[2]));
    EXPECT_EQ(connect_to(door, path_), status::ok);
}

TEST_F(Listener, TheFirstWordsMayComeLater) {
    zbq::listener_options options;
    options.patience = std::chrono::hours(1);
    zbq::listener door(path_, options);
    const zbq::unique_fd stranger = dial(path_);
    serve_all(door);
    ASSERT_EQ(send(stranger.get(), "x", 1, 0), 1);
    serve_when_ready(door);
    char answer[8] = {};
    EXPECT_EQ(recv(stranger.get(), answer, sizeof answer, MSG_DONTWAIT), 8);
}

TEST_F(Listener, TheSlowAreDropped) {
    zbq::listener_options options;
    options.patience = 5 * rest; // whose end is told, too
    zbq::listener door(path_, options);
    const zbq::unique_fd silent = dial(path_);
    const zbq::deadline end = zbq::in(std::chrono::seconds(60));
    while (!was_dropped(silent)) {
        ASSERT_LT(zbq::clock::now(), end);
        serve_when_ready(door); // its descriptor tells when
    }
}

TEST_F(Listener, TheImpatientAreForgotten) {
    const test::leak_check leaks;
    zbq::listener door(path_);
    dial(path_).reset();
    serve_all(door);
    EXPECT_FALSE(is_ready(door));
}

// Each asserts only what it was quick enough to see.
constexpr int attempts = 100;

TEST_F(Listener, OutOfDescriptorsItRests) {
    zbq::listener door(path_);
    const zbq::unique_fd stranger = dial(path_);
    bool seen = false;
    for (int i = 0; i < attempts && !seen; ++i) {
        const test::descriptor_shortage shortage(0);
        const zbq::deadline start = zbq::clock::now();
        serve_when_ready(door);
        const bool rests = !is_ready(door); // though somebody waits
        seen = zbq::clock::now() - start < rest;
        EXPECT_TRUE(rests || !seen);
    }
    EXPECT_EQ(connect_to(door, path_), status::ok);
    if (!seen) {
        GTEST_SKIP() << "too busy to see it";
    }
}

TEST_F(Listener, LeavesStrangersAloneForLongerThanTheyTook) {
    zbq::listener_options options;
    options.accept = [](const zbq::peer & /*who*/, zbq::terms & /*given*/) {
        std::this_thread::sleep_for(rest / 4);
        return false;
    };
    zbq::listener door(path_, options);
    bool seen = false;
    for (int i = 0; i < attempts && !seen; ++i) {
        decided_.clear();
        const zbq::unique_fd first = dial(path_);
        ASSERT_TRUE(
            zbq::detail::send_packet(first.get(), zbq::detail::make_hello(ZBQ_WAKEUP_PUSH)));
        const zbq::deadline start = zbq::clock::now();
        serve_when_ready(door);
        const zbq::unique_fd second = dial(path_);
        ASSERT_TRUE(
            zbq::detail::send_packet(second.get(), zbq::detail::make_hello(ZBQ_WAKEUP_PUSH)));
        const bool rests = !is_ready(door);
        door.serve(ring_, [this](const zbq::newcomer &who) { decided_.push_back(who); });
        seen = zbq::clock::now() - start < rest;
        EXPECT_TRUE((rests && decided_.size() == 1) || !seen);
        serve_all(door);
        EXPECT_EQ(decided_.size(), 2U);
    }
    if (!seen) {
        GTEST_SKIP() << "too busy to see it";
    }
}

// ---- who may come in ----

// Connects as another user, in a child process. Its status.
int connect_as(uid_t uid, gid_t gid, std::vector<gid_t> more, const std::string &name,
               const zbq::connect_options &options) {
    if (setgroups(more.size(), more.data()) != 0 || setgid(gid) != 0 || setuid(uid) != 0) {
        return 99;
    }
    try {
        const zbq::consumer joined = zbq::connect(name, zbq::in(std::chrono::seconds(60)), options);
    } catch (const zbq::error &failure) {
        return failure.code() == status::refused ? 1 : failure.os_error() == EACCES ? 2 : 3;
    }
    return 0;
}

class OtherUsers : public Listener {
protected:
    void SetUp() override {
        if (geteuid() != 0) {
            GTEST_SKIP() << "needs root, to become another user";
        }
        fs::permissions(directory_, fs::perms::all);
    }
    int connect_as_other(zbq::listener &door, const std::string &name, gid_t gid = stranger,
                         const std::vector<gid_t> &more = {}, uid_t uid = stranger,
                         zbq::flow how = zbq::flow::lossless) {
        zbq::connect_options options;
        options.producers = {0};
        options.flow = how;
        test::child other([&] { return connect_as(uid, gid, more, name, options); });
        return serve_until(door, std::async(std::launch::async, [&] { return other.wait(); }));
    }
    static constexpr uid_t stranger = 61234;
    static constexpr gid_t group = 61235;
};

TEST_F(OtherUsers, OwnerOnlyByDefault) {
    zbq::listener door(path_);
    EXPECT_EQ(connect_as_other(door, path_), 2);
    const std::string name = "@zbq-test-users-" + std::to_string(getpid());
    zbq::listener abstract(name);
    EXPECT_EQ(connect_as_other(abstract, name), 1); // it can connect, but is not let in
}

TEST_F(OtherUsers, ByUser) {
    zbq::listener_options options;
    options.users = {stranger};
    const mode_t mask = umask(077);
    zbq::listener door(path_, options);
    umask(mask);
    EXPECT_EQ(connect_as_other(door, path_), 0);
    options.users = {stranger + 1};
    zbq::listener other(directory_ + "/y", options);
    EXPECT_EQ(connect_as_other(other, directory_ + "/y"), 1);
}

TEST_F(OtherUsers, ByGroup) {
    zbq::listener_options options;
    options.groups = {group};
    zbq::listener door(path_, options);
    EXPECT_EQ(connect_as_other(door, path_), 1);
    EXPECT_EQ(connect_as_other(door, path_, group), 0);
    EXPECT_EQ(connect_as_other(door, path_, stranger, {1, group}), 0);
}

TEST_F(OtherUsers, ToObserveAndNothingElse) {
    zbq::listener_options options;
    options.observing_users = {stranger};
    zbq::listener by_user(path_, options);
    EXPECT_EQ(connect_as_other(by_user, path_), 1);
    EXPECT_EQ(connect_as_other(by_user, path_, stranger, {}, stranger, zbq::flow::follow), 0);
    EXPECT_EQ(connect_as_other(by_user, path_, stranger, {}, stranger + 1, zbq::flow::follow), 1);
    options.observing_users = {};
    options.observing_groups = {group};
    const std::string other = directory_ + "/y";
    zbq::listener by_group(other, options);
    EXPECT_EQ(connect_as_other(by_group, other, group), 1);
    EXPECT_EQ(connect_as_other(by_group, other, group, {}, stranger, zbq::flow::newest), 0);
    EXPECT_EQ(connect_as_other(by_group, other, stranger, {group}, stranger, zbq::flow::newest), 0);
    EXPECT_EQ(connect_as_other(by_group, other, stranger, {}, stranger, zbq::flow::newest), 1);
}

TEST_F(OtherUsers, StatisticsForWhoMayObserve) {
    zbq::listener_options options;
    options.observing_users = {stranger};
    zbq::listener door(path_, options);
    const auto inspect_as = [&](uid_t uid) {
        test::child other([&] {
            CHILD_CHECK(setgroups(0, nullptr) == 0 && setgid(uid) == 0 && setuid(uid) == 0);
            return static_cast<int>(thrown_by([&] {
                std::ignore =
                    zbq::inspect(path_, zbq::in(std::chrono::seconds(60)), {.producers = {0}});
            }));
        });
        return serve_until(door, std::async(std::launch::async, [&] { return other.wait(); }));
    };
    EXPECT_EQ(inspect_as(stranger), static_cast<int>(status::ok));
    EXPECT_EQ(inspect_as(stranger + 1), static_cast<int>(status::refused));
    EXPECT_EQ(ring_.statistics().joined, 0U);
}

// What connecting gives to an abstract name that a user took, where that user is trusted.
class Squatter {
public:
    explicit Squatter(uid_t uid)
        : process_([this, uid] {
              CHILD_CHECK(setuid(uid) == 0);
              const zbq::listener door(name_);
              ready_.send(1);
              pause();
              return 0;
          }) {
        ready_.receive();
    }
    [[nodiscard]] const std::string &name() const { return name_; }

private:
    std::string name_ = "@zbq-test-squat-" + std::to_string(getpid());
    test::step_pipe ready_;
    test::child process_;
};

TEST_F(OtherUsers, AnAbstractNameOfSomebodyElse) {
    const Squatter squatter(stranger);
    EXPECT_EQ(try_to_connect(squatter.name()), status::refused);
    zbq::connect_options options;
    options.producers = {stranger};
    EXPECT_EQ(try_to_connect(squatter.name(), options, zbq::in(std::chrono::milliseconds(10))),
              status::again);
}

// ---- who is nobody ----

constexpr std::uint32_t nobody = 65534;

TEST_F(OtherUsers, NobodyIsOnNoList) {
    zbq::listener_options options;
    options.users = {nobody};
    options.groups = {nobody};
    zbq::listener door(path_, options);
    EXPECT_EQ(connect_as_other(door, path_, nobody, {nobody}, nobody), 1);
    EXPECT_EQ(decided_.back().who.uid, nobody);
    EXPECT_EQ(connect_as_other(door, path_, stranger, {nobody}), 1);
    options.users = {stranger};
    zbq::listener other(directory_ + "/y", options);
    EXPECT_EQ(connect_as_other(other, directory_ + "/y", nobody), 0);
}

TEST_F(OtherUsers, NobodyIsNoProducerToTrust) {
    const Squatter squatter(nobody);
    zbq::connect_options options;
    options.producers = {nobody};
    EXPECT_EQ(try_to_connect(squatter.name(), options), status::refused);
}

// In a user namespace without a map everyone has the same number, this process too.
TEST_F(Listener, NobodyIsNotItself) {
    test::child unmapped([this] {
        if (unshare(CLONE_NEWUSER) != 0) {
            return 77;
        }
        CHILD_CHECK(geteuid() == nobody);
        ring_ = zbq::producer();
        zbq::listener door(path_);
        CHILD_CHECK(connect_to(door, path_) == status::refused);
        CHILD_CHECK(decided_.size() == 1 && decided_[0].who.uid == nobody);
        zbq::listener abstract("@zbq-test-nobody-" + std::to_string(getpid()));
        CHILD_CHECK(try_to_connect("@zbq-test-nobody-" + std::to_string(getpid())) ==
                    status::refused);
        setenv("XDG_RUNTIME_DIR", directory_.c_str(), 1);
        CHILD_CHECK(thrown_by([] { const zbq::listener plain("x"); }) == status::refused);
        CHILD_CHECK(try_to_connect("x") == status::refused);
        return 0;
    });
    const int result = unmapped.wait();
    if (result == 77) {
        GTEST_SKIP() << "no user namespace can be made here";
    }
    EXPECT_EQ(result, 0);
}

TEST_F(Listener, NumbersOfNobody) {
    using namespace zbq::detail;
    const std::string file = directory_ + "/overflowuid";
    std::ofstream(file) << "4711\n";
    EXPECT_EQ(read_overflow_id(file.c_str()), 4711U);
    EXPECT_EQ(read_overflow_id((file + "s").c_str()), nobody);
    EXPECT_TRUE(is_somebody(0, nobody));
    EXPECT_TRUE(is_somebody(4711, nobody));
    EXPECT_FALSE(is_somebody(4711, 4711));
    EXPECT_FALSE(is_somebody(nobody, 4711));
    EXPECT_FALSE(is_somebody(UINT32_MAX, 4711)); // which the kernel does not tell
}

// Whoever is in no pid namespace that the listener sees.
TEST_F(Listener, AProcessFromOutsideHasNoNumber) {
    const test::step_pipe ready;
    test::child outside([&] {
        if (unshare(CLONE_NEWPID) != 0) {
            ready.send(77);
            return 77;
        }
        test::child listening([&] {
            ring_ = zbq::producer();
            zbq::listener door(path_);
            ready.send(1);
            const zbq::deadline end = zbq::in(std::chrono::seconds(60));
            while (decided_.empty()) {
                CHILD_CHECK(zbq::clock::now() < end);
                serve_when_ready(door);
            }
            CHILD_CHECK(decided_[0].who.pid == 0);
            return 0;
        });
        return listening.wait();
    });
    if (ready.receive() == 77) {
        GTEST_SKIP() << "no pid namespace can be made here";
    }
    static_cast<void>(try_to_connect(path_));
    EXPECT_EQ(outside.wait(), 0);
}

// ---- systemd ----

class Systemd : public Listener {
protected:
    // A listening socket as the third descriptor of this process, as systemd passes it.
    void pass(const char *names) {
        zbq::unique_fd socket(::socket(AF_UNIX, SOCK_SEQPACKET, 0));
        const zbq::detail::place where =
            zbq::detail::place_of(path_, zbq::detail::directory_use::create);
        ASSERT_EQ(bind(socket.get(), where.get(), where.size), 0);
        ASSERT_EQ(listen(socket.get(), 5), 0);
        if (socket.get() != 3) { // whatever is there is the parent's, and not needed
            ASSERT_EQ(dup2(socket.get(), 3), 3);
        } else {
            static_cast<void>(socket.release());
        }
        setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
        setenv("LISTEN_FDS", "1", 1);
        setenv("LISTEN_FDNAMES", names, 1);
    }
};

TEST_F(Systemd, TakesOverItsSocket) {
    test::child activated([this] {
        ring_ = zbq::producer(); // the parent's is of no use here
        pass("zbq");
        CHILD_CHECK(thrown_by([] { zbq::listener::from_systemd("other"); }) == status::none);
        {
            zbq::listener door = zbq::listener::from_systemd("zbq");
            CHILD_CHECK((fcntl(3, F_GETFD) & FD_CLOEXEC) != 0);
            CHILD_CHECK(connect_to(door, path_) == status::ok);
        }
        CHILD_CHECK(fs::exists(path_)); // it is systemd's
        return 0;
    });
    EXPECT_EQ(activated.wait(), 0);
}

TEST_F(Systemd, PassedToAnother) {
    setenv("LISTEN_PID", "1", 1);
    setenv("LISTEN_FDS", "1", 1);
    EXPECT_EQ(thrown_by([] { zbq::listener::from_systemd(); }), status::none);
    setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
    setenv("LISTEN_FDS", "0", 1);
    EXPECT_EQ(thrown_by([] { zbq::listener::from_systemd(); }), status::none);
}

TEST_F(Systemd, AnotherKindOfDescriptor) {
    zbq::unique_fd stream(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(thrown_by([&] { const zbq::listener door(std::move(stream)); }), status::invalid);
    zbq::unique_fd deaf(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    EXPECT_EQ(thrown_by([&] { const zbq::listener door(std::move(deaf)); }), status::invalid);
    EXPECT_EQ(thrown_by([] { const zbq::listener door{zbq::unique_fd()}; }), status::invalid);
}

} // namespace
