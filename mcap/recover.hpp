// SPDX-License-Identifier: MIT
//
// A whole file from what is left of one.
#pragma once

#include "reader.hpp"
#include "writer.hpp"

namespace zbq::mcap {

struct recovered {
    statistics there; // in the new file
    // What was wrong with the old one, a line each; empty: it was whole.
    std::vector<std::string> damage;
};

// Writes all that can be read, up to the last whole message, in the order of the old file, and
// finishes. The profile is kept, channels and schemas have their ids.
// @throws damage where the source is no MCAP file; io_error
recovered recover(source *from, sink *to, writer_options how = {});

} // namespace zbq::mcap
