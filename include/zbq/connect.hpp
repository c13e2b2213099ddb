// SPDX-License-Identifier: MIT
/// @file
/// Joining a producer by its name.
#pragma once

#include "joining.hpp"

#include <string>

namespace ZBQ_NAMESPACE {

/// Joins the producer at a name (see listener). Waits until the deadline for it to appear, if
/// asked to, and to answer.
///
///     zbq::consumer monitor = zbq::connect("camera", zbq::in(std::chrono::seconds(5)),
///                                          {.flow = zbq::flow::follow});
///
/// @throws error none (nobody publishes there), again (no answer in time, or given up), full,
///               refused (by the producer; or the name is somebody else's), protocol, invalid
///               (no name; or no message starts where to start), too_large (its length),
///               no_memory, io
[[nodiscard]] inline consumer connect(const std::string &name, deadline end,
                                      const connect_options &options = {}) {
    joining join(name, options);
    return detail::walk(&join, [&join] { return join.step(); },
                        {end, options.wait_for_producer, &options.give_up, "publishes"});
}

} // namespace ZBQ_NAMESPACE
