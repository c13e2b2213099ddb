// SPDX-License-Identifier: MIT
#include "arena.hpp"

#include "messages.hpp"
#include "support/descriptors.hpp"
#include "support/leaks.hpp"
#include "support/process.hpp"
#include "zbq/connect.hpp"
#include "zbq/listener.hpp"

#include <csignal>
#include <grp.h>
#include <memory>
#include <new>
#include <sys/mman.h>
#include <sys/prctl.h>

namespace hostile {

namespace {

constexpr std::uint64_t capacity = 1U << 20U;
constexpr uid_t stranger = 61234;

// ---- the honest ----

// Says why before it ends: the check would not.
void check_going_on(const zbq_consumer *cons, int result) {
    if (result != ZBQ_OK && result != ZBQ_ERROR_AGAIN) {
        std::uint32_t reason = 0;
        const zbq_ending ending = zbq_consumer_ending(cons, &reason);
        std::fprintf(stderr, "an honest consumer: %s, ending %d, %s\n", zbq_strerror(result),
                     ending, zbq_strevict(reason));
        _exit(1);
    }
}

void collect_record(zbq_consumer *cons, const zbq_msg_header &header) {
    const test::collected record = test::collect(cons, header.seq_id);
    CHILD_CHECK(record.result == ZBQ_OK);
    CHILD_CHECK(record.numbers == std::vector<std::uint64_t>{0});
}

// Takes a batch, releases it with one publish. Whether the last message was among them.
bool read_batch(zbq_consumer *cons, std::uint64_t *expected) {
    constexpr int most = 64;
    zbq_msg_view view = {};
    bool last = false;
    std::uint64_t end = zbq_consumer_tail(cons);
    int result = ZBQ_OK;
    for (int i = 0; i < most && (result = zbq_consumer_next(cons, &view)) == ZBQ_OK; ++i) {
        CHILD_CHECK(is_message(view, *expected));
        CHILD_CHECK((view.header->fd_count != 0) == has_record(*expected));
        if (view.header->fd_count != 0) {
            collect_record(cons, *view.header);
        }
        ++*expected;
        last = (view.header->flags & last_message) != 0;
        end = view.logical_offset + view.total_len;
    }
    check_going_on(cons, result);
    CHILD_CHECK(zbq_consumer_valid(cons));
    zbq_consumer_publish(cons, end);
    return last;
}

void sleep_on_bell(zbq_consumer *cons, std::uint64_t next) {
    const std::uint32_t token = zbq_consumer_get_futex_token(cons);
    if (zbq_consumer_acquire_head(cons) == next) {
        const int result = zbq_consumer_wait_broadcast(cons, token);
        check_going_on(cons, result);
    }
}

void sleep_in_poll(zbq_consumer *cons) {
    pollfd polled = {zbq_consumer_event_fd(cons), POLLIN, 0};
    CHILD_CHECK(poll(&polled, 1, -1) == 1);
}

int read_stream(const std::string &name, bool polls) {
    const zbq::consumer reader = zbq::connect(name, zbq::never);
    zbq_consumer *cons = reader.get();
    CHILD_CHECK(!polls || zbq_consumer_event_fd(cons) >= 0);
    std::uint64_t expected = 0;
    for (;;) {
        const std::uint64_t before = expected;
        if (read_batch(cons, &expected)) {
            return 0;
        }
        if (expected != before) {
            continue;
        }
        if (polls) {
            sleep_in_poll(cons);
        } else {
            sleep_on_bell(cons, zbq_consumer_tail(cons));
        }
    }
}

// ---- the attacker ----

// A stranger in rights too, where this process can make one.
void become_stranger() {
    if (geteuid() == 0) {
        CHILD_CHECK(setgroups(0, nullptr) == 0 && setgid(stranger) == 0 && setuid(stranger) == 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL); // which the change has cleared,
        prctl(PR_SET_DUMPABLE, 1);        // and this, without which /proc/self/fd is root's
    }
}

// ---- the producer ----

class counter {
public:
    counter()
        : steps_(new (mmap(nullptr, sizeof(std::atomic<std::uint64_t>), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0)) std::atomic<std::uint64_t>(0)) {}
    counter(const counter &) = delete;
    counter &operator=(const counter &) = delete;
    ~counter() { munmap(steps_, sizeof *steps_); }
    [[nodiscard]] std::atomic<std::uint64_t> *get() const { return steps_; }

private:
    std::atomic<std::uint64_t> *steps_;
};

zbq::producer_options ring_options(const arena_options &options) {
    zbq::producer_options chosen;
    chosen.capacity = capacity;
    chosen.stall_timeout = std::chrono::nanoseconds(options.stall_timeout_ns);
    chosen.max_consumers = 8;
    return chosen;
}

zbq::listener_options door_options() {
    zbq::listener_options options;
    options.users = {stranger};
    return options;
}

std::string fresh_name() {
    static int number = 0;
    return "@zbq-hostile-" + std::to_string(getpid()) + "-" + std::to_string(++number);
}

// The processes. Made before the producer, so that they inherit nothing of it.
struct cast {
    cast(const attack &what, const std::string &name)
        : first([&name] { return read_stream(name, false); }),
          second([&name] { return read_stream(name, true); }), attacker([this, &what, &name] {
              (void)start.receive();
              become_stranger();
              intruder in({name, steps.get()});
              what.body(in);
              return 0;
          }) {}

