// SPDX-License-Identifier: MIT
//
// What carries frames from one machine to another: a stream of messages that is kept, numbered
// from 1, and read from any number on. All that the bridge knows of it is here; NATS's part is in
// nats/. tests/bridge/carrier_test.cpp says what a carrier has to do.
//
// An object is used by one thread. No call waits longer than `answer_time` but for what is said.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace zbq::bridge {

inline constexpr std::chrono::milliseconds answer_time(3000);

// What went wrong. Unless it is final, a new writer or reader may do better later.
class trouble : public std::runtime_error {
public:
    explicit trouble(const std::string &text, bool is_final = false)
        : std::runtime_error(text), is_final_(is_final) {}
    [[nodiscard]] bool is_final() const { return is_final_; }

private:
    bool is_final_;
};

// Where the carrier is, and as whom. Empty: not.
struct server_options {
    std::vector<std::string> urls = {};
    std::string credentials = {}; // a file
    std::string user = {};
    std::string password = {};
    std::string token = {};
    std::string ca = {}; // files
    std::string certificate = {};
    std::string key = {};
    std::string host = {}; // that the server's certificate is of
    std::string name = {}; // of this connection, for who looks at the server
};

// A stream, and how it is made where it is not there.
struct stream_options {
    std::string name = {};
    bool create = true;
    bool in_memory = false;
    unsigned replicas = 1;
    std::uint64_t max_bytes = 0; // 0: no limit
    std::uint64_t max_age = 0;   // nanoseconds; 0: no limit
};

struct stream_state {
    std::string identity = {}; // another one for a stream that was made anew under its name
    std::uint64_t first = 0;   // number of the first message that is still there
    std::uint64_t last = 0;    // of the last one that ever was
    std::size_t largest = 0;   // bytes of a message
    bool operator==(const stream_state &) const = default;
};

struct stored {
    std::uint64_t number = 0;
    std::vector<std::byte> data = {};
    std::uint64_t behind = 0; // how many came after it, when it was sent
};

// What became of a message that was sent.
struct answer {
    enum class kind {
        stored,
        duplicate, // it was there already, under the number
        conflict,  // the stream did not end where it was to
        refused,   // for now, or for ever: see text
    };
    kind what = kind::stored;
    std::uint64_t wanted = 0; // number that it was to get
    std::uint64_t number = 0; // that it has got
    std::string text = {};
};

class writer {
public:
    // Connects, and finds or makes the stream. @throws trouble
    writer(const server_options &where, const stream_options &what);
    writer(const writer &) = delete;
    writer &operator=(const writer &) = delete;
    writer(writer &&) = delete;
    writer &operator=(writer &&) = delete;
    ~writer();

    // Asks the server. @throws trouble
    [[nodiscard]] stream_state state();
    [[nodiscard]] std::optional<stored> last(); // of those that are still there

    // Sends a message that is to be stored as the one after number `after`, and not at all where
    // the stream has come further, or not so far. The same id again within two minutes is a
    // duplicate. The answer comes later. @throws trouble
    void send(std::span<const std::byte> data, const std::string &id, std::uint64_t after);

    // The next answer, if there is one. Never waits. @throws trouble where the connection is gone
    [[nodiscard]] std::optional<answer> take();
    // Readable when there may be one. It stays this object's.
    [[nodiscard]] int event_fd() const;

private:
    struct part;
    std::unique_ptr<part> part_;
};

class reader {
public:
    // Connects, and finds the stream. @throws trouble
    reader(const server_options &where, const std::string &stream);
    reader(const reader &) = delete;
    reader &operator=(const reader &) = delete;
    reader(reader &&) = delete;
    reader &operator=(reader &&) = delete;
    ~reader();

    [[nodiscard]] stream_state state();

    // From this number on, or the first that is there after it. Called once. What is held here
    // before it is taken is about so many bytes at most, or one message. @throws trouble
    void start(std::uint64_t number, std::size_t window);

    // The next message, if there is one: numbers rise. Never waits.
    // @throws trouble where the connection is gone, or the server does not answer any more
    [[nodiscard]] std::optional<stored> take();
    [[nodiscard]] int event_fd() const;

private:
    struct part;
    std::unique_ptr<part> part_;
};

} // namespace zbq::bridge
