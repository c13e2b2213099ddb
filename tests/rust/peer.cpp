// SPDX-License-Identifier: MIT
//
// The other end of the Rust crate's tests, in C++: reads or writes the messages that
// bindings/rust/zbq/tests/cpp.rs describes, by the socket that is its standard input.
#include <zbq.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <string>
#include <sys/mman.h>
#include <tuple>
#include <unistd.h>
#include <vector>

namespace {

constexpr unsigned messages = 500;

std::vector<std::byte> payload_of(std::size_t message) {
    std::vector<std::byte> bytes(message * 37 % 1500);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<std::byte>(message * 31 + i * 7);
    }
    return bytes;
}

std::string text_of_file(unsigned message, unsigned file) {
    return std::to_string(message) + "/" + std::to_string(file);
}

zbq::unique_fd make_file(const std::string &text) {
    zbq::unique_fd file(memfd_create("zbq-rust", MFD_CLOEXEC));
    if (pwrite(file.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
        throw std::runtime_error("a file cannot be written");
    }
    return file;
}

std::string read_file(int fd) {
    std::array<char, 32> text = {};
    const ssize_t size = pread(fd, text.data(), text.size(), 0);
    return {text.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

void check(zbq::message &message, unsigned number) {
    const std::vector<std::byte> expected = payload_of(number);
    if (!std::ranges::equal(message.payload(), expected) || !message.intact()) {
        throw std::runtime_error("message " + std::to_string(number) + " differs");
    }
    const zbq::descriptors files = message.take_descriptors(zbq::never);
    if (!files || files.size() != number % 3) {
        throw std::runtime_error("message " + std::to_string(number) + " lacks descriptors");
    }
    for (unsigned i = 0; i < files.size(); ++i) {
        if (read_file(files[i]) != text_of_file(number, i)) {
            throw std::runtime_error("a file of message " + std::to_string(number) + " differs");
        }
    }
}

void read_all() {
    zbq::consumer reader(STDIN_FILENO);
    unsigned count = 0;
    while (reader.wait(zbq::never) == zbq::status::ok) {
        zbq::message message = reader.try_next();
        check(message, count++);
    }
    if (count != messages || reader.ending() != zbq::ending::closed) {
        throw std::runtime_error("the stream ended after " + std::to_string(count));
    }
}

void write_all() {
    zbq::producer ring({.capacity = 16384});
    ring.admit(STDIN_FILENO);
    for (unsigned i = 0; i < messages; ++i) {
        std::vector<zbq::unique_fd> files;
        std::vector<int> numbers;
        for (unsigned j = 0; j < i % 3; ++j) {
            files.push_back(make_file(text_of_file(i, j)));
            numbers.push_back(files.back().get());
        }
        if (ring.publish(payload_of(i), numbers, zbq::never) != zbq::status::ok) {
            throw std::runtime_error("message " + std::to_string(i) + " was not published");
        }
    }
}

// ---- of one type ----

struct quote {
    double bid;
    double ask;
    std::uint64_t symbol;
};
using quotes = zbq::channel<quote, "quote/1">;

constexpr unsigned batch_size = 7; // which does not divide their number

quote quote_of(unsigned message) {
    return {message / 2.0, message * 2.0, message};
}

// One by one, or as many as are there, in turn.
void read_quotes() {
    quotes::consumer reader(STDIN_FILENO);
    unsigned count = 0;
    const auto check = [&count](const quote &got) {
        const quote expected = quote_of(count++);
        if (got.bid != expected.bid || got.ask != expected.ask || got.symbol != expected.symbol) {
            throw std::runtime_error("quote " + std::to_string(expected.symbol) + " differs");
        }
    };
    while (reader.wait(zbq::never) == zbq::status::ok) {
        check(*reader.try_next());
        for (auto batch = reader.take_batch(batch_size); const quote &got : batch) {
            check(got);
        }
    }
    if (count != messages || reader.ring().ending() != zbq::ending::closed) {
        throw std::runtime_error("the stream ended after " + std::to_string(count));
    }
}

void write_quotes() {
    quotes::producer sender({.capacity = 4096});
    sender.ring().admit(STDIN_FILENO);
    for (unsigned i = 0; i < messages;) {
        if (sender.send(quote_of(i++), zbq::never) != zbq::status::ok) {
            throw std::runtime_error("a quote was not sent");
        }
        const unsigned more = std::min(batch_size, messages - i);
        if (more == 0) {
            break;
        }
        quotes::batch room = sender.try_batch(more);
        while (!room) {
            std::ignore = sender.ring().wait_for_room(zbq::never);
            room = sender.try_batch(more);
        }
        for (unsigned j = 0; j < more; ++j) {
            *room.add() = quote_of(i++);
        }
        if (room.commit() != zbq::status::ok) {
            throw std::runtime_error("quotes were not committed");
        }
    }
}

// ---- of several types ----

using feed = zbq::variant_channel<"feed/1", quote, std::uint32_t>;

void read_events() {
    feed::consumer reader(STDIN_FILENO);
    unsigned count = 0;
    bool right = true;
    while (reader.wait(zbq::never) == zbq::status::ok) {
        const feed::received got = reader.try_next();
        right = right && got.visit(
                             [count](const quote &each) {
                                 if (count % 3 == 0 || each.symbol != count) {
                                     throw std::runtime_error("a quote differs");
                                 }
                             },
                             [count](std::uint32_t volume) {
                                 if (count % 3 != 0 || volume != count) {
                                     throw std::runtime_error("a volume differs");
                                 }
                             });
        ++count;
    }
    if (!right || count != messages || reader.ring().ending() != zbq::ending::closed) {
        throw std::runtime_error("the stream ended after " + std::to_string(count));
    }
}

void write_events() {
    feed::producer sender({.capacity = 4096});
    sender.ring().admit(STDIN_FILENO);
    for (unsigned i = 0; i < messages; ++i) {
        const zbq::status sent = i % 3 == 0 ? sender.send(std::uint32_t{i}, zbq::never)
                                            : sender.send(quote_of(i), zbq::never);
        if (sent != zbq::status::ok) {
            throw std::runtime_error("an event was not sent");
        }
    }
}

// ---- history, observers, what is retained ----

constexpr std::uint16_t format_key = 7;
constexpr const char *format = "numbers and bytes";

// Its number, and bytes of it.
std::vector<std::byte> numbered(std::uint64_t message) {
    std::vector<std::byte> bytes = payload_of(message);
    const auto *number = reinterpret_cast<const std::byte *>(&message);
    bytes.insert(bytes.begin(), number, number + sizeof message);
    return bytes;
}

void check_retained(zbq::consumer &reader) {
    int count = 0;
    for (const zbq::message_view &each : reader.retained()) {
        const zbq::descriptors files = reader.take_descriptors(each);
        if (each.key() != format_key || files.size() != 1 || read_file(files[0]) != format ||
            !std::ranges::equal(each.payload(), std::as_bytes(std::span(format, strlen(format))))) {
            throw std::runtime_error("what was retained differs");
        }
        ++count;
    }
    if (count != 1) {
        throw std::runtime_error(std::to_string(count) + " messages were retained");
    }
}

// Observes from the oldest message on, to the last of twice as many. Each is whole, and starts
// where the one before has ended, or as far on as was told.
void follow() {
    zbq::consumer reader(STDIN_FILENO, zbq::wakeup::push, zbq::flow::follow);
    check_retained(reader);
    std::vector<std::byte> bytes;
    std::uint64_t next = reader.offset();
    std::uint64_t lost = 0;
    std::uint64_t last = 0;
    while (reader.wait(zbq::never) == zbq::status::ok) {
        const zbq::copied got = reader.try_copy(bytes);
        if (!got) { // lapped since
            continue;
        }
        if (got.offset - next != reader.lost().bytes - lost) {
            throw std::runtime_error("more is missing than was told");
        }
        next = got.offset + zbq::producer::size_of(got.size);
        lost = reader.lost().bytes;
        std::uint64_t number = 0;
        std::memcpy(&number, bytes.data(), sizeof number);
        if (number < last || bytes != numbered(number)) {
            throw std::runtime_error("message " + std::to_string(number) + " differs");
        }
        last = number;
    }
    if (last != 2 * messages - 1 || reader.ending() != zbq::ending::closed) {
        throw std::runtime_error("the stream ended after " + std::to_string(last));
    }
}

// As many before it is observed, from the oldest message on, as after that.
void write_history() {
    zbq::producer ring({.capacity = 65536});
    const zbq::unique_fd file = make_file(format);
    const int fds[] = {file.get()};
    const auto publish = [&ring](std::uint64_t from) {
        for (std::uint64_t i = from; i < from + messages; ++i) {
            if (ring.try_publish(numbered(i)) != zbq::status::ok) {
                throw std::runtime_error("there was no room, though nobody is waited for");
            }
        }
    };
    if (ring.retain(format_key, std::as_bytes(std::span(format, strlen(format))), fds, zbq::now) !=
        zbq::status::ok) {
        throw std::runtime_error("the format was not retained");
    }
    publish(0);
    ring.admit(STDIN_FILENO, zbq::wakeup::push, zbq::flow::follow, zbq::start::oldest());
    publish(messages);
}

// ---- frames ----

constexpr std::size_t frame_size = 20'000;

std::vector<std::byte> frame_of(std::size_t message) {
    std::vector<std::byte> bytes(frame_size - message);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<std::byte>(message * 31 + i * 7);
    }
    return bytes;
}

void read_frames() {
    zbq::frames reader{zbq::consumer(STDIN_FILENO)};
    unsigned count = 0;
    while (reader.wait(zbq::never) == zbq::status::ok) {
        const zbq::received_frame frame = reader.try_next();
        if (!frame) {
            throw std::runtime_error("no frame after " + std::to_string(count));
        }
        if (!std::ranges::equal(frame.bytes(), frame_of(count)) || !frame.intact() ||
            !std::ranges::equal(frame.beside(), payload_of(count))) {
            throw std::runtime_error("frame " + std::to_string(count) + " differs");
        }
        ++count;
    }
    if (count != messages || reader.reader().ending() != zbq::ending::closed) {
        throw std::runtime_error("the stream ended after " + std::to_string(count));
    }
}

void write_frames() {
    zbq::producer ring({.stall_timeout = std::chrono::nanoseconds(0)});
    zbq::frame_pool pool(ring, {.frames = 3, .frame_size = frame_size, .first_key = 100},
                         zbq::never);
    ring.admit(STDIN_FILENO);
    for (unsigned i = 0; i < messages; ++i) {
        zbq::frame frame = pool.acquire(zbq::never);
        const std::vector<std::byte> bytes = frame_of(i);
        std::ranges::copy(bytes, frame.bytes().begin());
        if (frame.publish(bytes.size(), zbq::never, payload_of(i)) != zbq::status::ok) {
            throw std::runtime_error("frame " + std::to_string(i) + " was not published");
        }
    }
}

} // namespace

int main(int argc, char **argv) {
    try {
        const std::string role = argc == 2 ? argv[1] : "";
        if (role == "read") {
            read_all();
        } else if (role == "write") {
            write_all();
        } else if (role == "read-quotes") {
            read_quotes();
        } else if (role == "write-quotes") {
            write_quotes();
        } else if (role == "follow") {
            follow();
        } else if (role == "write-history") {
            write_history();
        } else if (role == "read-events") {
            read_events();
        } else if (role == "write-events") {
            write_events();
        } else if (role == "read-frames") {
            read_frames();
        } else if (role == "write-frames") {
            write_frames();
        } else {
            throw std::runtime_error("usage: zbq_rust_peer read|write|read-quotes|write-quotes|"
                                     "read-events|write-events|follow|write-history|"
                                     "read-frames|write-frames");
        }
        return 0;
    } catch (const std::exception &failure) {
        std::cerr << failure.what() << '\n';
        return 1;
    }
}
