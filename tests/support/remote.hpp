// SPDX-License-Identifier: MIT
//
// A consumer in a process of its own.
#pragma once

#include "support/process.hpp"
#include "support/rig.hpp"

#include <functional>
#include <memory>

namespace test {

class remote_consumer {
public:
    // The body runs in the child with its consumer; what it returns is the exit status. The
    // child has let go of the producer's handle that it inherited.
    remote_consumer(const producer_ptr &prod, zbq_wakeup_mode mode,
                    const std::function<int(zbq_consumer *)> &body);

    [[nodiscard]] std::uint32_t slot() const { return slot_; }
    [[nodiscard]] child &process() { return *process_; }

private:
    std::uint32_t slot_ = 0;
    std::unique_ptr<child> process_;
};

// Whether the consumer in the slot has marked itself parked.
bool is_parked(zbq_producer *prod, std::uint32_t slot);
void wait_until_parked(zbq_producer *prod, std::uint32_t slot);
// Stops its process while it is: it cannot run, nor park again. The next wake-up comes, whatever
// the last ones took.
void stop_parked(zbq_producer *prod, remote_consumer *consumer);

// Waits for the next message, takes it and releases it. ZBQ_OK, or why there is none.
int wait_and_read(zbq_consumer *cons, std::string *payload);

} // namespace test
