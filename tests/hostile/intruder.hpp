// SPDX-License-Identifier: MIT
//
// A consumer without the library: it has the descriptors and mappings of a join, and does with
// them what it likes. All that knows of the shared memory's words is here.
#pragma once

#include "support/rig.hpp"

#include <array>
#include <atomic>
#include <string>

namespace hostile {

using test::unique_fd;

// Where the attack goes, and how far it has come.
struct target {
    std::string name;                            // of the producer's listener, abstract
    std::atomic<std::uint64_t> *steps = nullptr; // shared with the producer's process
};

// In the order of the join.
enum place : std::size_t {
    control_place,
    ring_place,
    page_place,
    side_place,
    pidfd_place,
    event_place,
    places
};

class intruder {
public:
    explicit intruder(target where) : where_(std::move(where)) {}
    intruder(const intruder &) = delete;
    intruder &operator=(const intruder &) = delete;
    ~intruder() { leave(); }

    // Leaves, and tries until it has a slot again; says that it has, unless asked not to.
    void join(bool announces = true);
    void stay(); // joins where it has no slot, or no more
    void leave();
    // Whether the producer has closed its end of the event channel.
    [[nodiscard]] bool is_evicted() const;
    void count_step() { where_.steps->fetch_add(1, std::memory_order_relaxed); }

    // As an honest consumer that is never behind: everything released, everything collected.
    void keep_up();
    void collect() const;     // what lies in its sockets, to drop it
    void collect_one() const; // a record of descriptors

    // Connected to the listener, with nothing said yet. Tries until it is.
    [[nodiscard]] unique_fd dial() const;

    std::array<unique_fd, places> fds;
    zbq_join_payload payload = {};
    const zbq_control_region *control = nullptr;
    zbq_consumer_metadata *page = nullptr;
    bool keeps_mappings = false; // when it leaves
    bool observes = false;       // asks to be an observer

    [[nodiscard]] int control_fd() const { return fds[control_place].get(); }
    [[nodiscard]] int ring_fd() const { return fds[ring_place].get(); }
    [[nodiscard]] int page_fd() const { return fds[page_place].get(); }
    [[nodiscard]] int side() const { return fds[side_place].get(); }
    [[nodiscard]] int event() const { return fds[event_place].get(); }

    [[nodiscard]] std::uint64_t head() const;
    [[nodiscard]] std::uint64_t tail() const { return tail_; }
    [[nodiscard]] std::uint64_t behind() const { return head() - tail_; }
    void set_tail(std::uint64_t tail); // and rings if that was awaited
    void set_tail_silently(std::uint64_t tail);
    void ring() const;
    [[nodiscard]] useconds_t part_of_timeout(double part) const; // for it to stall

    // Where it would sleep, and what else one can sleep on. Also for its other threads.
    [[nodiscard]] std::uint32_t *word() const { return word_.load(std::memory_order_acquire); }
    [[nodiscard]] const std::uint32_t *word_of_place(std::size_t place) const;
    [[nodiscard]] const std::uint32_t *bell() const {
        return bell_.load(std::memory_order_acquire);
    }
    void park(std::uint32_t how) const { __atomic_store_n(word(), how, __ATOMIC_SEQ_CST); }

private:
    void announce() const;
    bool try_join();
    void map();
    void unmap();

    target where_;
    void *ring_ = nullptr;
    std::uint64_t tail_ = 0;
    std::atomic<std::uint32_t *> word_ = nullptr;
    std::atomic<const std::uint32_t *> bell_ = nullptr;
};

} // namespace hostile