    counter steps;
    test::step_pipe start;
    test::child first;
    test::child second;
    test::child attacker;
};

class stage {
public:
    stage(const attack &what, const arena_options &options)
        : attack_(what), options_(options), name_(fresh_name()), cast_(what, name_),
          ring_(ring_options(options)), door_(name_, door_options()) {}
    outcome run();

private:
    void admit();
    void perform();
    void settle();
    void end();

    void look_around();
    void wait_for_room();
    bool is_over();
    bool publish(std::uint8_t flags);
    bool try_hard(const std::function<int()> &attempt);
    void check(bool condition, const char *harm);
    zbq_producer_statistics stats() { return test::stats(ring_.get()); }

    const attack &attack_;
    arena_options options_;
    std::string name_;
    cast cast_;
    zbq::producer ring_;
    zbq::listener door_;
    unique_fd enclosed_ = test::numbered(0);
    outcome outcome_;
    std::uint64_t started_ = 0;
    bool attacked_ = true;
};

void stage::check(bool condition, const char *harm) {
    if (!condition) {
        outcome_.harm.emplace_back(harm);
    }
}

void stage::admit() {
    while (stats().consumers != 2) {
        pollfd polled = {door_.event_fd(), POLLIN, 0};
        poll(&polled, 1, -1);
        door_.serve(ring_);
    }
    // And until they have announced themselves: the producer has a witness of each from then on.
    while (test::info(ring_.get(), 0).pid == 0 || test::info(ring_.get(), 1).pid == 0) {
        zbq_producer_scan(ring_.get());
        usleep(100);
    }
}

void stage::look_around() {
    pollfd polled = {door_.event_fd(), POLLIN, 0};
    if (poll(&polled, 1, 0) > 0) {
        door_.serve(ring_);
    }
}

void stage::wait_for_room() {
    pollfd polled[] = {{ring_.event_fd(), POLLIN, 0}, {door_.event_fd(), POLLIN, 0}};
    poll(polled, 2, -1);
    if (polled[1].revents != 0) {
        door_.serve(ring_);
    }
}

bool stage::is_over() {
    if (!attacked_) {
        return false;
    }
    const std::uint64_t steps = cast_.steps.get()->load(std::memory_order_relaxed);
    return (attack_.holds || outcome_.messages >= options_.messages) && steps >= options_.steps &&
           zbq::core::monotonic_ns() - started_ >= options_.nanoseconds;
}

// false: the time was over first.
bool stage::try_hard(const std::function<int()> &attempt) {
    int result = attempt();
    if (result == ZBQ_OK) {
        return true;
    }
    const std::uint64_t since = zbq::core::monotonic_ns();
    while (result == ZBQ_ERROR_AGAIN && !is_over()) {
        wait_for_room();
        result = attempt();
    }
    const std::uint64_t waited = zbq::core::monotonic_ns() - since;
    outcome_.longest_wait_ns = std::max(outcome_.longest_wait_ns, waited);
    check(result == ZBQ_OK || result == ZBQ_ERROR_AGAIN, "the producer was given an error");
    return result == ZBQ_OK;
}

bool stage::publish(std::uint8_t flags) {
    const std::uint64_t number = outcome_.messages;
    const std::uint64_t size = sizeof(zbq_msg_header) + 8 * words_of(number);
    const std::uint64_t rounded = (size + 15) / 16 * 16;
    zbq_contiguous_run run = {};
    zbq_producer *prod = ring_.get();
    if (!try_hard([&] { return zbq_producer_reserve(prod, rounded, &run); })) {
        return false;
    }
    std::uint64_t seq_id = 0;
    if (has_record(number)) {
        seq_id = zbq_producer_next_seq_id(prod);
        const int fd = enclosed_.get();
        if (!try_hard([&] { return zbq_producer_broadcast_fds(prod, seq_id, &fd, 1); })) {
            return false;
        }
    }
    write_message(run.base, number, seq_id, flags);
    check(zbq_producer_commit(prod, rounded, ZBQ_COMMIT_NONE), "a commit was refused");
    ++outcome_.messages;
    outcome_.bytes += rounded;
    return true;
}

void stage::perform() {
    constexpr std::uint64_t messages_per_look = 64;
    constexpr std::uint64_t messages_per_scan = 4096;
    started_ = zbq::core::monotonic_ns();
    cast_.start.send(1);
    for (bool goes_on = true; goes_on;) {
        goes_on = publish(0);
        if (outcome_.messages % messages_per_look == 0) {
            look_around();
            goes_on = goes_on && !is_over();
        }
        if (outcome_.messages % messages_per_scan == 0) {
            check(zbq_producer_scan(ring_.get()) == ZBQ_OK, "a scan failed");
        }
    }
    outcome_.seconds = static_cast<double>(zbq::core::monotonic_ns() - started_) / 1e9;
    outcome_.steps = cast_.steps.get()->load();
}

// The attacker is killed; what it has left is found and let go of.
void stage::settle() {
    cast_.attacker.signal(SIGKILL);
    check(cast_.attacker.wait() == 128 + SIGKILL, "the attacker ended by itself");
    attacked_ = false;
}

void stage::end() {
    check(publish(last_message), "the last message was not published");
    outcome_.counters = stats();
    check(attack_.evicted_for == ZBQ_EVICTION_NONE ||
              outcome_.counters.evicted[attack_.evicted_for] != 0,
          "the attacker was not evicted for what it did");
    check(cast_.first.wait() == 0, "who sleeps on the bell lost something");
    check(cast_.second.wait() == 0, "who polls lost something");
}

outcome stage::run() {
    (void)ring_.event_fd();
    admit();
    const std::size_t descriptors = test::open_descriptors();
    const std::size_t mappings = test::zbq_mappings();
    perform();
    settle();
    while (stats().consumers > 2 || test::open_descriptors() > descriptors) { // a hang is a leak
        zbq_producer_scan(ring_.get());
        look_around();
        usleep(1000);
    }
    check(stats().consumers == 2, "an honest consumer was evicted");
    check(test::open_descriptors() == descriptors, "descriptors were lost");
    check(test::zbq_mappings() == mappings, "mappings leaked");
    end();
    return outcome_;
}

} // namespace

outcome run(const attack &what, const arena_options &options) {
    test::start_watchdog();
    const std::size_t descriptors = test::open_descriptors();
    outcome result = stage(what, options).run();
    if (test::open_descriptors() != descriptors || test::zbq_mappings() != 0) {
        result.harm.emplace_back("something is left behind");
    }
    return result;
}

} // namespace hostile
