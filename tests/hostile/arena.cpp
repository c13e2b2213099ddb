// SPDX-License-Identifier: MIT
#include "arena.hpp"

#include "honest.hpp"
#include "stage.hpp"

#include <csignal>
#include <cstring>
#include <grp.h>
#include <memory>
#include <new>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace hostile {

void outcome::check(bool condition, const char *otherwise) {
    const std::size_t used = std::strlen(harm);
    if (!condition && used + std::strlen(otherwise) + 2 < sizeof harm) {
        std::strcat(std::strcat(harm, otherwise), "\n");
    }
}

namespace {

// Neither is root, nor the one that the kernel shows where it knows nobody (65534).
constexpr uid_t attacking_user = 65533;
constexpr uid_t publishing_user = 65532;

uid_t or_own(uid_t user) {
    return geteuid() == 0 ? user : geteuid();
}

// Where this process can: another user. And in any case the limits of most.
void become(uid_t user) {
    const rlimit descriptors = {1024, 1024};
    CHILD_CHECK(setrlimit(RLIMIT_NOFILE, &descriptors) == 0);
    if (user != geteuid()) {
        CHILD_CHECK(setgroups(0, nullptr) == 0 && setresgid(user, user, user) == 0 &&
                    setresuid(user, user, user) == 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL); // which the change has cleared,
        prctl(PR_SET_DUMPABLE, 1);        // and this, without which /proc/self/fd is root's
    }
}

struct unmapped {
    void operator()(board *shared) const { munmap(shared, sizeof *shared); }
};
using shared_board = std::unique_ptr<board, unmapped>;

shared_board make_board() {
    void *memory =
        mmap(nullptr, sizeof(board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared_board(new (memory) board);
}

std::string fresh_name() {
    static int number = 0;
    return "@zbq-hostile-" + std::to_string(getpid()) + "-" + std::to_string(++number);
}

// The processes. The attackers inherit nothing of the ring.
class cast {
public:
    cast(const attackers &who, const arena_options &options)
        : play_{who, options, fresh_name(), or_own(attacking_user), board_.get()} {
        for (std::size_t i = 0; i < who.size(); ++i) {
            attackers_.push_back(
                std::make_unique<test::child>([this, i] { return be_attacker(i); }));
        }
    }

    outcome run() {
        while (board_->now < over && !producer_.has_ended()) {
            usleep(500);
            excuse_ended();
        }
        kill_attackers();
        board_->now = gone;
        check(producer_.wait() == 0, "the producer was ended");
        check(sleeper_.wait() == 0, "who sleeps on its futex lost something");
        check(poller_.wait() == 0, "who polls lost something");
        return board_->result;
    }

private:
    int be_honest(sleep_in how) {
        become(or_own(publishing_user));
        return read_stream(play_.name, how);
    }
    int be_producer() {
        become(or_own(publishing_user));
        return produce(play_);
    }
    int be_attacker(std::size_t number) {
        wait_for(board_.get(), attacked);
        become(or_own(attacking_user));
        intruder in({play_.name, &board_->steps[number]});
        const attack &what = *play_.who[number];
        in.observes = what.observes;
        what.body(in, what.amount);
        return 0;
    }

    // Who has ended by itself is not waited for.
    void excuse_ended() {
        constexpr std::uint64_t enough = std::uint64_t{1} << 40U;
        for (std::size_t i = 0; i < attackers_.size(); ++i) {
            if (attackers_[i]->has_ended()) {
                board_->steps[i] = enough;
            }
        }
    }
    void kill_attackers() {
        for (const auto &attacker : attackers_) {
            attacker->signal(SIGKILL);
            check(attacker->wait() == 128 + SIGKILL, "an attacker ended by itself");
        }
    }
    void check(bool condition, const char *otherwise) {
        board_->result.check(condition, otherwise);
    }

    shared_board board_ = make_board();
    play play_;
    test::child sleeper_{[this] { return be_honest(sleep_in::futex); }};
    test::child poller_{[this] { return be_honest(sleep_in::poll); }};
    test::child producer_{[this] { return be_producer(); }};
    std::vector<std::unique_ptr<test::child>> attackers_;
};

} // namespace

outcome run(const attackers &who, const arena_options &options) {
    return cast(who, options).run();
}

} // namespace hostile
