// SPDX-License-Identifier: MIT
//
// Any bytes as a frame of the bridge: refused in words, or what it says holds, and written again it
// says the same.
#include "bridge/frame.hpp"
#include "harness.hpp"

#include <string>

namespace {

using namespace zbq::bridge;

// As far as a writer writes it so: a gap before a message is an entry either way.
void write(frame_writer *to, const entry &one) {
    switch (one.kind) {
    case entry_kind::message: {
        std::copy(one.body.begin(), one.body.end(), to->prepare().begin());
        to->add_message({.why = zbq::status::ok,
                         .size = one.body.size(),
                         .offset = one.offset,
                         .flags = one.flags,
                         .key = one.key,
                         .forgotten = one.forgotten},
                        cause::lapped);
        break;
    }
    case entry_kind::gap:
        to->add_gap(static_cast<cause>(one.flags), one.next, one.at_least);
        break;
    case entry_kind::retained:
        to->add_retained(one.key, one.body);
        break;
    case entry_kind::retained_end:
        to->add_retained_end(one.count);
        break;
    case entry_kind::end:
        to->add_end(static_cast<end_cause>(one.flags));
        break;
    case entry_kind::descriptors:
    case entry_kind::ring:
        break;
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const auto all = std::as_bytes(std::span(data, size));
    std::string why;
    const std::optional<frame> got = frame::read(all, &why);
    if (!got) {
        MUST(!why.empty());
        return 0;
    }
    MUST(!frame::is_other_version(all));
    std::uint64_t offset = got->head().first;
    std::uint32_t entries = 1;
    frame_writer to(got->head().session);
    to.set_limit(all.size() + 1024);
    to.begin_ring(got->head().ring, got->ring(), offset);
    bool has_all = true;
    got->visit([&](const entry &one) {
        MUST(one.offset == offset && one.next >= offset);
        MUST(one.body.empty() || (one.body.data() >= all.data() &&
                                  one.body.data() + one.body.size() <= all.data() + all.size()));
        fuzz::touch(one.body.data(), one.body.size());
        offset = one.next;
        ++entries;
        has_all = has_all && one.kind != entry_kind::descriptors;
        write(&to, one);
    });
    MUST(offset == got->head().end && entries == got->head().entries);
    const auto again = to.seal(got->head().time);
    const std::optional<frame> same = frame::read(again, &why);
    MUST(same && same->head().first == got->head().first && same->head().end == offset);
    MUST(!has_all || same->head().entries == entries);
    return 0;
}
