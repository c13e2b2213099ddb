// SPDX-License-Identifier: MIT
#include "stage.hpp"

#include "messages.hpp"
#include "support/descriptors.hpp"
#include "support/leaks.hpp"
#include "zbq/listener.hpp"

#include <functional>
#include <unistd.h>

namespace hostile {

namespace {

constexpr std::uint64_t second = 1000 * test::ms;
constexpr std::uint64_t honest = 2;

zbq::producer_options ring_options(const arena_options &options) {
    zbq::producer_options chosen;
    chosen.capacity = options.capacity;
    chosen.stall_timeout = std::chrono::nanoseconds(options.stall_timeout_ns);
    chosen.max_consumers = most_attackers + honest;
    return chosen;
}

void lose_attackers(board *shared) {
    shared->now = over;
    wait_for(shared, gone);
}

class stage {
public:
    explicit stage(const play &what)
        : play_(what), options_(what.options), ring_(ring_options(what.options)),
          door_(what.name, door_options()), result_(what.shared->result) {
        watch_.on = options_.timed;
    }
    void admit_honest();
    void perform();
    void settle();
    void end();

private:
    zbq::listener_options door_options();
    void serve();
    void scan();
    void look_around();
    void wait_for_room();
    bool try_hard(const std::function<int()> &attempt);
    int reserve(std::uint64_t bytes, zbq_contiguous_run *run);
    int broadcast(std::uint64_t seq_id);
    bool publish(std::uint8_t flags);
    void publish_while(const std::function<bool()> &goes_on);

    [[nodiscard]] std::uint64_t least_steps() const;
    [[nodiscard]] bool is_over() const;
    [[nodiscard]] zbq_producer_statistics stats() { return test::stats(ring_.get()); }
    [[nodiscard]] std::uint64_t evicted() { return stats().evicted[0]; }
    [[nodiscard]] bool is_settled() {
        return stats().consumers <= honest && test::open_descriptors() <= descriptors_;
    }

