// SPDX-License-Identifier: MIT
//
// Files that are cut off, and files of which any byte is another.
#include "mcap/codec.hpp"
#include "samples.hpp"

#include <algorithm>
#include <gtest/gtest.h>

namespace {

using namespace test;

struct rescued {
    std::vector<std::string> damage;
    std::string file;
    std::vector<plain_message> messages; // as they lie there
};

std::vector<plain_message> in_file_order(std::vector<plain_message> messages) {
    std::ranges::stable_sort(messages, {}, &plain_message::sequence);
    return messages;
}

// What is recovered is a whole file, always.
rescued rescue(const std::string &file) {
    memory_source from(bytes_of(file));
    memory_sink to;
    rescued result = {recover(&from, &to).damage, text_of(to.view()), {}};
    memory_source again(bytes_of(result.file));
    const contents what = read_contents(again, thoroughness::all);
    EXPECT_EQ(what.damage, std::vector<std::string>());
    result.messages = in_file_order(read_all(&again, what));
    EXPECT_EQ(result.messages.size(), what.statistics.message_count);
    return result;
}

// Where each message of a file ends that has no compression: a file of this size has it whole.
std::vector<std::uint64_t> ends_of_messages(const std::string &file) {
    memory_source from(bytes_of(file));
    scanner records(&from);
    std::vector<std::uint64_t> ends;
    std::optional<raw_record> record = records.next();
    while (record && record->code != opcode::data_end) {
        if (record->code == opcode::message) {
            ends.push_back(record->end());
        } else if (record->code == opcode::chunk) {
            const auto inner = decode<chunk>(record->content);
            const auto start =
                static_cast<std::uint64_t>(inner.records.view.data() - record->content.data()) +
                record->offset + record_prefix;
            each_record(inner.records.view, [&](const raw_record &each) {
                if (each.code == opcode::message) {
                    ends.push_back(start + each.end());
                }
            });
        }
        record = records.next();
    }
    return ends;
}

TEST(damage, a_file_cut_off_anywhere_has_all_messages_before_that) {
    for (const way &each : ways()) {
        const std::string file = sample(each.options);
        const std::vector<std::uint64_t> ends = each.options.compression.empty()
                                                    ? ends_of_messages(file)
                                                    : std::vector<std::uint64_t>();
        for (std::size_t size = 8; size < file.size(); ++size) {
            SCOPED_TRACE(each.name + " " + std::to_string(size));
            const rescued result = rescue(file.substr(0, size));
            std::vector<plain_message> wanted = sample_messages();
            ASSERT_LE(result.messages.size(), wanted.size());
            if (each.options.compression.empty()) {
                ASSERT_EQ(result.messages.size(),
                          static_cast<std::size_t>(std::ranges::count_if(
                              ends, [&](std::uint64_t end) { return end <= size; })));
            }
            wanted.resize(result.messages.size());
            ASSERT_EQ(result.messages, wanted);
            ASSERT_FALSE(result.damage.empty());
        }
        EXPECT_EQ(rescue(file).messages, sample_messages());
    }
}

// Of a compressed chunk, what was compressed before the end is there too.
TEST(damage, half_a_compressed_chunk_gives_messages) {
    for (const way &each : ways()) {
        if (each.options.compression.empty()) {
            continue;
        }
        writer_options options = each.options;
        options.chunk_size = 4U << 20U;
        memory_sink to;
        writer out(&to, options);
        const std::uint16_t id = out.add_channel("topic", "raw");
        std::uint32_t noise = 1;
        std::string text(1000, ' ');
        for (std::uint32_t i = 0; i < 2000; ++i) {
            for (char &letter : text) {
                noise = noise * 1664525U + 1013904223U;
                letter = static_cast<char>(noise >> 24U);
            }
            out.write({id, i, i, i, {bytes_of(text)}});
        }
        out.finish();
        const std::string file = text_of(to.view());
        const rescued result = rescue(file.substr(0, file.size() / 2));
        EXPECT_GT(result.messages.size(), 700U) << each.name;
        EXPECT_LT(result.messages.size(), 1000U) << each.name;
    }
}

// Read in each way there is. It must end, and end well.
void read_somehow(const std::string &file) {
    memory_source from(bytes_of(file));
    for (const thoroughness how : {thoroughness::summary, thoroughness::all}) {
        try {
            const contents what = read_contents(from, how);
            message_reader reader(&from, what);
            std::size_t failures = 0;
            for (bool more = true; more && failures <= what.regions.size();) {
                try {
                    const message *next = reader.next();
                    more = next != nullptr;
                    if (more) {
                        EXPECT_TRUE(what.channels.contains(next->channel_id));
                    }
                } catch (const damage &) {
                    ++failures;
                }
            }
            EXPECT_LE(failures, what.regions.size());
            buffer memory;
            for (const attachment_index &each : what.attachments) {
                try {
                    read_attachment(from, each.offset, &memory);
                } catch (const damage &) {
                    continue;
                }
            }
            for (const metadata_index &each : what.metadata) {
                try {
                    read_metadata(from, each.offset);
                } catch (const damage &) {
                    continue;
                }
            }
        } catch (const damage &error) {
            EXPECT_STRNE(error.what(), "");
        }
    }
}

TEST(damage, any_byte_may_be_any_other) {
    for (const way &each : ways()) {
        const std::string file = sample(each.options);
        for (std::size_t at = 0; at < file.size(); ++at) {
            const auto was = static_cast<unsigned char>(file[at]);
            std::vector<unsigned> others = {was ^ 0x01U};
            if (each.name == "none") {
                others.insert(others.end(), {was ^ 0x80U, was ^ 0xffU, was != 0 ? 0U : 2U});
            }
            for (const unsigned other : others) {
                SCOPED_TRACE(each.name + " " + std::to_string(at) + " " + std::to_string(other));
                std::string changed = file;
                changed[at] = static_cast<char>(other);
                read_somehow(changed);
                if (at >= magic.size()) { // every other byte is under a checksum, or fixed
                    const rescued result = rescue(changed);
                    EXPECT_LE(result.messages.size(), sample_messages().size());
                    EXPECT_FALSE(result.damage.empty());
                }
            }
        }
    }
}

TEST(damage, of_one_chunk_costs_that_chunk_alone) {
    for (const way &each : ways()) {
        if (!each.options.parts.chunks) {
            continue;
        }
        SCOPED_TRACE(each.name);
        std::string file = sample(each.options);
        memory_source from(bytes_of(file));
        const contents what = read_contents(from);
        ASSERT_GE(what.chunks.size(), 3U);
        const chunk_index &broken = what.chunks[1];
        std::string flipped = file; // in its records
        flipped[broken.chunk_start_offset + broken.chunk_length - 1] ^= 1;
        // Of its length: what is there is taken, and the summary knows the next one.
        std::string longer = file;
        longer[broken.chunk_start_offset + 8] ^= 1;
        for (const std::string &changed : {flipped, longer}) {
            const rescued result = rescue(changed);
            EXPECT_FALSE(result.damage.empty());
            EXPECT_EQ(result.messages.size() == sample_messages().size(), changed == longer);
            EXPECT_EQ(result.messages.front(), sample_messages().front());
            EXPECT_EQ(result.messages.back(), sample_messages().back());

            memory_source bad(bytes_of(changed));
            const contents told = read_contents(bad);
            message_reader reader(&bad, told);
            std::size_t failures = 0;
            std::size_t messages = 0;
            for (bool more = true; more;) {
                try {
                    more = reader.next() != nullptr;
                    messages += more ? 1 : 0;
                } catch (const damage &error) {
                    EXPECT_EQ(error.offset(), broken.chunk_start_offset);
                    ASSERT_EQ(++failures, 1U);
                }
            }
            EXPECT_EQ(failures, 1U);
            EXPECT_LT(messages, sample_messages().size());
            EXPECT_EQ(messages == result.messages.size(), changed == flipped);
        }
    }
}

TEST(damage, zeros_at_the_end_are_no_messages) {
    const std::string file = sample(ways()[0].options);
    const rescued result = rescue(file.substr(0, file.size() / 2) + std::string(4096, '\0'));
    EXPECT_FALSE(result.damage.empty());
    EXPECT_GT(result.messages.size(), 0U);
}

// Claims of huge sizes are answered before memory is asked for.
TEST(damage, sizes_that_lie_cost_nothing) {
    writer_options options;
    options.parts = {.chunk_indexes = false, .statistics = false};
    std::string file = sample(options);
    memory_source from(bytes_of(file));
    scanner records(&from);
    std::optional<raw_record> record = records.next();
    while (record->code != opcode::chunk) {
        record = records.next();
    }
    const std::size_t at = record->offset;
    for (const std::size_t field : {1UL, 9UL + 16UL, 9UL + 28UL, 9UL + 32UL}) {
        std::string changed = file;
        changed.replace(at + field, 8, std::string(7, '\xff') + '\x7f');
        read_somehow(changed);
        EXPECT_FALSE(rescue(changed).damage.empty());
    }
}

} // namespace
