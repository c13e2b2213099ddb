// SPDX-License-Identifier: MIT
//
// The publisher's ring, and all that goes on beside the stream: newcomers, scans, evictions,
// progress. Whatever waits (for input, for room, for time) serves these meanwhile.
#pragma once

#include "evictions.hpp"
#include "framing.hpp"
#include "options.hpp"
#include "progress.hpp"
#include "rendezvous.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace zbq::tool {

struct producer_release {
    void operator()(zbq_producer *producer) const { zbq_producer_destroy(producer); }
};

class broadcaster final : public host, public input_waiter {
public:
    explicit broadcaster(const pub_options &options);

    // These wait, and give false (or null) when a stop signal came first.
    bool wait_for_consumers(uint32_t count);
    bool wait_for_input(int fd) override;
    bool wait_for_turn();               // the next message's, by --rate
    char *reserve(size_t payload_size); // where to write a payload, of this size at most
    bool commit(size_t payload_size);   // publishes it
    void abandon();                     // gives up what was reserved

    void end_stream();
    void summarize();

private:
    bool has_room() override;
    void admit(int connection, zbq_wakeup_mode mode) override;

    void start_clock();
    void idle(uint64_t nanoseconds, int input = -1, bool *readable = nullptr);
    void serve_between_messages();
    void serve();
    void scan();
    void report_evictions();
    void show_progress(uint64_t now);
    bool send_files(uint64_t seq_id);
    bool wait_for_change(int result, const char *what);

    const pub_options &options_;
    std::vector<unique_fd> files_;
    std::optional<rendezvous> door_;
    std::unique_ptr<zbq_producer, producer_release> producer_;
    std::optional<eviction_log> evictions_;
    progress progress_;
    tally published_;
    char *base_ = nullptr; // of the run reserved
    std::vector<pollfd> polled_;
    uint64_t started_ = 0;
    uint64_t last_served_ = 0;
    uint64_t last_scan_ = 0;
    uint64_t ended_ = 0;
};

} // namespace zbq::tool
