// SPDX-License-Identifier: MIT
//
// Any bytes as an MCAP file: read by the summary, read whole, in order, and recovered. Each ends in
// a result or in words about the damage; what is recovered is a whole file with the same messages.
#include "harness.hpp"
#include "mcap/codec.hpp"
#include "mcap/recover.hpp"

#include <array>
#include <string>

namespace {

using namespace zbq::mcap;

std::uint64_t read_in_order(source *file, const contents &what) {
    message_reader messages(file, what);
    std::uint64_t count = 0;
    std::size_t failures = 0;
    timestamp last = 0;
    for (bool more = true; more;) {
        try {
            const message *next = messages.next();
            more = next != nullptr;
            if (more) {
                MUST(what.channels.contains(next->channel_id));
                MUST(next->log_time >= last || failures != 0);
                last = next->log_time;
                fuzz::touch(next->data.view.data(), next->data.view.size());
                ++count;
            }
        } catch (const damage &) {
            MUST(++failures <= what.regions.size());
        }
    }
    return count;
}

void read_beside(source &file, const contents &what) {
    buffer memory;
    for (const attachment_index &each : what.attachments) {
        try {
            const attachment found = read_attachment(file, each.offset, &memory);
            fuzz::touch(found.data.view.data(), found.data.view.size());
        } catch (const damage &) {
            continue;
        }
    }
    for (const metadata_index &each : what.metadata) {
        try {
            read_metadata(file, each.offset);
        } catch (const damage &) {
            continue;
        }
    }
}

void read(source &file, thoroughness how) {
    const contents what = read_contents(file, how);
    const std::uint64_t count = read_in_order(&file, what);
    if (how == thoroughness::all && what.damage.empty()) {
        MUST(count == what.statistics.message_count);
    }
    read_beside(file, what);
}

void rescue(source *file, const writer_options &how) {
    memory_sink to;
    const recovered result = recover(file, &to, how);
    memory_source copy(to.view());
    const contents what = read_contents(copy, thoroughness::all);
    MUST(what.damage.empty());
    MUST(what.statistics.message_count == result.there.message_count);
    MUST(read_in_order(&copy, what) == result.there.message_count);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const auto all = std::as_bytes(std::span(data, size));
    if (all.empty()) {
        return 0;
    }
    constexpr std::array compressions = {"", "lz4", "zstd", ""};
    const auto chosen = static_cast<std::size_t>(all[0]) % compressions.size();
    writer_options how;
    how.compression = compressions[chosen];
    how.parts.chunks = chosen != 3;
    how.chunk_size = 64;
    memory_source file(all.subspan(1));
    if (!is_mcap(file)) {
        return 0;
    }
    for (const thoroughness each : {thoroughness::summary, thoroughness::all}) {
        try {
            read(file, each);
        } catch (const damage &) {
            continue;
        }
    }
    rescue(&file, how);
    return 0;
}