    const play &play_;
    const arena_options &options_;
    zbq::producer ring_;
    zbq::listener door_;
    unique_fd enclosed_ = test::numbered(0);
    std::size_t descriptors_ = 0; // with the honest alone
    std::size_t mappings_ = 0;
    stopwatch watch_;
    outcome &result_;
    std::uint64_t number_ = 0; // of the next message
    std::uint64_t started_ = 0;
    std::function<bool()> gives_up_; // what waits for room
};

zbq::listener_options stage::door_options() {
    zbq::listener_options chosen;
    chosen.users = {play_.attacker};
    if (options_.refuses_evicted) {
        chosen.accept = [this](const zbq::peer &who, zbq::terms & /*given*/) {
            const zbq_producer_statistics counters = stats();
            return who.uid != play_.attacker ||
                   counters.evicted[0] == counters.evicted[ZBQ_EVICTION_DEAD];
        };
    }
    return chosen;
}

void stage::admit_honest() {
    const std::uint64_t since = zbq::core::monotonic_ns();
    // And until they have announced themselves: the producer has a witness of each from then on.
    while (stats().consumers != honest || test::info(ring_.get(), 0).pid == 0 ||
           test::info(ring_.get(), 1).pid == 0) {
        CHILD_CHECK(zbq::core::monotonic_ns() - since < 100 * second);
        pollfd polled = {door_.event_fd(), POLLIN, 0};
        poll(&polled, 1, 1);
        serve();
        scan();
    }
    (void)ring_.event_fd(); // it is made at first use
    descriptors_ = test::open_descriptors();
    mappings_ = test::zbq_mappings();
}

// The patience with an attacker: it runs out within a run.
void stage::serve() {
    constexpr zbq_patience some = {20 * test::ms, 20 * test::ms};
    door_.serve(ring_, [this, &some](const zbq::newcomer &decided) {
        if (options_.patient && decided.result == zbq::status::ok &&
            decided.who.uid == play_.attacker) {
            zbq_producer_set_patience(ring_.get(), decided.slot, &some);
        }
    });
}

void stage::scan() {
    watch_.time_evictions([this] { return evicted(); },
                          [this] { return zbq_producer_scan(ring_.get()); });
}

void stage::look_around() {
    pollfd polled = {door_.event_fd(), POLLIN, 0};
    if (poll(&polled, 1, 0) > 0) {
        serve();
    }
}

void stage::wait_for_room() {
    pollfd polled[] = {{ring_.event_fd(), POLLIN, 0}, {door_.event_fd(), POLLIN, 0}};
    poll(polled, 2, 1000);
    if (polled[1].revents != 0) {
        serve();
    }
}

// false: given up.
bool stage::try_hard(const std::function<int()> &attempt) {
    int result = attempt();
    if (result == ZBQ_OK) {
        return true;
    }
    const std::uint64_t since = zbq::core::monotonic_ns();
    while (result == ZBQ_ERROR_AGAIN && !gives_up_()) {
        wait_for_room();
        result = attempt();
    }
    const std::uint64_t waited = zbq::core::monotonic_ns() - since;
    result_.longest_wait_ns = std::max(result_.longest_wait_ns, waited);
    result_.check(result == ZBQ_OK || result == ZBQ_ERROR_AGAIN, "the producer was given an error");
    return result == ZBQ_OK;
}

int stage::reserve(std::uint64_t bytes, zbq_contiguous_run *run) {
    return watch_.time_evictions([this] { return evicted(); },
                                 [&] { return zbq_producer_reserve(ring_.get(), bytes, run); });
}

int stage::broadcast(std::uint64_t seq_id) {
    return watch_.time_beside_evictions(
        a_record, [this] { return evicted(); },
        [&] {
            const int fd = enclosed_.get();
            return zbq_producer_broadcast_fds(ring_.get(), seq_id, &fd, 1);
        });
}

bool stage::publish(std::uint8_t flags) {
    const std::uint64_t size = sizeof(zbq_msg_header) + 8 * words_of(number_);
    const std::uint64_t rounded = (size + 15) / 16 * 16;
    zbq_contiguous_run run = {};
    if (!try_hard([&] { return reserve(rounded, &run); })) {
        return false;
    }
    std::uint64_t seq_id = 0;
    if (has_record(number_)) {
        seq_id = zbq_producer_next_seq_id(ring_.get());
        if (!try_hard([&] { return broadcast(seq_id); })) {
            return false;
        }
    }
    write_message(run.base, number_, seq_id, flags);
    const bool done = watch_.time(
        a_commit, [&] { return zbq_producer_commit(ring_.get(), rounded, ZBQ_COMMIT_NONE); });
    result_.check(done, "a commit was refused");
    ++number_;
    return true;
}

void stage::publish_while(const std::function<bool()> &goes_on) {
    constexpr std::uint64_t messages_per_look = 64;
    constexpr std::uint64_t messages_per_scan = 4096;
    gives_up_ = [&] { return !goes_on(); };
    while (publish(0)) {
        if (number_ % messages_per_scan == 0) {
            scan();
        }
        if (number_ % messages_per_look == 0) {
            look_around();
            if (!goes_on()) {
                return;
            }
        }
    }
}

std::uint64_t stage::least_steps() const {
    std::uint64_t least = UINT64_MAX;
    for (std::size_t i = 0; i < play_.who.size(); ++i) {
        least = std::min(least, play_.shared->steps[i].load(std::memory_order_relaxed));
    }
    return least;
}

bool stage::is_over() const {
    return number_ >= options_.messages && least_steps() >= options_.steps &&
           zbq::core::monotonic_ns() - started_ >= options_.nanoseconds;
}

void stage::perform() {
    play_.shared->now = attacked;
    const std::uint64_t longest_start = zbq::core::monotonic_ns() + 3 * second;
    publish_while([&] { return least_steps() == 0 && zbq::core::monotonic_ns() < longest_start; });
    const std::uint64_t before = number_;
    const std::uint64_t wakes = stats().wakes;
    result_.longest_wait_ns = 0;
    started_ = zbq::core::monotonic_ns();
    publish_while([this] { return !is_over(); });
    result_.seconds = static_cast<double>(zbq::core::monotonic_ns() - started_) / 1e9;
    result_.messages = number_ - before;
    result_.counters = stats();
    result_.counters.wakes -= wakes;
    for (std::size_t i = 0; i < play_.who.size(); ++i) {
        result_.steps += play_.shared->steps[i].load();
    }
}

// The attackers are killed; what they have left is found and let go of.
void stage::settle() {
    lose_attackers(play_.shared);
    const std::uint64_t since = zbq::core::monotonic_ns();
    while (!is_settled() && zbq::core::monotonic_ns() - since < 60 * second) {
        scan();
        look_around();
        usleep(1000);
    }
    result_.check(stats().consumers == honest, "it is not the honest alone who are left");
    result_.check(test::open_descriptors() == descriptors_, "descriptors were lost");
    result_.check(test::zbq_mappings() == mappings_, "mappings leaked");
}

void stage::end() {
    const std::uint64_t since = zbq::core::monotonic_ns();
    gives_up_ = [since] { return zbq::core::monotonic_ns() - since > 60 * second; };
    result_.check(publish(last_message), "the last message was not published");
    watch_.time(the_end, [this] {
        const zbq::producer ended = std::move(ring_);
        return true;
    });
    std::copy(std::begin(watch_.longest_ns), std::end(watch_.longest_ns), result_.longest_ns);
}

} // namespace

int produce(const play &what) {
    const std::size_t descriptors = test::open_descriptors();
    {
        stage played(what);
        played.admit_honest();
        played.perform();
        if (!what.options.ends_attacked) {
            played.settle();
        }
        played.end();
        if (what.options.ends_attacked) {
            lose_attackers(what.shared);
        }
    }
    what.shared->result.check(test::open_descriptors() == descriptors && test::zbq_mappings() == 0,
                              "something is left behind");
    return 0;
}

} // namespace hostile
