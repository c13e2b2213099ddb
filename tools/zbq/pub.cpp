// SPDX-License-Identifier: MIT
//
// zbq pub: input to ring.
#include "broadcaster.hpp"
#include "commands.hpp"
#include "errors.hpp"
#include "framing.hpp"
#include "signals.hpp"

#include <cstring>

namespace zbq::tool {

namespace {

void publish_messages(const pub_options &options, input_stream *input, broadcaster *ring) {
    message_reader reader(input, options);
    std::string_view payload;
    while (ring->wait_for_turn() && reader.next(&payload)) {
        char *place = ring->reserve(payload.size());
        if (place == nullptr) {
            return;
        }
        std::memcpy(place, payload.data(), payload.size());
        if (!ring->commit(payload.size())) {
            return;
        }
    }
}

// Chunks are read straight into the ring.
size_t read_chunk(input_stream *input, char *place, size_t wanted) {
    size_t have = 0;
    while (have < wanted) {
        const size_t got = input->read_some(place + have, wanted - have);
        if (got == 0) {
            break;
        }
        have += got;
    }
    return have;
}

void publish_chunks(const pub_options &options, input_stream *input, broadcaster *ring) {
    size_t size = options.chunk_size;
    while (size == options.chunk_size && ring->wait_for_turn()) {
        char *place = ring->reserve(options.chunk_size);
        if (place == nullptr) {
            return;
        }
        size = read_chunk(input, place, options.chunk_size);
        if (size == 0 || stop_signal() != 0) {
            ring->abandon();
            return;
        }
        if (!ring->commit(size)) {
            return;
        }
    }
}

} // namespace

int publish(const pub_options &options) {
    broadcaster ring(options);
    input_stream input(options.input, &ring);
    if (ring.wait_for_consumers(options.wait_for)) {
        if (options.framing == input_framing::chunks) {
            publish_chunks(options, &input, &ring);
        } else {
            publish_messages(options, &input, &ring);
        }
    }
    ring.end_stream();
    if (!options.quiet) {
        ring.summarize();
    }
    return stop_signal() != 0 ? 128 + stop_signal() : exit_ok;
}

} // namespace zbq::tool
