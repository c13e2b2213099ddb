// SPDX-License-Identifier: MIT
//
// zbq sub: ring to output.
#include "commands.hpp"
#include "contact.hpp"
#include "errors.hpp"
#include "runtime_dir.hpp"
#include "signals.hpp"
#include "sink.hpp"
#include "units.hpp"

#include <array>
#include <optional>
#include <unistd.h>

namespace zbq::tool {

namespace {

constexpr uint64_t check_interval = 100 * millisecond;

int interrupted() {
    return 128 + stop_signal();
}

consumer_handle find_publisher(const sub_options &options) {
    const std::string path = rendezvous_path(options.name, directory_use::look);
    consumer_handle consumer = join_stream(path, options.mode);
    while (!consumer && options.wait && stop_signal() == 0) {
        sleep_ns(50 * millisecond);
        consumer = join_stream(path, options.mode);
    }
    return consumer;
}

class subscription {
public:
    subscription(const sub_options &options, consumer_handle consumer)
        : options_(options), consumer_(std::move(consumer)), sink_(options),
          progress_(!options.writes_messages() || !isatty(STDOUT_FILENO)) {}

    // To the end: the exit status.
    int run() {
        std::optional<int> status;
        while (!status) {
            status = stop_signal() != 0 ? interrupted() : step();
        }
        progress_.clear();
        sink_.print_accounts();
        return *status;
    }

private:
    using outcome = std::optional<int>; // the exit status, at the end

    outcome step() {
        const uint32_t token = zbq_consumer_get_futex_token(consumer_.get());
        const int result = read_batch();
        if (!sink_.empty()) {
            return deliver_batch();
        }
        if (result == ZBQ_ERROR_AGAIN) {
            return idle(token);
        }
        return ending(result);
    }

    // Takes in what is there, within bounds. What the call for one more gave.
    int read_batch() {
        const uint64_t capacity = zbq_consumer_ctrl(consumer_.get())->ring_capacity;
        int result = ZBQ_OK;
        while (!sink_.full(capacity)) {
            zbq_msg_view view = {};
            result = zbq_consumer_next(consumer_.get(), &view);
            if (result != ZBQ_OK) {
                break;
            }
            sink_.add(view);
            batch_end_ = view.logical_offset + view.total_len;
        }
        return result;
    }

    outcome deliver_batch() {
        if (!zbq_consumer_valid(consumer_.get())) {
            return evicted();
        }
        sink_.confirm();
        zbq_consumer_publish(consumer_.get(), batch_end_);
        pause_.reset();
        const write_result written = sink_.write();
        if (written != write_result::done) {
            return written == write_result::stopped ? interrupted() : exit_ok;
        }
        for (const uint64_t seq_id : sink_.take_records()) {
            collect_descriptors(seq_id);
        }
        show_progress();
        return std::nullopt;
    }

    void collect_descriptors(uint64_t seq_id) {
        std::array<int, ZBQ_MAX_FD_PER_MSG> fds = {};
        uint8_t number = 0;
        int result = ZBQ_ERROR_AGAIN;
        while (result == ZBQ_ERROR_AGAIN && stop_signal() == 0) {
            const uint32_t token = zbq_consumer_get_futex_token(consumer_.get());
            result = zbq_consumer_recv_fds(consumer_.get(), seq_id, fds.data(), &number);
            if (result == ZBQ_ERROR_AGAIN) {
                zbq_consumer_wait_broadcast(consumer_.get(), token);
            }
        }
        for (uint8_t i = 0; i < number; ++i) {
            const unique_fd closed(fds.at(i));
        }
        sink_.count_descriptors(number);
        if (result == ZBQ_ERROR_PROTOCOL || result == ZBQ_ERROR_IO) {
            throw failure(fmt::format("descriptors: {}", zbq_strerror(result)));
        }
    }

    // Nothing to read now.
    outcome idle(uint32_t token) {
        if (options_.mode == ZBQ_WAKEUP_PUSH) {
            if (zbq_consumer_wait_broadcast(consumer_.get(), token) == ZBQ_ERROR_IO) {
                throw system_failure("could not wait for the publisher");
            }
        } else {
            pause_.sleep();
        }
        show_progress();
        const uint64_t now = now_coarse_ns();
        if (now - last_check_ < check_interval) {
            return std::nullopt;
        }
        last_check_ = now;
        zbq_consumer_is_producer_alive(consumer_.get()); // what it finds, the next look tells
        if (options_.writes_messages() && output_reader_gone()) {
            return exit_ok;
        }
        return std::nullopt;
    }

    outcome ending(int result) {
        if (!zbq_consumer_valid(consumer_.get())) {
            return evicted();
        }
        progress_.clear();
        if (result == ZBQ_ERROR_PROTOCOL) {
            fmt::print(stderr, "zbq: the publisher broke the protocol\n");
            return exit_failure;
        }
        const volatile uint32_t &closed = zbq_consumer_ctrl(consumer_.get())->closed;
        if (closed != 0) {
            return exit_ok;
        }
        fmt::print(stderr, "zbq: the publisher died without ending the stream\n");
        return exit_producer_died;
    }

    outcome evicted() {
        sink_.discard();
        progress_.clear();
        const volatile uint32_t &reason = zbq_consumer_meta(consumer_.get())->eviction;
        fmt::print(stderr, "zbq: evicted by the publisher after message {}: {}\n",
                   sink_.total().messages, zbq_strevict(reason));
        return exit_evicted;
    }

    void show_progress() {
        const uint64_t now = now_coarse_ns();
        if (progress_.due(now)) {
            const uint64_t head = zbq_consumer_acquire_head(consumer_.get());
            const auto lag = static_cast<double>(head - zbq_consumer_tail(consumer_.get()));
            progress_.show(now, sink_.total(), fmt::format("lag {}", format_bytes(lag)));
        }
    }

    const sub_options &options_;
    consumer_handle consumer_;
    sink sink_;
    progress progress_;
    backoff pause_;
    uint64_t batch_end_ = 0;
    uint64_t last_check_ = 0;
};

} // namespace

int subscribe(const sub_options &options) {
    consumer_handle consumer = find_publisher(options);
    if (!consumer && stop_signal() != 0) {
        return interrupted();
    }
    if (!consumer) {
        throw failure(fmt::format("nobody publishes '{0}'; start with: zbq pub {0}", options.name),
                      exit_nobody);
    }
    return subscription(options, std::move(consumer)).run();
}

} // namespace zbq::tool
