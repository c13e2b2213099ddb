// SPDX-License-Identifier: MIT
//
// What is read of whole files.
#include "mcap/codec.hpp"
#include "samples.hpp"

#include <gtest/gtest.h>

namespace {

using namespace test;

TEST(reader, gives_messages_by_time) {
    for (const way &each : ways()) {
        EXPECT_EQ(read_all(sample(each.options)), in_order_of_time(sample_messages())) << each.name;
    }
}

TEST(reader, finds_the_same_by_the_summary_and_by_reading_all) {
    for (const way &each : ways()) {
        SCOPED_TRACE(each.name);
        const std::string file = sample(each.options);
        memory_source from(bytes_of(file));
        const contents by_summary = read_contents(from);
        const contents by_all = read_contents(from, thoroughness::all);
        EXPECT_EQ(by_summary.by_summary, each.name != "bare");
        EXPECT_FALSE(by_all.by_summary);
        for (const contents &what : {by_summary, by_all}) {
            EXPECT_EQ(what.damage, std::vector<std::string>());
            EXPECT_EQ(what.header.profile, "sample");
            EXPECT_EQ(what.statistics.message_count, sample_messages().size());
            EXPECT_EQ(what.statistics.channel_message_counts.at(2), 4U); // "odd"
            EXPECT_EQ(what.statistics.message_start_time, 1000U);
            EXPECT_EQ(what.statistics.message_end_time, 1100U);
            EXPECT_EQ(what.schemas.at(1).name, "type");
            EXPECT_EQ(what.channels.at(2).metadata.at("key"), "value");
            ASSERT_EQ(what.attachments.size(), 1U);
            buffer memory;
            const attachment picture = read_attachment(from, what.attachments[0].offset, &memory);
            EXPECT_EQ(text_of(picture.data.view), "0123456789");
            EXPECT_EQ(what.attachments[0].name, "picture");
            EXPECT_EQ(what.attachments[0].data_size, 10U);
            ASSERT_EQ(what.metadata.size(), 1U);
            EXPECT_EQ(read_metadata(from, what.metadata[0].offset).values.at("who"), "nobody");
            EXPECT_EQ(read_all(&from, what), in_order_of_time(sample_messages()));
        }
        EXPECT_EQ(by_summary.chunks.size(), by_all.chunks.size());
    }
}

TEST(reader, chooses_times_and_channels) {
    for (const way &each : ways()) {
        const std::string file = sample(each.options);
        memory_source from(bytes_of(file));
        const contents what = read_contents(from);
        std::vector<plain_message> wanted = in_order_of_time(sample_messages());
        std::erase_if(wanted, [](const plain_message &one) {
            return one.time < 1020 || one.time > 1080 || one.topic != "even";
        });
        EXPECT_EQ(read_all(&from, what, {1020, 1080, std::set<std::uint16_t>{1}}), wanted)
            << each.name;
        EXPECT_TRUE(read_all(&from, what, {0, 999, {}}).empty());
    }
}

// Chunks whose times overlap, as of two recorders: whoever comes first in time comes first.
TEST(reader, merges_chunks) {
    memory_sink to;
    writer out(&to);
    const std::uint16_t id = out.add_channel("topic", "raw");
    std::vector<timestamp> times = {5, 9, 1, 30, 2, 9, 9, 31, 10, 0, 40, 9};
    for (std::size_t i = 0; i < times.size(); ++i) {
        out.write({id, static_cast<std::uint32_t>(i), times[i], 0, {}});
        if (i % 3 == 2) {
            out.flush();
        }
    }
    out.finish();
    std::vector<std::pair<timestamp, std::uint32_t>> found;
    for (const plain_message &each : read_all(text_of(to.view()))) {
        found.emplace_back(each.time, each.sequence);
    }
    const std::vector<std::pair<timestamp, std::uint32_t>> wanted = {
        {0, 9}, {1, 2},  {2, 4},  {5, 0},  {9, 1},  {9, 5},
        {9, 6}, {9, 11}, {10, 8}, {30, 3}, {31, 7}, {40, 10}};
    EXPECT_EQ(found, wanted);
}

TEST(reader, needs_no_summary) {
    for (way each : ways()) {
        parts &has = each.options.parts;
        has.chunk_indexes = has.attachment_indexes = has.metadata_indexes = false;
        has.statistics = has.schemas = has.channels = has.summary_offsets = false;
        const std::string file = sample(each.options);
        memory_source from(bytes_of(file));
        const contents what = read_contents(from);
        EXPECT_FALSE(what.by_summary);
        EXPECT_EQ(what.damage, std::vector<std::string>());
        EXPECT_EQ(what.attachments.size(), 1U);
        EXPECT_EQ(read_all(file), in_order_of_time(sample_messages())) << each.name;
    }
}

TEST(reader, ignores_what_it_does_not_know) {
    writer_options options;
    options.extension = "of a later version";
    std::string file = sample(options);
    EXPECT_EQ(read_all(file), in_order_of_time(sample_messages()));
    const std::string private_record = std::string("\x80\x03\0\0\0\0\0\0\0abc", 12);
    file = file.substr(0, 8) + file.substr(8); // the header first
    memory_source from(bytes_of(file));
    scanner records(&from);
    const std::uint64_t after_header = records.next()->end();
    file.insert(after_header, private_record);
    memory_source with(bytes_of(file));
    EXPECT_EQ(read_all(&with, read_contents(with, thoroughness::all)),
              in_order_of_time(sample_messages()));
}

TEST(reader, says_what_is_no_mcap) {
    for (const std::string &text : {std::string(), std::string("MCAP"), std::string(100, 'x')}) {
        memory_source from(bytes_of(text));
        EXPECT_FALSE(is_mcap(from));
        EXPECT_THROW(read_contents(from), damage);
        memory_sink to;
        EXPECT_THROW(recover(&from, &to), damage);
        EXPECT_TRUE(to.view().empty());
    }
}

TEST(recover, copies_a_whole_file) {
    for (const way &each : ways()) {
        const std::string file = sample(each.options);
        memory_source from(bytes_of(file));
        memory_sink to;
        EXPECT_EQ(recover(&from, &to, each.options).damage, std::vector<std::string>());
        const std::string copy = text_of(to.view());
        memory_source copied(bytes_of(copy));
        const contents what = read_contents(copied, thoroughness::all);
        EXPECT_EQ(what.damage, std::vector<std::string>());
        EXPECT_EQ(what.header.profile, "sample");
        EXPECT_EQ(what.attachments.size(), 1U);
        EXPECT_EQ(what.metadata.size(), 1U);
        EXPECT_EQ(read_all(copy), in_order_of_time(sample_messages())) << each.name;
    }
}

} // namespace
