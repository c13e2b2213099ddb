// SPDX-License-Identifier: MIT
//
// What bench/recording.sh needs beside the tool: a publisher that costs little, the writer of files
// alone, and the comparison of two recordings' times.
#include "mcap/reader.hpp"
#include "mcap/writer.hpp"

#include <zbq.hpp>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>
#include <fmt/core.h>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace zbq;

double seconds_of(clockid_t clock) {
    timespec now = {};
    clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// To one reader who waits for nobody; a message every so many nanoseconds, 0: as there is room.
void publish(const std::string &name, std::size_t size, std::uint64_t count, std::uint64_t every) {
    listener door(name);
    producer ring({.capacity = 64U << 20U, .stall_timeout = std::chrono::seconds(60)});
    ring.attach(door);
    std::ignore = ring.serve_until(never, [&] { return ring.statistics().consumers != 0; });
    const std::vector<std::byte> data(size, std::byte{0x5a});
    auto due = zbq::clock::now();
    for (std::uint64_t i = 0; i < count; ++i) {
        if (every != 0) {
            due += std::chrono::nanoseconds(every);
            std::this_thread::sleep_until(due);
        }
        reservation room = ring.reserve(size, never);
        std::memcpy(room.payload().data(), data.data(), size);
        std::ignore = room.commit();
    }
}

void write(const std::string &path, std::size_t size, std::uint64_t count,
           const std::string &compression) {
    const double begun = seconds_of(CLOCK_MONOTONIC);
    const double used = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
    mcap::file_sink file(path);
    mcap::writer out(&file, {.compression = compression});
    const std::uint16_t id = out.add_channel("bench", "raw");
    const std::vector<std::byte> data(size, std::byte{0x5a});
    for (std::uint64_t i = 0; i < count; ++i) {
        std::memcpy(out.prepare(size), data.data(), size);
        out.commit({id, static_cast<std::uint32_t>(i), i, i, {}}, size);
    }
    out.finish();
    file.close();
    const double time = seconds_of(CLOCK_MONOTONIC) - begun;
    const double mega = static_cast<double>(count * size) / 1e6;
    fmt::print("{:.2f} million messages/s, {:.0f} MB/s, {:.3f} ms of processor for a MB\n",
               static_cast<double>(count) / time / 1e6, mega / time,
               (seconds_of(CLOCK_PROCESS_CPUTIME_ID) - used) * 1e3 / mega);
}

// The log times of a topic's messages, by their numbers.
std::map<std::uint32_t, mcap::timestamp> times_of(const std::string &path,
                                                  const std::string &topic) {
    mcap::file_source file(path);
    const mcap::contents what = read_contents(file);
    mcap::message_reader messages(&file, what);
    std::map<std::uint32_t, mcap::timestamp> times;
    while (const mcap::message *next = messages.next()) {
        if (what.channels.at(next->channel_id).topic == topic) {
            times.emplace(next->sequence, next->log_time);
        }
    }
    return times;
}

// How far each message of the second lies from where the first says, by the pace of all of them.
void compare(const std::string &one, const std::string &other, const std::string &topic) {
    const auto was = times_of(one, topic);
    const auto is = times_of(other, topic);
    std::vector<double> shifts; // microseconds from the one recording to the other
    shifts.reserve(is.size());
    for (const auto &[number, time] : is) {
        const auto there = was.find(number);
        if (there != was.end()) {
            shifts.push_back(static_cast<double>(time - there->second) / 1e3);
        }
    }
    if (shifts.empty()) {
        fmt::print("nothing to compare\n");
        return;
    }
    const auto share_of = [](std::vector<double> *of, double share) {
        std::ranges::sort(*of);
        return (*of)[static_cast<std::size_t>(share * static_cast<double>(of->size() - 1))];
    };
    const double first = shifts.front();
    const double pace = share_of(&shifts, 0.5); // the message in the middle has it
    for (double &shift : shifts) {
        shift = std::abs(shift - pace);
    }
    fmt::print("{} messages: off by {:.0f} us (median), {:.0f} us (99 of 100), {:.0f} us (most), "
               "the first by {:.0f} us\n",
               shifts.size(), share_of(&shifts, 0.5), share_of(&shifts, 0.99), share_of(&shifts, 1),
               std::abs(first - pace));
}

} // namespace

int main(int argc, char **argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    try {
        if (words.size() == 5 && words[0] == "publish") {
            publish(words[1], std::stoull(words[2]), std::stoull(words[3]), std::stoull(words[4]));
        } else if (words.size() == 5 && words[0] == "write") {
            write(words[1], std::stoull(words[2]), std::stoull(words[3]), words[4]);
        } else if (words.size() == 4 && words[0] == "compare") {
            compare(words[1], words[2], words[3]);
        } else {
            fmt::print(stderr, "see bench/recording.sh\n");
            return 2;
        }
    } catch (const std::exception &error) {
        fmt::print(stderr, "{}\n", error.what());
        return 1;
    }
    return 0;
}
