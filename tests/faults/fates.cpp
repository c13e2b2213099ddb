// SPDX-License-Identifier: MIT
#include "fates.hpp"

#include "consumer.hpp"
#include "support/leaks.hpp"
#include "support/process.hpp"

#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <unistd.h>

namespace faults {

using test::unique_fd;

std::string_view name_of(fate what) {
    constexpr std::string_view names[fates] = {"survivor", "killed",  "stopped",
                                               "executes", "starved", "hoarder",
                                               "closer",   "leaver",  "half-joined"};
    return names[static_cast<std::size_t>(what)];
}

// ---- what is drawn ----

std::uint64_t below(dice *from, std::uint64_t bound) {
    return (*from)() % bound;
}

dice dice_of(std::uint64_t seed, std::uint64_t round) {
    return dice(mixed(seed) ^ mixed(~round));
}

plan draw_survivor(dice *from) {
    constexpr std::uint64_t batches[] = {1, 3, 20, 200};
    plan drawn;
    drawn.habits.waits = static_cast<waiting>(below(from, 3));
    drawn.habits.walks = static_cast<walking>(below(from, 3));
    drawn.habits.batch = batches[below(from, 4)];
    return drawn;
}

namespace {

plan draw_any(dice *from) {
    plan drawn = draw_survivor(from);
    drawn.what = static_cast<fate>(below(from, fates));
    drawn.starts_after_ns = below(from, 10 * test::ms);
    drawn.acts_once_joined = below(from, 2) == 0;
    drawn.acts_after_ns = below(from, 8 * test::ms);
    drawn.acts_after_messages = below(from, 2000);
    drawn.spare_descriptors = static_cast<unsigned>(below(from, 3));
    drawn.closes = static_cast<victim>(below(from, victims));
    if (drawn.what == fate::stopped) { // so that the stop hits it in the middle of a message
        drawn.habits.lingers_ns = below(from, test::ms / 2);
    }
    if (drawn.what == fate::hoarder || drawn.what == fate::starved) { // in pull mode they get none
        drawn.habits.waits = static_cast<waiting>(below(from, 2));
    }
    return drawn;
}

} // namespace

std::vector<plan> draw_churn(dice *from) {
    std::vector<plan> drawn = {draw_survivor(from)};
    for (std::uint64_t others = 3 + below(from, 5); others != 0; --others) {
        drawn.push_back(draw_any(from));
    }
    return drawn;
}

// ---- what is lived ----

namespace {

zbq_wakeup_mode mode_of(const plan &what) {
    return what.habits.waits == waiting::spins ? ZBQ_WAKEUP_PULL : ZBQ_WAKEUP_PUSH;
}

// Checks that nothing is left of what the library had in this process before, and stays
// until it is told that it was evicted: only its side socket can have shown that.
int execute(const life &mine, std::size_t own_descriptors) {
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, nullptr);
    const int fd = mine.board->fd();
    fcntl(fd, F_SETFD, 0);
    const std::string words[] = {"zbq-faults", std::string(after_exec_word),
                                 std::to_string(own_descriptors), std::to_string(fd),
                                 std::to_string(mine.account)};
    const char *arguments[] = {words[0].c_str(), words[1].c_str(), words[2].c_str(),
                               words[3].c_str(), words[4].c_str(), nullptr};
    execv("/proc/self/exe", const_cast<char *const *>(arguments)); // which only reads them
    return 98;
}

std::size_t surviving_descriptors() {
    std::size_t count = 0;
    for (int fd = 0; fd < 1024; ++fd) {
        const int flags = fcntl(fd, F_GETFD);
        count += flags >= 0 && (flags & FD_CLOEXEC) == 0 ? 1U : 0U;
    }
    return count;
}

// The library goes on with a number that is no descriptor, or another's.
void close_under(zbq_consumer *cons, victim what) {
    const int fds[victims] = {cons->side.get(), cons->event.get(), cons->producer.get(),
                              cons->watch.get(), -1};
    close(fds[static_cast<std::size_t>(what)]);
}

void be_starved(reader *self, const plan &what, account *own) {
    if (self->read(what.acts_after_messages)) {
        const test::descriptor_shortage none(what.spare_descriptors);
        self->lacks_room = true;
        for (int tries = 0; own->refused_records == 0 && tries < 100 && self->read(50); ++tries) {
        }
    }
    self->lacks_room = false;
    own->acted = true;
    self->read_to_end();
}

void be_closer(zbq_consumer *cons, reader *self, const plan &what, account *own) {
    if (self->read(what.acts_after_messages % 200)) {
        close_under(cons, what.closes);
        self->is_broken = true;
    }
    own->acted = true;
    self->read_to_end();
    int fds[ZBQ_MAX_FD_PER_MSG];
    std::uint8_t count = 0;
    const int result = zbq_consumer_recv_fds(cons, UINT64_MAX, fds, &count);
    CHILD_CHECK(self->is_broken && what.closes == victim::side && mode_of(what) == ZBQ_WAKEUP_PUSH
                    ? result == ZBQ_ERROR_IO
                    : result < 0);
}

int live_joined(const life &mine, zbq_consumer *cons, std::size_t own_descriptors) {
    account *own = &(*mine.board)->accounts[mine.account];
    reader self(cons, mine.seed, mine.what.habits, own);
    own->joined = true;
    switch (mine.what.what) {
    case fate::starved:
        be_starved(&self, mine.what, own);
        break;
    case fate::closer:
        be_closer(cons, &self, mine.what, own);
        break;
    case fate::executes:
        if (self.read(mine.what.acts_after_messages % 500)) {
            return execute(mine, own_descriptors);
        }
        break;
    case fate::leaver:
        break;
    default:
        self.collects = mine.what.what != fate::hoarder;
        own->acted = true;
        self.read_to_end();
        break;
    }
    return 0;
}

bool closes_rendezvous(const plan &what) {
    return what.what == fate::closer && what.closes == victim::rendezvous;
}

} // namespace

