// SPDX-License-Identifier: MIT
//
// The files of a recording, written by a thread of its own, so that a slow disk holds up no reading
// before so much memory is in use; or, as a flight recorder, the memory alone, until it is asked
// for.
#pragma once

#include "mcap/writer.hpp"
#include "recording_options.hpp"

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

namespace zbq::tool {

// What a ring retains, for whoever reads the file.
struct retained_copy {
    std::string name; // of the attachment
    std::vector<std::byte> data;
    mcap::timestamp time = 0;
    bool forgotten = false;
    bool is_initial = false; // when the ring was joined: later it comes with the messages
};

// What was done so far.
struct stored {
    std::uint64_t messages = 0; // in files
    std::uint64_t bytes = 0;    // of files
    std::uint64_t waiting = 0;  // bytes in memory
    std::uint32_t files = 0;
    std::string file; // the newest; empty: none yet
    bool failed = false;
};

class storage {
public:
    explicit storage(const record_options &options) : options_(options) {}
    ~storage(); // what was not finished is left as it is
    // Opens the first file, but for a flight recorder; what was given before goes there.
    // @throws mcap::io_error
    void start();
    storage(const storage &) = delete;
    storage &operator=(const storage &) = delete;
    storage(storage &&) = delete;
    storage &operator=(storage &&) = delete;

    // In this order into the file. These wait while too much waits for the disk already; false: it
    // has failed.
    bool define(const mcap::channel &what);
    bool keep(retained_copy what);
    bool put(mcap::sealed_chunk what);
    // Of a flight recorder: all that it has, as a file.
    bool dump();

    // Ends the file. What has failed before is told here. @throws failure
    void finish();

    [[nodiscard]] stored so_far() const;

private:
    struct dump_request {};
    using item = std::variant<mcap::channel, retained_copy, mcap::sealed_chunk, dump_request>;

    bool add(item what, std::uint64_t size);
    void run();
    void work();
    void take(mcap::channel &&what);
    void take(retained_copy &&what);
    void take(mcap::sealed_chunk &&what);
    void take(dump_request what);
    void write(const mcap::sealed_chunk &what);
    void hold(mcap::sealed_chunk &&what);
    void sync_if_due();
    void split_if_due(const mcap::sealed_chunk &next);
    void open();
    void close();
    void fail(const std::exception &why);
    [[nodiscard]] std::string path_of(std::uint32_t number) const;
    void note_progress();

    const record_options &options_;

    // The thread's alone.
    std::unique_ptr<mcap::file_sink> file_;
    std::optional<mcap::writer> writer_;
    std::map<std::uint16_t, mcap::channel> channels_;
    std::map<std::string, retained_copy> retained_;
    std::deque<mcap::sealed_chunk> window_; // of a flight recorder
    std::uint64_t window_bytes_ = 0;
    std::uint32_t number_ = 0; // of the file
    std::uint32_t files_ = 0;
    std::deque<std::string> paths_;
    mcap::timestamp file_start_ = 0;
    std::uint64_t synced_at_ = 0;
    std::uint64_t synced_size_ = 0;
    std::uint64_t messages_before_ = 0; // in finished files
    std::uint64_t bytes_before_ = 0;

    mutable std::mutex mutex_; // of what follows
    std::condition_variable changed_;
    std::deque<std::pair<item, std::uint64_t>> queue_;
    std::uint64_t waiting_ = 0;
    stored so_far_;
    bool ending_ = false;
    std::string failure_;

    std::thread thread_; // last: it uses all of these
};

} // namespace zbq::tool
