// SPDX-License-Identifier: MIT
//
// What is promised, and whether what was measured keeps it.
#pragma once

#include "measure.hpp"

namespace hostile {

void print_legend();
void print_row(const trial &what, const measured &found);

// Prints each promise that is broken. Whether all are kept. The times are judged where nothing
// else runs on the machine.
bool is_kept(const trial &what, const measured &found, bool judges_times);

} // namespace hostile
