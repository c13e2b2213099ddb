// SPDX-License-Identifier: MIT
//
// The files of the MCAP project: each is read as its description says, and the writer makes the
// same bytes from that. Where the data was fetched without its large files, there are their sizes
// and SHA-256 in their place: then what the writer makes has these, and is what is read.
#include "digest.hpp"
#include "mcap/codec.hpp"
#include "samples.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sstream>

namespace {

using namespace test;
using nlohmann::json;
namespace fs = std::filesystem;

fs::path directory() {
    const char *chosen = std::getenv("ZBQ_MCAP_CONFORMANCE");
    return chosen != nullptr ? chosen : ZBQ_MCAP_CONFORMANCE;
}

std::string file_at(const fs::path &path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

// ---- the description, as the reader finds it ----

json number(std::uint64_t value) {
    return std::to_string(value);
}
json list(bytes from) {
    json all = json::array();
    for (const std::byte each : from) {
        all.push_back(number(static_cast<std::uint64_t>(each)));
    }
    return all;
}
template <typename Map>
json numbers(const Map &map) {
    json all = json::object();
    for (const auto &[key, value] : map) {
        all[std::to_string(key)] = number(value);
    }
    return all;
}

// A JSON object has its keys in order, as the description has its fields.
json describe(const char *type, const json &fields) {
    json pairs = json::array();
    for (const auto &[key, value] : fields.items()) {
        pairs.push_back({key, value});
    }
    return {{"type", type}, {"fields", pairs}};
}

json tell(const header &of) {
    return describe("Header", {{"library", of.library}, {"profile", of.profile}});
}
json tell(const footer &of) {
    return describe("Footer", {{"summary_start", number(of.summary_start)},
                               {"summary_offset_start", number(of.summary_offset_start)},
                               {"summary_crc", number(of.summary_crc)}});
}
json tell(const schema &of) {
    return describe("Schema", {{"id", number(of.id)},
                               {"name", of.name},
                               {"encoding", of.encoding},
                               {"data", list(bytes_of(of.data))}});
}
json tell(const channel &of) {
    return describe("Channel", {{"id", number(of.id)},
                                {"schema_id", number(of.schema_id)},
                                {"topic", of.topic},
                                {"message_encoding", of.message_encoding},
                                {"metadata", json(of.metadata)}});
}
json tell(const message &of) {
    return describe("Message", {{"channel_id", number(of.channel_id)},
                                {"sequence", number(of.sequence)},
                                {"log_time", number(of.log_time)},
                                {"publish_time", number(of.publish_time)},
                                {"data", list(of.data.view)}});
}
json tell(const attachment &of) {
    return describe("Attachment", {{"log_time", number(of.log_time)},
                                   {"create_time", number(of.create_time)},
                                   {"name", of.name},
                                   {"media_type", of.media_type},
                                   {"data", list(of.data.view)}});
}
json tell(const metadata &of) {
    return describe("Metadata", {{"name", of.name}, {"metadata", json(of.values)}});
}
json tell(const data_end &of) {
    return describe("DataEnd", {{"data_section_crc", number(of.data_section_crc)}});
}
json tell(const chunk_index &of) {
    return describe("ChunkIndex", {{"message_start_time", number(of.message_start_time)},
                                   {"message_end_time", number(of.message_end_time)},
                                   {"chunk_start_offset", number(of.chunk_start_offset)},
                                   {"chunk_length", number(of.chunk_length)},
                                   {"message_index_offsets", numbers(of.message_index_offsets)},
                                   {"message_index_length", number(of.message_index_length)},
                                   {"compression", of.compression},
                                   {"compressed_size", number(of.compressed_size)},
                                   {"uncompressed_size", number(of.uncompressed_size)}});
}
json tell(const attachment_index &of) {
    return describe("AttachmentIndex", {{"offset", number(of.offset)},
                                        {"length", number(of.length)},
                                        {"log_time", number(of.log_time)},
                                        {"create_time", number(of.create_time)},
                                        {"data_size", number(of.data_size)},
                                        {"name", of.name},
                                        {"media_type", of.media_type}});
}
json tell(const metadata_index &of) {
    return describe(
        "MetadataIndex",
        {{"offset", number(of.offset)}, {"length", number(of.length)}, {"name", of.name}});
}
json tell(const statistics &of) {
    return describe("Statistics", {{"message_count", number(of.message_count)},
                                   {"schema_count", number(of.schema_count)},
                                   {"channel_count", number(of.channel_count)},
                                   {"attachment_count", number(of.attachment_count)},
                                   {"metadata_count", number(of.metadata_count)},
                                   {"chunk_count", number(of.chunk_count)},
                                   {"message_start_time", number(of.message_start_time)},
                                   {"message_end_time", number(of.message_end_time)},
                                   {"channel_message_counts", numbers(of.channel_message_counts)}});
}
json tell(const summary_offset &of) {
    return describe("SummaryOffset",
                    {{"group_opcode", number(static_cast<std::uint64_t>(of.group_opcode))},
                     {"group_start", number(of.group_start)},
                     {"group_length", number(of.group_length)}});
}

// Those of a chunk for the chunk, and no message indexes: so the descriptions have them.
class teller {
public:
    void tell_of(const raw_record &record) {
        if (record.code == opcode::chunk) {
            const unpacked inner = unpack(decode<chunk>(record.content));
            EXPECT_FALSE(inner.wrong);
            each_record(inner.records.view(), [this](const raw_record &each) { tell_of(each); });
            return;
        }
        add_if<header, footer, schema, channel, message, attachment, metadata, data_end,
               chunk_index, attachment_index, metadata_index, statistics, summary_offset>(record);
    }
    [[nodiscard]] const json &all() const { return all_; }

private:
    template <typename... Records>
    void add_if(const raw_record &record) {
        const auto add = [&](auto kind) {
            if (record.code == decltype(kind)::code) {
                all_.push_back(tell(decode<decltype(kind)>(record.content)));
            }
        };
        (add(Records()), ...);
    }

    json all_ = json::array();
};

json read_back(const std::string &file) {
    memory_source from(bytes_of(file));
    teller found;
    scanner records(&from);
    std::optional<raw_record> record;
    do {
        record = records.next();
        EXPECT_TRUE(record) << "no footer";
        if (record) {
            found.tell_of(*record);
        }
    } while (record && record->code != opcode::footer);
    EXPECT_EQ(records.offset(), file.size() - magic.size());
    return found.all();
}

// ---- the file, from the description ----

class described {
public:
    explicit described(const json &record) : type_(record["type"]) {
        for (const json &field : record["fields"]) {
            fields_[field[0]] = field[1];
        }
    }

    [[nodiscard]] const std::string &type() const { return type_; }
    [[nodiscard]] std::string text(const char *field) const { return fields_.at(field); }
    template <typename Number = std::uint64_t>
    [[nodiscard]] Number number(const char *field) const {
        return static_cast<Number>(std::stoull(text(field)));
    }
    [[nodiscard]] std::string data() const {
        std::string all;
        for (const json &each : fields_.at("data")) {
            all.push_back(static_cast<char>(std::stoul(each.get<std::string>())));
        }
        return all;
    }
    [[nodiscard]] string_map values() const { return fields_.at("metadata").get<string_map>(); }

private:
    std::string type_;
    json fields_ = json::object();
};

writer_options options_of(const json &features) {
    const auto has = [&](const char *feature) {
        return std::find(features.begin(), features.end(), feature) != features.end();
    };
    writer_options options;
    options.parts = {.chunks = has("ch"),
                     .definitions_in_chunks = true,
                     .message_indexes = has("mx"),
                     .chunk_indexes = has("chx"),
                     .attachment_indexes = has("ax"),
                     .metadata_indexes = has("mdx"),
                     .statistics = has("st"),
                     .schemas = has("rsh"),
                     .channels = has("rch"),
                     .summary_offsets = has("sum")};
    options.extension = has("pad") ? "\x01\xff\xff" : "";
    return options;
}

std::string rebuild(const json &description) {
    memory_sink file;
    writer out(&file, options_of(description["meta"]["variant"]["features"]));
    for (const json &record : description["records"]) {
        const described one(record);
        if (one.type() == "DataEnd") {
            break; // all else follows from that
        }
        if (one.type() == "Schema") {
            out.add(schema{one.number<std::uint16_t>("id"), one.text("name"), one.text("encoding"),
                           one.data()});
        } else if (one.type() == "Channel") {
            out.add(channel{one.number<std::uint16_t>("id"), one.number<std::uint16_t>("schema_id"),
                            one.text("topic"), one.text("message_encoding"), one.values()});
        } else if (one.type() == "Message") {
            const std::string data = one.data();
            out.write({one.number<std::uint16_t>("channel_id"),
                       one.number<std::uint32_t>("sequence"),
                       one.number("log_time"),
                       one.number("publish_time"),
                       {bytes_of(data)}});
        } else if (one.type() == "Attachment") {
            const std::string data = one.data();
            out.attach({one.number("log_time"),
                        one.number("create_time"),
                        one.text("name"),
                        one.text("media_type"),
                        {bytes_of(data)},
                        0});
        } else if (one.type() == "Metadata") {
            out.add(metadata{one.text("name"), one.values()});
        }
    }
    out.finish();
    return text_of(file.view());
}

// What stands in a file's place, "... oid sha256:HEX", "size N" in lines.
void expect_same(const std::string &made, const std::string &there) {
    if (!there.starts_with("version ")) {
        EXPECT_EQ(made, there);
        return;
    }
    zbq::tool::digest hash;
    hash.add(made.data(), made.size());
    EXPECT_NE(there.find("sha256:" + hash.hex() + "\n"), std::string::npos);
    EXPECT_NE(there.find("size " + std::to_string(made.size()) + "\n"), std::string::npos);
}

TEST(conformance, each_file_is_read_and_written_as_described) {
    if (!fs::is_directory(directory())) {
        GTEST_SKIP() << "no conformance data in " << directory()
                     << "; ZBQ_MCAP_CONFORMANCE says where it is";
    }
    std::size_t files = 0;
    for (const fs::directory_entry &entry : fs::recursive_directory_iterator(directory())) {
        if (entry.path().extension() != ".json") {
            continue;
        }
        SCOPED_TRACE(entry.path().filename().string());
        const json description = json::parse(file_at(entry.path()));
        const std::string there = file_at(fs::path(entry.path()).replace_extension(".mcap"));
        const std::string made = rebuild(description);
        expect_same(made, there);
        const std::string &read = there.starts_with("version ") ? made : there;
        EXPECT_EQ(read_back(read), description["records"]);

        memory_source from(bytes_of(read));
        for (const thoroughness how : {thoroughness::summary, thoroughness::all}) {
            EXPECT_EQ(read_contents(from, how).damage, std::vector<std::string>());
        }
        ++files;
    }
    EXPECT_GT(files, 0U);
}

} // namespace
