// SPDX-License-Identifier: MIT
//
// A consumer without the library: it has the descriptors and mappings of a join, and does with
// them what it likes.
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

class intruder {
public:
    explicit intruder(target where) : where_(std::move(where)) {}
    intruder(const intruder &) = delete;
    intruder &operator=(const intruder &) = delete;
    ~intruder() { leave(); }

    // Leaves, and tries until it has a slot again.
    void join(zbq_wakeup_mode mode = ZBQ_WAKEUP_PUSH);
    void leave();
    // Closes the descriptors alone.
    void leave_with_mappings();
    // Whether the producer has closed its end.
    [[nodiscard]] bool is_evicted() const;
    // As an honest consumer that is never behind: everything released, everything collected.
    void keep_up();
    void collect() const; // what lies in its sockets, to drop it
    void announce() const;
    void count_step() { where_.steps->fetch_add(1, std::memory_order_relaxed); }

    // Connected to the listener, with nothing said yet. Tries until it is.
    [[nodiscard]] unique_fd dial() const;

    // In the order of the join: control, ring, page, side, pidfd, event.
    std::array<unique_fd, 6> fds;
    zbq_join_payload payload = {};
    const zbq_control_region *control = nullptr;
    zbq_consumer_metadata *page = nullptr;

    [[nodiscard]] int control_fd() const { return fds[0].get(); }
    [[nodiscard]] int ring_fd() const { return fds[1].get(); }
    [[nodiscard]] int page_fd() const { return fds[2].get(); }
    [[nodiscard]] int side() const { return fds[3].get(); }
    [[nodiscard]] int event() const { return fds[5].get(); }
    [[nodiscard]] std::uint64_t head() const;
    // And rings if that was awaited.
    void set_tail(std::uint64_t tail);
    void park(std::uint32_t how) const;

private:
    bool try_join(zbq_wakeup_mode mode);
    void map();
    void unmap();

    target where_;
    void *ring_ = nullptr;
    std::uint64_t tail_ = 0;
};

} // namespace hostile
