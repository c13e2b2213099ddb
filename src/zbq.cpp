// SPDX-License-Identifier: MIT
//
// The library, in the order in which data flows: read it in this order. This is the one
// file that is compiled.
//
// Sorting the list would lose that order.
// clang-format off
// NOLINTBEGIN(bugprone-suspicious-include): the parts of one translation unit
#include "layout.hpp"       // the picture of the memory
#include "limits.hpp"       // how much of everything
#include "atomics.hpp"      // the accesses to shared words, and their pairs
#include "ring.hpp"         // the arithmetic
#include "probes.hpp"       // for who traces

#include "os.cpp"           // the door to the kernel
#include "region.cpp"       // shared memory: made and sealed, checked and mapped
#include "fd_list.hpp"      // descriptors received
#include "scm.cpp"          // records with descriptors
#include "side.cpp"         // the side channel

#include "retained.cpp"     // messages for newcomers
#include "event.cpp"        // the event channel

#include "wake.hpp"         // sleeping and waking
#include "statistics.hpp"   // an account for others
#include "producer.cpp"     // the stream
#include "account.cpp"      // what waking costs
#include "wake.cpp"         // who is parked
#include "descriptors.cpp"  // records to all
#include "join.cpp"         // both ends of a join
#include "consumer.cpp"     // reading
#include "observe.cpp"      // reading what may be overwritten
#include "spin.cpp"         // waiting without sleep
#include "stall.cpp"        // who is in the way, and for how long
#include "evict.cpp"        // losing consumers
#include "await.cpp"        // waiting for room
#include "statistics.cpp"   // writing the account for others
#include "inspect.cpp"      // reading it
#include "info.cpp"         // accounts for the application
// NOLINTEND(bugprone-suspicious-include)
// clang-format on
