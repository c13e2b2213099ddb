// SPDX-License-Identifier: MIT
#include "broadcaster.hpp"

#include "errors.hpp"
#include "runtime_dir.hpp"
#include "signals.hpp"
#include "units.hpp"

#include <algorithm>
#include <cstring>
#include <fcntl.h>

namespace zbq::tool {

namespace {

constexpr uint64_t clog_threshold = 16;
constexpr uint64_t longest_sleep = 250 * millisecond; // so that flags and clocks are seen
constexpr size_t header_size = sizeof(zbq_msg_header);

size_t message_size(size_t payload_size) {
    constexpr size_t mask = ZBQ_MSG_ALIGN - 1;
    return (header_size + payload_size + mask) & ~mask;
}

std::vector<unique_fd> open_files(const std::vector<std::string> &paths) {
    std::vector<unique_fd> files;
    for (const std::string &path : paths) {
        files.emplace_back(open(path.c_str(), O_RDONLY | O_NOCTTY | O_CLOEXEC));
        if (!files.back()) {
            throw system_failure(path);
        }
    }
    return files;
}

zbq_producer *create_producer(const pub_options &options) {
    const zbq_producer_params params = {options.capacity, clog_threshold, options.stall_timeout,
                                        options.max_consumers};
    zbq_producer *producer = nullptr;
    const int result = zbq_producer_create(&producer, &params);
    if (result == ZBQ_ERROR_IO) {
        throw system_failure("could not make the ring");
    }
    if (result != ZBQ_OK) {
        throw failure(fmt::format("could not make a ring of {} bytes: {}", options.capacity,
                                  zbq_strerror(result)));
    }
    return producer;
}

} // namespace

broadcaster::broadcaster(const pub_options &options)
    : options_(options), files_(open_files(options.files)),
      door_(std::in_place, rendezvous_path(options.name, directory_use::create)),
      producer_(create_producer(options)),
      evictions_(std::in_place, producer_.get(), options.max_consumers), progress_(!options.quiet) {
    start_clock();
}

void broadcaster::start_clock() {
    started_ = now_ns();
    last_scan_ = started_;
}

// ---- waiting ----

bool broadcaster::wait_for_consumers(uint32_t count) {
    zbq_producer_statistics stats = {};
    while (stop_signal() == 0) {
        zbq_producer_stats(producer_.get(), &stats);
        if (stats.consumers >= count) {
            start_clock();
            return true;
        }
        idle(longest_sleep);
    }
    return false;
}

bool broadcaster::wait_for_input(int fd) {
    bool readable = false;
    while (stop_signal() == 0 && !readable) {
        idle(longest_sleep, fd, &readable);
    }
    return readable;
}

bool broadcaster::wait_for_turn() {
    if (options_.rate <= 0) {
        return stop_signal() == 0;
    }
    // By the clock, not from message to message: delays do not add up.
    const double due_after =
        static_cast<double>(published_.messages) / options_.rate * static_cast<double>(second);
    const uint64_t due = started_ + static_cast<uint64_t>(due_after);
    for (uint64_t now = now_ns(); now < due && stop_signal() == 0; now = now_ns()) {
        idle(std::min(due - now, longest_sleep));
    }
    return stop_signal() == 0;
}

void broadcaster::idle(uint64_t nanoseconds, int input, bool *readable) {
    polled_.assign(1, {input, POLLIN, 0}); // poll ignores -1
    door_->add_to(&polled_);
    const timespec time = {static_cast<time_t>(nanoseconds / second),
                           static_cast<long>(nanoseconds % second)};
    const int ready = ppoll(polled_.data(), polled_.size(), &time, nullptr);
    const bool has_input = ready > 0 && polled_.front().revents != 0;
    if (readable != nullptr) {
        *readable = has_input;
    }
    if (ready > (has_input ? 1 : 0)) {
        serve(); // someone at the door
    } else {
        serve_between_messages();
    }
}

// ---- what else there is to do ----

void broadcaster::serve_between_messages() {
    if (now_coarse_ns() - last_served_ >= millisecond) {
        serve();
    }
}

void broadcaster::serve() {
    door_->serve(this);
    const uint64_t now = now_ns();
    if (now - last_scan_ >= second) {
        scan();
    }
    report_evictions();
    if (progress_.due(now)) {
        show_progress(now);
    }
    last_served_ = now_coarse_ns();
}

void broadcaster::scan() {
    zbq_producer_scan(producer_.get());
    last_scan_ = now_ns();
}

void broadcaster::report_evictions() {
    evictions_->report(published_, now_ns() - started_, &progress_);
}

void broadcaster::show_progress(uint64_t now) {
    zbq_producer_statistics stats = {};
    zbq_producer_stats(producer_.get(), &stats);
    const auto lag = static_cast<double>(stats.head - stats.slowest_tail);
    progress_.show(now, published_,
                   fmt::format("lag {}, {} consumers", format_bytes(lag), stats.consumers));
}

bool broadcaster::has_room() {
    zbq_producer_statistics stats = {};
    zbq_producer_stats(producer_.get(), &stats);
    if (stats.consumers == stats.max_consumers) {
        scan(); // some may be gone
    }
    report_evictions(); // before their slots are taken again
    zbq_producer_stats(producer_.get(), &stats);
    return stats.consumers < stats.max_consumers;
}

void broadcaster::admit(int connection, zbq_wakeup_mode mode) {
    uint32_t slot = 0;
    const int result = zbq_producer_handshake(producer_.get(), connection, mode, &slot);
    const int error = errno;
    if (result == ZBQ_OK) {
        evictions_->joined(slot, peer_pid(connection));
        return;
    }
    if (result == ZBQ_ERROR_IO && (error == EPIPE || error == ECONNRESET)) {
        return; // it changed its mind
    }
    progress_.clear();
    fmt::print(stderr, "zbq: could not admit process {}: {}\n", peer_pid(connection),
               result == ZBQ_ERROR_IO ? error_text(error) : zbq_strerror(result));
}

// ---- messages ----

// The producer has to wait: does what else there is and sleeps a moment. False when a stop
// signal came.
bool broadcaster::wait_for_change(int result, const char *what) {
    if (result != ZBQ_ERROR_AGAIN) {
        throw failure(fmt::format("could not {}: {}", what, zbq_strerror(result)));
    }
    serve();
    return stop_signal() == 0;
}

char *broadcaster::reserve(size_t payload_size) {
    zbq_contiguous_run run = {};
    backoff pause;
    for (;;) {
        const int result = zbq_producer_reserve(producer_.get(), message_size(payload_size), &run);
        if (result == ZBQ_OK) {
            base_ = static_cast<char *>(run.base);
            return base_ + header_size;
        }
        if (!wait_for_change(result, "get room in the ring")) {
            return nullptr;
        }
        pause.sleep();
    }
}

bool broadcaster::send_files(uint64_t seq_id) {
    std::vector<int> fds;
    for (const unique_fd &file : files_) {
        fds.push_back(file.get());
    }
    backoff pause;
    for (;;) {
        const int result = zbq_producer_broadcast_fds(producer_.get(), seq_id, fds.data(),
                                                      static_cast<uint8_t>(fds.size()));
        if (result == ZBQ_OK) {
            return true;
        }
        if (!wait_for_change(result, "send the descriptors")) {
            return false;
        }
        pause.sleep();
    }
}

bool broadcaster::commit(size_t payload_size) {
    zbq_msg_header header = {};
    header.payload_len = static_cast<uint32_t>(payload_size);
    if (published_.messages == 0 && !files_.empty()) {
        header.seq_id = zbq_producer_next_seq_id(producer_.get());
        header.fd_count = static_cast<uint8_t>(files_.size());
        if (!send_files(header.seq_id)) {
            return false;
        }
    }
    const size_t size = message_size(payload_size);
    const size_t used = header_size + payload_size;
    std::memcpy(base_, &header, header_size);
    std::memset(base_ + used, 0, size - used);
    if (!zbq_producer_commit(producer_.get(), size, ZBQ_COMMIT_NONE)) {
        throw failure("the ring refused a commit");
    }
    ++published_.messages;
    published_.bytes += payload_size;
    if (published_.messages % 16 == 0) {
        serve_between_messages();
    }
    return true;
}

void broadcaster::abandon() {
    zbq_producer_commit(producer_.get(), 0, ZBQ_COMMIT_NONE);
}

void broadcaster::end_stream() {
    door_.reset(); // first, so that nobody finds a stream that has ended
    scan();
    report_evictions();
    ended_ = now_ns();
    producer_.reset();
    progress_.clear();
}

void broadcaster::summarize() {
    const double time = as_seconds(ended_ - started_);
    const double per = time > 0 ? 1 / time : 0;
    const auto messages = static_cast<double>(published_.messages);
    const auto bytes = static_cast<double>(published_.bytes);
    fmt::print(stderr,
               "zbq: {} messages, {} bytes in {:.3f} s ({:.0f} messages/s, {}/s), {} "
               "consumers evicted or gone\n",
               published_.messages, published_.bytes, time, messages * per,
               format_bytes(bytes * per), evictions_->evicted());
}

} // namespace zbq::tool
