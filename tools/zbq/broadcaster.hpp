// SPDX-License-Identifier: MIT
//
// The publisher's ring, and all that goes on beside the stream: newcomers, scans, evictions,
// progress. Whatever waits (for input, for room, for time) serves these meanwhile.
#pragma once

#include "evictions.hpp"
#include "framing.hpp"
#include "options.hpp"
#include "progress.hpp"

#include <zbq.hpp>

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace zbq::tool {

class broadcaster final : public input_waiter {
public:
    explicit broadcaster(const pub_options &options);

    // These wait, and give false (or nothing) when a stop signal came first.
    bool wait_for_consumers(uint32_t count);
    bool wait_for_input(int fd) override;
    bool wait_for_turn();                     // the next message's, by --rate
    reservation reserve(size_t payload_size); // where to write a payload, of this size at most
    bool commit(reservation room, size_t payload_size); // publishes it
    // A message that is retained under the key, or that is so no more.
    bool change_retained(uint16_t key, std::span<const std::byte> payload, bool forget);

    // Asked at each wait: for what others have to do meanwhile.
    void set_meanwhile(std::function<void()> others) { meanwhile_ = std::move(others); }
    [[nodiscard]] int newcomers_fd() const;
    void serve_between_messages();

    void end_stream();
    // After a failure: to the subscribers it shall not look like the end of the input.
    void abandon_stream();
    void summarize();

private:
    [[nodiscard]] std::string account_until(uint64_t now) const;
    void tell_account();
    listener_options door_options();
    void start_clock();
    void idle(uint64_t nanoseconds, int input = -1, bool *readable = nullptr);
    bool wait_for_room(status result, const char *what);
    void note(size_t payload_size);
    void serve_newcomers();
    void serve();
    void scan();
    void report(const newcomer &who);
    void check_descriptors();
    void report_lack_of_descriptors(int error);
    void report_evictions();
    void show_progress(uint64_t now);

    const pub_options &options_;
    std::vector<unique_fd> files_;
    std::vector<int> file_numbers_; // of the first message, while it is to come
    std::optional<producer> ring_;
    std::optional<listener>
        door_;                    // last: a name appears when it can be joined, and all is retained
    std::optional<dialing> line_; // or this one, to a collector
    eviction_log evictions_;
    progress progress_;
    tally published_;
    uint64_t started_ = 0;
    double turn_ = 0; // when the next message is due, by --rate: nanoseconds since then
    bool told_lack_of_descriptors_ = false;
    uint64_t last_served_ = 0;
    uint64_t last_scan_ = 0;
    uint64_t ended_ = 0;
    std::function<void()> meanwhile_;
};

} // namespace zbq::tool
