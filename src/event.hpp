// SPDX-License-Identifier: MIT
//
// The event channel: a second socket pair for each join, apart from the side channel so that
// descriptors which wait there do not stop it. A record in either direction is a bell: look
// again. The consumer's end can be polled for what the producer rings, the producer's for what
// the consumer rings, and either for the other's death: each end has one holder. A socket, and no
// eventfd, because O_NONBLOCK is a flag that both owners of an eventfd could clear: MSG_DONTWAIT is
// not.
#pragma once

#include "os.hpp"

namespace zbq::core {

enum class event_state {
    quiet, // or it cannot be told
    rung,  // one bell was taken off; there may be more
    closed // by the other side
};

// A pair of which the consumer's end has a bell already: it is told to look first of all.
int event_make(unique_fd *producer_end, unique_fd *consumer_end);

// Whether the other side is told: false where memory was short. Full, it has bells enough; closed,
// it is gone.
bool event_ring(int end);

// Takes off one bell.
event_state event_take(int end);

} // namespace zbq::core
