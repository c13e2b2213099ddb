// SPDX-License-Identifier: MIT
#include "samples.hpp"

#include "mcap/codec.hpp"
#include "mcap/compression.hpp"

#include <algorithm>

namespace test {

std::vector<way> ways() {
    std::vector<way> all = {{"none", {}}, {"lz4", {}}, {"zstd", {}}, {"bare", {}}, {"beside", {}}};
    all[1].options.compression = "lz4";
    all[2].options.compression = "zstd";
    all[3].options.parts.chunks = false;
    all[4].options.parts.definitions_in_chunks = false;
    std::erase_if(all, [](const way &one) { return !knows_compression(one.options.compression); });
    for (way &each : all) {
        each.options.chunk_size = 200;
        each.options.profile = "sample";
        each.options.library = "zbq's tests";
    }
    return all;
}

std::vector<plain_message> sample_messages() {
    constexpr std::uint32_t count = 12;
    std::vector<plain_message> all;
    all.reserve(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        const timestamp time = 1000 + 10 * (i % 4 == 3 ? i - 3 : i); // every fourth is late
        all.push_back({i % 3 == 0 ? "odd" : "even", i, time, std::string(std::size_t{i} * 3, 'a')});
    }
    return all;
}

void write_sample(sink *to, const writer_options &options) {
    writer out(to, options);
    const std::uint16_t type = out.add_schema("type", "text", "a letter, again and again");
    const std::uint16_t even = out.add_channel("even", "raw", type);
    const std::uint16_t odd = out.add_channel("odd", "raw", 0, {{"key", "value"}});
    for (const plain_message &each : sample_messages()) {
        const std::uint16_t id = each.topic == "odd" ? odd : even;
        out.write({id, each.sequence, each.time, each.time, {bytes_of(each.text)}});
        if (each.sequence == 5) {
            out.attach({7, 0, "picture", "image/none", {bytes_of("0123456789")}, 0});
            out.add(metadata{"about", {{"who", "nobody"}}});
        }
    }
    out.finish();
}

std::string sample(const writer_options &options) {
    memory_sink file;
    write_sample(&file, options);
    return text_of(file.view());
}

std::string text_of(bytes from) {
    return {reinterpret_cast<const char *>(from.data()), from.size()};
}

std::vector<plain_message> in_order_of_time(std::vector<plain_message> messages) {
    std::ranges::stable_sort(messages, {}, &plain_message::time);
    return messages;
}

std::vector<plain_message> read_all(source *from, const contents &what, selection wanted) {
    message_reader reader(from, what, std::move(wanted));
    std::vector<plain_message> all;
    while (const message *next = reader.next()) {
        all.push_back({what.channels.at(next->channel_id).topic, next->sequence, next->log_time,
                       text_of(next->data.view)});
    }
    return all;
}

std::vector<plain_message> read_all(const std::string &file) {
    memory_source from(bytes_of(file));
    return read_all(&from, read_contents(from));
}

} // namespace test
