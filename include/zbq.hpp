// SPDX-License-Identifier: MIT
/// @file
/// zbq for C++20: types over the C interface of zbq.h, header-only.
///
/// Set-up throws zbq::error, a std::system_error. What runs for each message is noexcept
/// and gives an empty object or a zbq::status. Handles are move-only and belong to one thread
/// at a time. The parts:
#pragma once

#if __cplusplus < 202002L
#error "zbq.hpp needs C++20: -std=c++20; CMake: target_compile_features(target PRIVATE cxx_std_20)"
#else

#include "zbq/channel.hpp"          // typed producer and consumer
#include "zbq/collector.hpp"        // collector: many producers, which dial in
#include "zbq/connect.hpp"          // connect: joining by name
#include "zbq/consumer.hpp"         // consumer, message, message_batch
#include "zbq/descriptors.hpp"      // unique_fd, descriptors
#include "zbq/dialing.hpp"          // dial, dialing: in to a collector
#include "zbq/error.hpp"            // status, error
#include "zbq/frame_pool.hpp"       // frame_pool, frames: buffers that come back
#include "zbq/hash.hpp"             // type_hash: numbers for names
#include "zbq/joining.hpp"          // joining: the same without blocking
#include "zbq/listener.hpp"         // listener: newcomers at a name
#include "zbq/producer.hpp"         // producer, reservation, batch
#include "zbq/serving_thread.hpp"   // newcomers, while the program does something else
#include "zbq/start.hpp"            // start, ring_id: history
#include "zbq/statistics.hpp"       // statistics, inspect: how a ring stands, from outside
#include "zbq/subscription.hpp"     // subscription: messages and gaps, through it all
#include "zbq/text.hpp"             // payloads that are text
#include "zbq/thread_producers.hpp" // a producer for each thread
#include "zbq/time.hpp"             // deadlines
#include "zbq/typed_batch.hpp"      // messages as what they mean
#include "zbq/variant_channel.hpp"  // several types on one ring

#endif
