// SPDX-License-Identifier: MIT
//
// Frames: what is written is read again, and what is none is refused, whichever of its bytes lie.
#include "bridge/frame.hpp"

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>

namespace {

using namespace zbq::bridge;
using bytes = std::vector<std::byte>;

constexpr std::size_t limit = 4096;
const ring_facts facts = {65536, {7, 13, 1}, 42, "host", "camera"};
const zbq::ring_id ring = {1, 2, 3};

frame_writer writer_at(std::uint64_t offset) {
    frame_writer to(9);
    to.set_limit(limit);
    to.begin_ring(ring, facts, offset);
    return to;
}

void add(frame_writer *to, std::uint64_t offset, const std::string &text, std::uint8_t flags = 0,
         std::uint16_t key = 0, unsigned descriptors = 0, bool forgotten = false) {
    const auto payload = zbq::bytes_of(text);
    std::copy(payload.begin(), payload.end(), to->prepare().begin());
    to->add_message({.why = zbq::status::ok,
                     .size = text.size(),
                     .offset = offset,
                     .flags = flags,
                     .key = key,
                     .descriptors = descriptors,
                     .forgotten = forgotten},
                    cause::lapped);
}

bytes sealed(frame_writer *from) {
    const auto all = from->seal(5);
    return {all.begin(), all.end()};
}

std::vector<entry> entries_of(const frame &from) {
    std::vector<entry> all;
    from.visit([&all](const entry &one) { all.push_back(one); });
    return all;
}

std::string refusal(const bytes &of) {
    std::string why;
    return frame::read(of, &why) ? "" : why;
}

template <typename T>
bytes with(bytes in, std::size_t at, T value) {
    std::memcpy(&in.at(at), &value, sizeof value);
    return in;
}

TEST(frame, gives_what_was_written) {
    frame_writer to = writer_at(64);
    add(&to, 64, "first", 3);
    add(&to, 160, "after a gap", 0, 5, 2);
    add(&to, to.next_offset(), "", 0, 5, 0, true);
    to.add_gap(cause::evicted, 1024, true);
    to.add_retained(7, zbq::bytes_of("format"));
    to.add_retained_end(1);
    to.add_end(end_cause::died);
    const bytes all = sealed(&to);

    std::string why;
    const std::optional<frame> got = frame::read(all, &why);
    ASSERT_TRUE(got) << why;
    EXPECT_EQ(got->head().ring, ring);
    EXPECT_EQ(got->head().session, 9U);
    EXPECT_EQ(got->head().number, 1U);
    EXPECT_EQ(got->head().first, 64U);
    EXPECT_EQ(got->head().end, 1024U);
    EXPECT_EQ(got->ring(), facts);
    const std::vector<entry> found = entries_of(*got);
    ASSERT_EQ(found.size(), 9U);
    EXPECT_EQ(zbq::text_of(found[0].body), "first");
    EXPECT_EQ(found[0].flags, 3);
    EXPECT_EQ(found[1].kind, entry_kind::gap);
    EXPECT_EQ(found[1].offset, 96U);
    EXPECT_EQ(found[1].next, 160U);
    EXPECT_EQ(found[2].count, 2U);
    EXPECT_EQ(zbq::text_of(found[3].body), "after a gap");
    EXPECT_EQ(found[3].offset, 160U);
    EXPECT_EQ(found[3].key, 5);
    EXPECT_TRUE(found[4].forgotten);
    EXPECT_TRUE(found[5].at_least);
    EXPECT_EQ(static_cast<cause>(found[5].flags), cause::evicted);
    EXPECT_EQ(zbq::text_of(found[6].body), "format");
    EXPECT_EQ(found[7].count, 1U);
    EXPECT_EQ(static_cast<end_cause>(found[8].flags), end_cause::died);
}

TEST(frame, next_one_begins_where_it_ends) {
    frame_writer to = writer_at(0);
    add(&to, 0, "one");
    sealed(&to);
    EXPECT_EQ(to.sealed_id(), "01020300000000000000000000000000.0");
    add(&to, 32, "two");
    const bytes second = sealed(&to);
    EXPECT_EQ(to.sealed_id(), "01020300000000000000000000000000.32");
    std::string why;
    const auto got = frame::read(second, &why);
    ASSERT_TRUE(got) << why;
    EXPECT_EQ(got->head().first, 32U);
    EXPECT_EQ(got->head().number, 2U);
}

// What has no message of its own must not take the id of the one that has.
TEST(frame, without_progress_has_an_id_of_its_own) {
    frame_writer to = writer_at(0);
    to.add_retained_end(0);
    sealed(&to);
    EXPECT_EQ(to.sealed_id(), "01020300000000000000000000000000.0.9.1");
    add(&to, 0, "one");
    sealed(&to);
    EXPECT_EQ(to.sealed_id(), "01020300000000000000000000000000.0");
}

TEST(frame, takes_a_message_up_to_its_limit) {
    frame_writer to = writer_at(0);
    const std::size_t most = to.largest_message();
    EXPECT_TRUE(to.has_room(most));
    EXPECT_FALSE(to.has_room(most + 1));
    EXPECT_EQ(to.prepare().size(), most);
    add(&to, 32, std::string(most, 'x'), 0, 0, 3); // with all that can stand before it
    const bytes all = sealed(&to);
    EXPECT_EQ(all.size(), limit);
    EXPECT_EQ(refusal(all), "");
}

TEST(frame, that_is_cut_off_anywhere_is_refused) {
    frame_writer to = writer_at(0);
    add(&to, 0, "one");
    add(&to, 64, "two", 0, 1, 1);
    const bytes all = sealed(&to);
    ASSERT_EQ(refusal(all), "");
    for (std::size_t size = 0; size < all.size(); ++size) {
        EXPECT_NE(refusal({all.begin(), all.begin() + static_cast<std::ptrdiff_t>(size)}), "")
            << size;
    }
    bytes longer = all;
    longer.push_back(std::byte{0});
    EXPECT_NE(refusal(longer), "");
}

TEST(frame, that_lies_is_refused) {
    frame_writer to = writer_at(0);
    add(&to, 0, "one");
    const bytes all = sealed(&to);
    const std::size_t ring_entry = frame_header_size;
    const std::size_t message = all.size() - entry_head_size - 3;
    EXPECT_EQ(refusal(with(all, 0, 'y')), "no frame of zbq");
    EXPECT_NE(refusal(with<std::uint16_t>(all, 4, 2)).find("version 2"), std::string::npos);
    EXPECT_NE(refusal(with<std::uint16_t>(all, 6, 64)), "");           // the head's size
    EXPECT_NE(refusal(with<std::uint64_t>(all, 40, 8)), "");           // first: misaligned
    EXPECT_NE(refusal(with<std::uint64_t>(all, 40, 1ULL << 63U)), ""); // first: beyond all
    EXPECT_NE(refusal(with<std::uint64_t>(all, 48, 64)), "");          // end
    EXPECT_NE(refusal(with<std::uint32_t>(all, 64, 0)), "");           // entries
    EXPECT_NE(refusal(with<std::uint32_t>(all, 64, 3)), "");
    EXPECT_NE(refusal(with<std::uint32_t>(all, 68, 1)), ""); // reserved
    EXPECT_NE(refusal(with<std::uint32_t>(all, ring_entry, 0xffffffff)), "");
    EXPECT_NE(refusal(with<std::uint32_t>(all, ring_entry, 29)), "");
    EXPECT_NE(refusal(with<std::uint8_t>(all, ring_entry + entry_head_size + 28, 200)), "");
    EXPECT_NE(refusal(with<std::uint32_t>(all, message, 0xfffffff0)), "");
    EXPECT_NE(refusal(with<std::uint32_t>(all, message, 4)), "");
    EXPECT_NE(refusal(with<std::uint8_t>(all, message + 4, 4)), "");       // a second ring
    EXPECT_NE(refusal(with<std::uint8_t>(all, message + 4, 99)), "");      // of no kind
    EXPECT_NE(refusal(with<std::uint16_t>(all, message + 6, 0x8000)), ""); // forgotten, but full
}

TEST(frame, whose_gap_goes_back_is_refused) {
    frame_writer to = writer_at(128);
    to.add_gap(cause::lapped, 256, false);
    const bytes all = sealed(&to);
    const std::size_t next = all.size() - 8;
    EXPECT_EQ(refusal(all), "");
    EXPECT_NE(refusal(with<std::uint64_t>(all, next, 64)), "");
    EXPECT_NE(refusal(with<std::uint64_t>(with<std::uint64_t>(all, next, 64), 48, 64)), "");
    EXPECT_NE(refusal(with<std::uint64_t>(all, next, 128)), ""); // of nothing
    EXPECT_NE(refusal(with<std::uint64_t>(all, next, 250)), ""); // misaligned
    EXPECT_NE(refusal(with<std::uint64_t>(all, next, ~0ULL)), "");
    EXPECT_NE(refusal(with<std::uint8_t>(all, next - 3, 200)), ""); // the cause
}

TEST(frame, rings_have_names_of_hexadecimal_digits) {
    EXPECT_EQ(ring_of(to_hex(ring)), ring);
    EXPECT_FALSE(ring_of("0102"));
    EXPECT_FALSE(ring_of("zz020300000000000000000000000000"));
}

} // namespace
