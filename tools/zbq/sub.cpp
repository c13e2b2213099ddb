// SPDX-License-Identifier: MIT
//
// zbq sub: ring to output.
#include "commands.hpp"
#include "errors.hpp"
#include "signals.hpp"
#include "sink.hpp"
#include "units.hpp"

#include <zbq.hpp>

#include <cerrno>
#include <csignal>
#include <optional>
#include <unistd.h>
#include <vector>

namespace zbq::tool {

namespace {

// Whether what it writes could be read by nobody.
bool output_lost(const sub_options &options) {
    return options.writes() && output_reader_gone();
}

// Throws when nobody publishes.
consumer find_publisher(const sub_options &options) {
    connect_options how;
    how.mode = options.mode;
    how.flow = options.flow;
    how.from = options.from;
    how.wait_for_producer = options.wait;
    how.producers = options.publishers;
    how.give_up = [&options] { return stop_signal() != 0 || output_lost(options); };
    return connect(options.name, options.wait ? never : in(answer_time), how);
}

class subscription {
public:
    subscription(const sub_options &options, consumer reader)
        : options_(options), reader_(std::move(reader)), sink_(options),
          progress_(!options.writes_messages() || !isatty(STDOUT_FILENO)) {}

    // To the end: the exit status.
    int run() {
        outcome status = options_.retained ? take_retained() : std::nullopt;
        while (!status) {
            status = stop_signal() != 0 ? status_when_stopped() : step();
        }
        progress_.clear();
        note_loss(UINT64_MAX);
        const int accounted = status_after(sink_.write_accounts());
        return *status != exit_ok ? *status : accounted;
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
        return result == status::ok ? look_around() : ended(result);
    }

    outcome take_retained() {
        for (const message_view &kept : reader_.retained()) {
            sink_.add(kept.payload(), kept.key());
            retained_to_ = kept.offset() + 1;
            if (options_.flow == flow::lossless) {
                count(reader_.take_descriptors(kept));
            }
        }
        return sink_.empty() ? std::nullopt : deliver();
    }

    // Takes it in, but for what was retained before this joined: history has that once more.
    void add(std::span<const std::byte> payload, uint16_t key, uint64_t offset) {
        if (key == 0 || offset >= retained_to_) {
            sink_.add(payload, key);
        }
    }

    // Takes in what is there, within bounds. Whether it was whole is known, and the room given
    // back, when this returns.
    status read_batch() {
        const status result = reader_.wait(in(std::chrono::nanoseconds(look_interval)));
        if (result != status::ok) {
            return result == status::again ? status::ok : result;
        }
        return options_.flow == flow::lossless ? take_all() : observe();
    }

    status take_all() {
        message_batch batch = reader_.take_batch();
        for (const message_view &message : batch) {
            add(message.payload(), message.key(), message.offset());
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

    status observe() {
        copied got;
        while (!sink_.full(reader_.capacity()) && (got = reader_.try_copy(copy_))) {
            add(copy_, got.key, got.offset);
        }
        note_loss(now_coarse_ns());
        return got || got.why == status::again ? status::ok : got.why;
    }

    // Now and then, and at the end. Who wants the newest misses the rest on purpose.
    void note_loss(uint64_t now) {
        const loss missed = options_.flow == flow::follow ? reader_.lost() : loss();
        if (missed.times != told_.times && now >= told_at_ + second) {
            told_ = missed;
            told_at_ = now;
            progress_.clear();
            say_at_last(fmt::format("missed {} bytes so far, {} time{}", missed.bytes, missed.times,
                                    missed.times == 1 ? "" : "s"));
        }
    }

    void collect_descriptors(message_batch *batch, unsigned announced) {
        descriptors got;
        do {
            got = announced != 0
                      ? batch->take_descriptors(in(std::chrono::nanoseconds(look_interval)))
                      : descriptors();
        } while (got.why() == status::again && stop_signal() == 0);
        count(got);
    }

    void count(const descriptors &got) {
        if (got.why() == status::protocol || got.why() == status::io) {
            throw failure(fmt::format("receiving descriptors: {}", to_string(got.why())));
        }
        sink_.count_descriptors(got.size());
    }

    outcome deliver() {
        sink_.confirm();
        const write_result written = sink_.write();
        if (written != write_result::done) {
            progress_.clear();
            return status_after(written);
        }
        return look_around();
    }

    // Beside the stream: progress, and whether the output is still of use to anyone.
    outcome look_around() {
        const uint64_t now = now_coarse_ns();
        show_progress(now);
        if (take_signal(SIGUSR1)) {
            tell_account();
        }
        if (now < last_look_ + look_interval) {
            return std::nullopt;
        }
        last_look_ = now;
        return output_lost(options_) ? outcome(exit_output) : std::nullopt;
    }

    outcome ended(status result) {
        switch (reader_.ending()) {
        case ending::closed:
            return exit_ok;
        case ending::evicted:
            return evicted();
        case ending::malformed:
            return complain("the publisher broke the protocol", exit_failure);
        case ending::producer_died:
            return complain("the publisher failed or died without ending the stream",
                            exit_publisher_failed);
        default:
            throw error(result, "waiting for the publisher", errno);
        }
    }

    outcome evicted() {
        sink_.discard();
        return complain(fmt::format("evicted by the publisher after message {}: {}",
                                    sink_.total().messages, to_string(reader_.eviction())),
                        exit_evicted);
    }

    int complain(const std::string &text, int status) {
        progress_.clear();
        say_at_last(text);
        return status;
    }

    void show_progress(uint64_t now) {
        if (progress_.due(now)) {
            const auto lag = static_cast<double>(reader_.lag());
            progress_.update(now, sink_.total(), fmt::format("lag {}", format_bytes(lag)));
        }
    }

    void tell_account() {
        progress_.clear();
        const loss missed = reader_.lost();
        say(fmt::format("{} messages, {} bytes so far; {} behind{}", sink_.total().messages,
                        sink_.total().bytes, format_bytes(static_cast<double>(reader_.lag())),
                        missed.times == 0 ? "" : fmt::format(", {} bytes missed", missed.bytes)));
    }

    const sub_options &options_;
    consumer reader_;
    sink sink_;
    progress progress_;
    uint64_t last_look_ = 0;
    uint64_t retained_to_ = 0;    // what was retained is no younger
    std::vector<std::byte> copy_; // of a message that is observed
    loss told_;
    uint64_t told_at_ = 0;
};

} // namespace

int subscribe(const sub_options &options) {
    watch_signals({SIGUSR1}); // asks for an account
    try {
        return subscription(options, find_publisher(options)).run();
    } catch (const error &failed) {
        if (stop_signal() == 0 && output_lost(options)) {
            return exit_output;
        }
        if (failed.code() == status::none) {
            throw failure(fmt::format("{}; start with: zbq pub {}", failed.what(), options.name),
                          exit_nobody);
        }
        throw;
    }
}

} // namespace zbq::tool
