// SPDX-License-Identifier: MIT
//
// What the writer promises: where messages go, and what is left of a file when writing fails.
#include "mcap/codec.hpp"
#include "samples.hpp"

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

namespace {

using namespace test;

// Takes so many bytes, and of what is too much the part that fits.
class full_sink final : public sink {
public:
    explicit full_sink(std::size_t room) : room_(room) {}

    void write(bytes data) override {
        const std::size_t fits = std::min(data.size(), room_ - kept_.size());
        kept_.append(data.first(fits));
        if (fits != data.size()) {
            throw io_error(ENOSPC, "writing");
        }
    }
    void rewind(std::uint64_t size) override {
        if (stuck_) {
            throw io_error(EIO, "cutting off");
        }
        kept_.shrink(size);
    }
    void sync() override {}
    void set_room(std::size_t room) { room_ = room; }
    void set_stuck(bool stuck) { stuck_ = stuck; }
    [[nodiscard]] std::string text() const { return text_of(kept_.view()); }

private:
    std::size_t room_;
    bool stuck_ = false;
    buffer kept_;
};

std::vector<plain_message> recover_all(const std::string &file, std::vector<std::string> *damage) {
    memory_source from(bytes_of(file));
    memory_sink to;
    *damage = recover(&from, &to).damage;
    return read_all(text_of(to.view()));
}

void write_numbers(writer *out, std::uint16_t id, std::uint32_t from, std::uint32_t to) {
    for (std::uint32_t i = from; i < to; ++i) {
        const std::string text = std::to_string(i);
        out->write({id, i, i, i, {bytes_of(text)}});
    }
}

std::vector<std::uint32_t> numbers(const std::vector<plain_message> &messages) {
    std::vector<std::uint32_t> all;
    all.reserve(messages.size());
    for (const plain_message &each : messages) {
        all.push_back(each.sequence);
    }
    return all;
}

TEST(writer, fills_in_place) {
    memory_sink file;
    writer out(&file);
    const std::uint16_t id = out.add_channel("topic", "raw");
    std::memcpy(out.prepare(10), "0123456789", 10);
    out.commit({id, 1, 2, 3, {}}, 4); // less than was prepared
    out.finish();
    EXPECT_EQ(read_all(text_of(file.view())),
              (std::vector<plain_message>{{"topic", 1, 2, "0123"}}));
}

TEST(writer, closes_chunks_by_size_and_by_time) {
    memory_sink file;
    writer out(&file, {.chunk_size = 1000, .chunk_time = 100});
    const std::uint16_t id = out.add_channel("topic", "raw");
    const std::string text(980, 'x');
    out.write({id, 0, 0, 0, {bytes_of("small")}});
    EXPECT_EQ(out.so_far().chunk_count, 0U);
    out.write({id, 0, 0, 0, {bytes_of(text)}});
    EXPECT_EQ(out.so_far().chunk_count, 1U);
    out.write({id, 0, 200, 0, {bytes_of("first")}});
    out.write({id, 0, 299, 0, {bytes_of("second")}});
    EXPECT_EQ(out.so_far().chunk_count, 1U);
    out.write({id, 0, 300, 0, {bytes_of("third")}});
    EXPECT_EQ(out.so_far().chunk_count, 2U);
    EXPECT_EQ(out.so_far().message_count, 5U);
}

TEST(writer, what_was_flushed_is_there_when_all_else_is_lost) {
    for (const way &each : ways()) {
        memory_sink file;
        writer out(&file, each.options);
        const std::uint16_t id = out.add_channel("topic", "raw");
        write_numbers(&out, id, 0, 3);
        out.flush();
        const std::string then = text_of(file.view());
        write_numbers(&out, id, 3, 4);
        std::vector<std::string> damage;
        EXPECT_EQ(numbers(recover_all(then, &damage)), (std::vector<std::uint32_t>{0, 1, 2}))
            << each.name;
        EXPECT_FALSE(damage.empty()) << each.name;
    }
}

// For each size that a disk can have: what was written before it was full is readable, and once
// there is room the end is written.
TEST(writer, goes_on_from_where_a_full_disk_stopped_it) {
    for (const way &each : ways()) {
        const std::size_t whole = sample(each.options).size();
        for (std::size_t room = 0; room < whole; room += 7) {
            SCOPED_TRACE(each.name + " " + std::to_string(room));
            full_sink disk(room);
            writer out(&disk, each.options);
            const std::uint16_t id = out.add_channel("topic", "raw");
            std::uint64_t failures = 0;
            for (std::uint32_t i = 0; i < 20; ++i) {
                try {
                    write_numbers(&out, id, i, i + 1);
                    out.flush();
                } catch (const io_error &error) {
                    EXPECT_EQ(error.code().value(), ENOSPC);
                    ++failures;
                }
            }
            disk.set_room(SIZE_MAX);
            out.finish();
            const std::string text = disk.text();
            memory_source file{bytes_of(text)};
            const contents what = read_contents(file, thoroughness::all);
            EXPECT_EQ(what.damage, std::vector<std::string>());
            EXPECT_EQ(what.statistics.message_count, out.so_far().message_count);
            EXPECT_EQ(read_all(&file, what).size(), out.so_far().message_count);
            if (failures == 0) {
                EXPECT_EQ(out.so_far().message_count, 20U);
            }
        }
    }
}

TEST(writer, cuts_off_what_the_sink_would_not_take_back_then) {
    full_sink disk(200);
    writer out(&disk, {});
    const std::uint16_t id = out.add_channel("topic", "raw");
    write_numbers(&out, id, 0, 1);
    out.flush();
    const std::string good = disk.text();
    disk.set_stuck(true);
    write_numbers(&out, id, 1, 50);
    EXPECT_THROW(out.flush(), io_error);
    EXPECT_GT(disk.text().size(), good.size()); // torn
    EXPECT_THROW(out.finish(), io_error);
    disk.set_stuck(false);
    disk.set_room(SIZE_MAX);
    out.finish();
    EXPECT_TRUE(disk.text().starts_with(good));
    EXPECT_EQ(numbers(read_all(disk.text())), std::vector<std::uint32_t>{0});
}

TEST(writer, knows_its_compressions) {
    memory_sink file;
    EXPECT_THROW(writer(&file, {.compression = "brotli"}), std::runtime_error);
}

TEST(writer, has_no_more_ids_than_the_format) {
    memory_sink file;
    writer out(&file);
    out.add(channel{65535, 0, "last", "", {}});
    EXPECT_THROW(out.add_channel("another", ""), std::length_error);
    EXPECT_EQ(out.add_schema("first", "", ""), 1U);
}

TEST(writer, tells_each_definition_once) {
    memory_sink file;
    writer_options options;
    options.parts.definitions_in_chunks = false;
    writer out(&file, options);
    out.add(channel{3, 0, "topic", "", {}});
    const std::uint64_t size = out.size();
    out.add(channel{3, 0, "topic", "", {}});
    EXPECT_EQ(out.size(), size);
    EXPECT_EQ(out.so_far().channel_count, 1U);
}

class file_test : public testing::Test {
protected:
    file_test()
        : directory_(std::filesystem::temp_directory_path() /
                     ("zbq-mcap-" + std::to_string(getpid()))) {
        std::filesystem::create_directory(directory_);
    }
    ~file_test() override { std::filesystem::remove_all(directory_); }
    [[nodiscard]] std::string path(const std::string &name) const {
        return (directory_ / name).string();
    }

private:
    std::filesystem::path directory_;
};

int error_of(const std::function<void()> &what) {
    try {
        what();
    } catch (const io_error &error) {
        return error.code().value();
    }
    return 0;
}

TEST_F(file_test, writes_what_memory_has) {
    {
        file_sink to(path("one"));
        write_sample(&to, ways()[0].options);
        to.sync();
        to.close();
    }
    file_source from(path("one"));
    std::string text(from.size(), '\0');
    EXPECT_EQ(from.read(0, std::as_writable_bytes(std::span(text))), text.size());
    EXPECT_EQ(text, sample(ways()[0].options));
    EXPECT_EQ(from.read(text.size(), std::as_writable_bytes(std::span(text))), 0U);
}

TEST_F(file_test, replaces_only_when_asked_to) {
    file_sink first(path("one"));
    EXPECT_EQ(error_of([&] { file_sink(path("one"), false); }), EEXIST);
    EXPECT_EQ(error_of([&] { file_sink(path("one"), true); }), 0);
    EXPECT_EQ(error_of([&] { file_sink(path("none/one")); }), ENOENT);
}

TEST_F(file_test, reads_files_alone) {
    EXPECT_EQ(error_of([&] { file_source(path("none")); }), ENOENT);
    EXPECT_EQ(error_of([&] { file_source(path("")); }), EISDIR);
    EXPECT_EQ(error_of([&] { file_source("/dev/null"); }), EINVAL);
}

// A limit stands in for a full disk: the write that meets it is short, and the next one fails.
TEST_F(file_test, tells_that_there_is_no_room_and_cuts_off_what_was_begun) {
    signal(SIGXFSZ, SIG_IGN);
    file_sink to(path("one"));
    writer out(&to, {.chunk_size = 100});
    const std::uint16_t id = out.add_channel("topic", "raw");
    write_numbers(&out, id, 0, 10);
    out.flush();
    rlimit limit = {};
    getrlimit(RLIMIT_FSIZE, &limit);
    const rlimit tight = {static_cast<rlim_t>(out.size()) + 50, limit.rlim_max};
    setrlimit(RLIMIT_FSIZE, &tight);
    EXPECT_EQ(error_of([&] {
                  write_numbers(&out, id, 10, 20);
                  out.flush();
              }),
              EFBIG);
    EXPECT_EQ(std::filesystem::file_size(path("one")), out.size());
    setrlimit(RLIMIT_FSIZE, &limit);
    out.finish();
    to.close();
    file_source from(path("one"));
    EXPECT_EQ(read_contents(from, thoroughness::all).damage, std::vector<std::string>());
}

TEST_F(file_test, tells_of_errors_of_the_device) {
    file_sink full("/dev/full");
    writer out(&full);
    EXPECT_EQ(error_of([&] { out.finish(); }), ENOSPC);
}

} // namespace
