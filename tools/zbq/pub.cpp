// SPDX-License-Identifier: MIT
//
// zbq pub: input to ring.
#include "broadcaster.hpp"
#include "commands.hpp"
#include "errors.hpp"
#include "framing.hpp"
#include "signals.hpp"

#include <algorithm>
#include <csignal>
#include <string_view>

namespace zbq::tool {

namespace {

void publish_messages(const pub_options &options, broadcaster *ring) {
    input_stream input(options.input, ring);
    message_reader reader(&input, options);
    std::string_view payload;
    while (ring->wait_for_turn() && reader.next(&payload)) {
        reservation room = ring->reserve(payload.size());
        if (!room) {
            return;
        }
        std::ranges::copy(bytes_of(payload), room.payload().begin());
        if (!ring->commit(std::move(room), payload.size())) {
            return;
        }
    }
}

} // namespace

int publish(const pub_options &options) {
    watch_signals({SIGUSR1}); // asks for an account
    broadcaster ring(options);
    try {
        if (ring.wait_for_consumers(options.dial ? 1 : options.wait_for)) {
            publish_messages(options, &ring);
        }
    } catch (...) {
        ring.abandon_stream();
        throw;
    }
    ring.end_stream();
    if (!options.quiet) {
        ring.summarize();
    }
    return stop_signal() != 0 ? status_when_stopped() : exit_ok;
}

} // namespace zbq::tool
