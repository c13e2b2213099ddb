// SPDX-License-Identifier: MIT
//
// zbq pub: input to ring.
#include "broadcaster.hpp"
#include "commands.hpp"
#include "errors.hpp"
#include "framing.hpp"
#include "signals.hpp"

#include <algorithm>
#include <span>

namespace zbq::tool {

namespace {

void publish_messages(const pub_options &options, input_stream *input, broadcaster *ring) {
    message_reader reader(input, options);
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

// Chunks are read straight into the ring.
size_t read_chunk(input_stream *input, std::span<std::byte> place) {
    size_t have = 0;
    for (size_t got = 1; got != 0 && have < place.size(); have += got) {
        const std::span<std::byte> rest = place.subspan(have);
        got = input->read_some(reinterpret_cast<char *>(rest.data()), rest.size());
    }
    return have;
}

void publish_chunks(const pub_options &options, input_stream *input, broadcaster *ring) {
    size_t size = options.chunk_size;
    while (size == options.chunk_size && ring->wait_for_turn()) {
        reservation room = ring->reserve(options.chunk_size);
        if (!room) {
            return;
        }
        size = read_chunk(input, room.payload());
        if (size == 0 || stop_signal() != 0 || !ring->commit(std::move(room), size)) {
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