int live(const life &mine) {
    const std::size_t own_descriptors = surviving_descriptors();
    const zbq_wakeup_mode mode = mode_of(mine.what);
    unique_fd rendezvous = connect_to(mine.where, {mine.account, static_cast<std::uint32_t>(mode)});
    account *own = &(*mine.board)->accounts[mine.account];
    if (mine.what.what == fate::half_joined) {
        raise(SIGKILL);
    }
    if (closes_rendezvous(mine.what)) {
        close(rendezvous.get());
    }
    zbq_consumer *cons = nullptr;
    const int result = zbq_consumer_join(rendezvous.get(), mode, &cons);
    if (closes_rendezvous(mine.what)) {
        CHILD_CHECK(result == ZBQ_ERROR_INVALID);
        return 0;
    }
    if (mine.producer_may_die && result != ZBQ_OK) {
        CHILD_CHECK(result == (rendezvous ? ZBQ_ERROR_IO : ZBQ_ERROR_INVALID));
        own->end = ending::not_joined;
        return 0;
    }
    CHILD_CHECK(result == ZBQ_OK);
    rendezvous.reset();
    const int status = live_joined(mine, cons, own_descriptors);
    zbq_consumer_destroy(cons);
    CHILD_CHECK(test::zbq_mappings() == 0);
    return status;
}

int after_exec(int argc, char **argv) {
    CHILD_CHECK(argc == 5);
    test::start_watchdog();
    const std::size_t expected = std::strtoul(argv[2], nullptr, 10) + 1; // the board's
    CHILD_CHECK(surviving_descriptors() == expected);
    CHILD_CHECK(test::open_descriptors() == expected);
    CHILD_CHECK(test::zbq_mappings() == 0);
    board *shared = map_board(static_cast<int>(std::strtol(argv[3], nullptr, 10)));
    CHILD_CHECK(shared != nullptr);
    account *own = &shared->accounts[std::strtoul(argv[4], nullptr, 10)];
    own->gone_at = now_ns();
    own->acted = true;
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    int number = 0;
    sigwait(&term, &number);
    return 0;
}

} // namespace faults
