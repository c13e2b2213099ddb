// SPDX-License-Identifier: MIT
//
// Both ends of the rendezvous. The producer's thread is this one; whoever connects is a thread
// or a process.
#include "scm.hpp"
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
#include <sys/un.h>
#include <thread>

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
    ~Listener() override { fs::remove_all(directory_); }
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
    status connect_to(zbq::listener &door, const std::string &name,
                      const zbq::connect_options &options = {}) {
        return serve_until(
            door, std::async(std::launch::async, [&] { return try_to_connect(name, options); }));
    }

    // Waits for the listener's descriptor alone, and serves once.
    void serve_when_ready(zbq::listener &door) {
        pollfd polled = {door.event_fd(), POLLIN, 0};
        ASSERT_EQ(poll(&polled, 1, -1), 1);
        door.serve(ring_, [this](const zbq::newcomer &who) { decided_.push_back(who); });
    }
    static bool is_ready(const zbq::listener &door) {
        pollfd polled = {door.event_fd(), POLLIN, 0};
        return poll(&polled, 1, 0) == 1;
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
    options.accept = [](const zbq::peer &who) { return who.mode == zbq::wakeup::pull; };
    zbq::listener door(path_, options);
    EXPECT_EQ(connect_to(door, path_), status::refused);
    EXPECT_EQ(decided_.back().result, status::refused);
    zbq::connect_options pull;
    pull.mode = zbq::wakeup::pull;
    EXPECT_EQ(connect_to(door, path_, pull), status::ok);
    EXPECT_EQ(ring_.statistics().joined, 1U);
}

// ---- strangers ----

TEST_F(Listener, NonsenseIsRefused) {
    zbq::listener door(path_);
    for (const std::string &words :
         {std::string("zbq\1\2\0\0\0", 8), std::string("zbq\2\0\0\0\0", 8), std::string("zbq"),
          std::string("zbq\1\0\0\0\0\0", 9), std::string(1000, 'x')}) {
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
    EXPECT_TRUE(was_dropped(strangers[0]));
    EXPECT_TRUE(was_dropped(strangers[1]));
    EXPECT_FALSE(was_dropped(strangers[2]));
    EXPECT_FALSE(is_ready(door));
    EXPECT_EQ(connect_to(door, path_), status::ok);
}

TEST_F(Listener, TheFirstWordsMayComeLater) {
    zbq::listener_options options;
    options.patience = std::chrono::hours(1);
    zbq::listener door(path_, options);
    const zbq::unique_fd stranger = dial(path_);
    serve_when_ready(door);
    EXPECT_FALSE(is_ready(door));
    ASSERT_EQ(send(stranger.get(), "x", 1, 0), 1);
    serve_when_ready(door);
    char answer[8] = {};
    EXPECT_EQ(recv(stranger.get(), answer, sizeof answer, MSG_DONTWAIT), 8);
}

TEST_F(Listener, TheSlowAreDropped) {
    zbq::listener_options options;
    options.patience = std::chrono::milliseconds(20);
    zbq::listener door(path_, options);
    const zbq::unique_fd silent = dial(path_);
    while (!was_dropped(silent)) {
        serve_when_ready(door); // its descriptor tells when
    }
}

TEST_F(Listener, TheImpatientAreForgotten) {
    const test::leak_check leaks;
    zbq::listener door(path_);
    dial(path_).reset();
    serve_when_ready(door);
    EXPECT_FALSE(is_ready(door));
}

TEST_F(Listener, OutOfDescriptorsItPauses) {
    zbq::listener door(path_);
    const zbq::unique_fd stranger = dial(path_);
    {
        const test::descriptor_shortage shortage(0);
        ASSERT_TRUE(is_ready(door));
        door.serve(ring_);
        EXPECT_FALSE(is_ready(door)); // though somebody waits
    }
    EXPECT_EQ(connect_to(door, path_), status::ok);
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
                         const std::vector<gid_t> &more = {}) {
        zbq::connect_options options;
        options.producers = {0};
        test::child other([&] { return connect_as(stranger, gid, more, name, options); });
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

TEST_F(OtherUsers, AnAbstractNameOfSomebodyElse) {
    const std::string name = "@zbq-test-squat-" + std::to_string(getpid());
    const test::step_pipe ready;
    test::child squatter([&] {
        CHILD_CHECK(setuid(stranger) == 0);
        const zbq::listener door(name);
        ready.send(1);
        pause();
        return 0;
    });
    ready.receive();
    EXPECT_EQ(try_to_connect(name), status::refused);
    zbq::connect_options options;
    options.producers = {stranger};
    EXPECT_EQ(try_to_connect(name, options, zbq::in(std::chrono::milliseconds(10))), status::again);
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
