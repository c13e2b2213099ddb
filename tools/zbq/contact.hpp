// SPDX-License-Identifier: MIT
//
// The subscriber's end of the rendezvous.
#pragma once

#include "unique_fd.hpp"

#include <zbq.h>

#include <memory>
#include <string>

namespace zbq::tool {

struct consumer_release {
    void operator()(zbq_consumer *consumer) const { zbq_consumer_destroy(consumer); }
};
using consumer_handle = std::unique_ptr<zbq_consumer, consumer_release>;

// Joins the stream published at the path, within ten seconds. Null when nobody publishes
// there, or a stop signal came. Throws when it is full or anything fails.
consumer_handle join_stream(const std::string &path, zbq_wakeup_mode mode);

} // namespace zbq::tool
