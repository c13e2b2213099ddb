// SPDX-License-Identifier: MIT
//
// zbq sub: ring to output.
#include "commands.hpp"
#include "errors.hpp"
#include "signals.hpp"
#include "sink.hpp"
#include "units.hpp"

#include <zbq.hpp>

#include <optional>
#include <unistd.h>

namespace zbq::tool {

namespace {

constexpr std::chrono::seconds patience(10);             // for a publisher to answer
constexpr std::chrono::milliseconds check_interval(100); // for what comes without a wake-up

int interrupted() {
    return 128 + stop_signal();
}

// Throws when nobody publishes.
consumer find_publisher(const sub_options &options) {
    connect_options how;
    how.mode = options.mode;
    how.wait_for_producer = options.wait;
    how.give_up = [] { return stop_signal() != 0; };
    return connect(options.name, options.wait ? never : in(patience), how);
}

class subscription {
public:
    subscription(const sub_options &options, consumer reader)
        : options_(options), reader_(std::move(reader)), sink_(options),
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
        const status result = read_batch();
        if (!sink_.empty()) {
            return deliver();
        }
        if (reader_.ending() == ending::evicted) {
            return evicted();
        }
        return result == status::ok ? idle() : ended();
    }

    // Takes in what is there, within bounds. Whether it was whole is known, and the room given
    // back, when this returns.
    status read_batch() {
        const status result = reader_.wait(in(check_interval));
        if (result != status::ok) {
            return result == status::again ? status::ok : result;
        }
        message_batch batch = reader_.take_batch();
        for (const message_view &message : batch) {
            sink_.add(message);
            collect_descriptors(&batch, message.descriptor_count());
            if (sink_.full(reader_.capacity())) {
                break;
            }
        }
        if (!batch.intact()) {
            sink_.discard();
        }
        return batch.why();
    }

    void collect_descriptors(message_batch *batch, unsigned announced) {
        descriptors got;
        do {
            got = announced != 0 ? batch->take_descriptors(in(check_interval)) : descriptors();
        } while (got.why() == status::again && stop_signal() == 0);
        if (got.why() == status::protocol || got.why() == status::io) {
            throw failure(fmt::format("descriptors: {}", to_string(got.why())));
        }
        sink_.count_descriptors(got.size());
    }

    outcome deliver() {
        sink_.confirm();
        const write_result written = sink_.write();
        if (written != write_result::done) {
            return written == write_result::stopped ? interrupted() : exit_ok;
        }
        show_progress();
        return std::nullopt;
    }

    // Nothing to read for a while.
    outcome idle() {
        show_progress();
        if (options_.writes_messages() && output_reader_gone()) {
            return exit_ok;
        }
        return std::nullopt;
    }

    outcome ended() {
        progress_.clear();
        switch (reader_.ending()) {
        case ending::closed:
            return exit_ok;
        case ending::evicted:
            return evicted();
        case ending::malformed:
            fmt::print(stderr, "zbq: the publisher broke the protocol\n");
            return exit_failure;
        case ending::producer_died:
            fmt::print(stderr, "zbq: the publisher died without ending the stream\n");
            return exit_producer_died;
        default:
            throw failure("could not wait for the publisher");
        }
    }

    outcome evicted() {
        sink_.discard();
        progress_.clear();
        fmt::print(stderr, "zbq: evicted by the publisher after message {}: {}\n",
                   sink_.total().messages, to_string(reader_.eviction()));
        return exit_evicted;
    }

    void show_progress() {
        const uint64_t now = now_coarse_ns();
        if (progress_.due(now)) {
            const auto lag = static_cast<double>(reader_.lag());
            progress_.show(now, sink_.total(), fmt::format("lag {}", format_bytes(lag)));
        }
    }

    const sub_options &options_;
    consumer reader_;
    sink sink_;
    progress progress_;
};

} // namespace

int subscribe(const sub_options &options) {
    try {
        return subscription(options, find_publisher(options)).run();
    } catch (const error &failed) {
        if (stop_signal() != 0) {
            return interrupted();
        }
        if (failed.code() == status::none) {
            throw failure(
                fmt::format("nobody publishes '{0}'; start with: zbq pub {0}", options.name),
                exit_nobody);
        }
        throw;
    }
}

} // namespace zbq::tool
