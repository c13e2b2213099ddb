// SPDX-License-Identifier: MIT
//
// The shipped library, between the model's atomics below it and the model's machine in the place
// of the kernel: src/zbq.cpp without os.cpp, region.cpp and scm.cpp.
#pragma once

// clang-format off
// NOLINTBEGIN(bugprone-suspicious-include): the parts of one translation unit
#include "seam.hpp"

#include "layout.hpp"
#include "atomics.hpp"
#include "ring.hpp"
#include "machine.hpp"

#include "side.cpp"
#include "retained.cpp"
#include "event.cpp"
#include "wake.hpp"
#include "producer.cpp"
#include "account.cpp"
#include "wake.cpp"
#include "descriptors.cpp"
#include "join.cpp"
#include "consumer.cpp"
#include "observe.cpp"
#include "stall.cpp"
#include "evict.cpp"
#include "await.cpp"
#include "statistics.cpp"
#include "inspect.cpp"
#include "info.cpp"
// NOLINTEND(bugprone-suspicious-include)
// clang-format on
