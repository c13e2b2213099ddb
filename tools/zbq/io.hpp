// SPDX-License-Identifier: MIT
//
// Standard streams.
#pragma once

#include <string_view>

namespace zbq::tool {

// Occupies closed standard descriptors, so that nothing else gets their numbers; using one
// fails all the same.
void guard_standard_streams();

enum class write_result { done, reader_gone, stopped };

// All of it to standard output. A failure other than a closed pipe or a stop signal throws.
write_result write_output(std::string_view bytes);

// Whether standard output is a pipe that nobody reads any more.
bool output_reader_gone();

} // namespace zbq::tool
