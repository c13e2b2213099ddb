// SPDX-License-Identifier: MIT
//
// zbq record: rings to files.
#include "commands.hpp"
#include "errors.hpp"
#include "io.hpp"
#include "progress.hpp"
#include "signals.hpp"
#include "storage.hpp"
#include "track.hpp"
#include "units.hpp"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <poll.h>
#include <sys/statvfs.h>

namespace zbq::tool {

namespace {

std::string free_space(const std::string &path) {
    std::filesystem::path directory = std::filesystem::path(path).parent_path();
    struct statvfs disk = {};
    if (statvfs(directory.empty() ? "." : directory.c_str(), &disk) != 0) {
        return "";
    }
    return fmt::format(", {} free", format_bytes(static_cast<double>(disk.f_bavail) *
                                                 static_cast<double>(disk.f_frsize)));
}

std::string plural(uint64_t count, const char *what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

class recorder {
public:
    explicit recorder(const record_options &options)
        : options_(options), storage_(options), progress_(!options.quiet), started_(now_ns()),
          sealed_at_(started_) {
        tracks_.reserve(options.names.size());
        for (const std::string &name : options.names) {
            tracks_.push_back(
                std::make_unique<track>(name, options, &storage_, &chunk_, &last_id_));
        }
    }

    // To the end: the exit status.
    int run() {
        if (!options_.wait && !join_all()) {
            return status_when_stopped();
        }
        storage_.start();
        while (stop_signal() == 0 && !all_ended() && !storage_.so_far().failed) {
            if (!step_all()) {
                sleep();
            }
            look_around();
        }
        seal();
        progress_.clear();
        try {
            storage_.finish();
        } catch (const failure &) {
            tell_missing();
            throw;
        }
        if (!options_.quiet) {
            tell_account();
        }
        return stop_signal() != 0 ? status_when_stopped() : exit_ok;
    }

private:
    // A name that nobody has is no reason to make a file. False when a stop signal came first.
    bool join_all() {
        for (const auto &each : tracks_) {
            while (!each->has_joined() && stop_signal() == 0) {
                each->step();
                if (!each->has_joined()) {
                    sleep();
                }
            }
        }
        return stop_signal() == 0;
    }
    bool all_ended() const {
        return std::ranges::all_of(tracks_, [](const auto &one) { return one->has_ended(); });
    }

    // Whether there may be more to do at once.
    bool step_all() {
        bool more = false;
        for (const auto &each : tracks_) {
            more = (!each->has_ended() && each->step()) || more;
            if (chunk_.size() >= options_.chunk_size) {
                seal();
            }
            if (each->has_died() && options_.is_flight_recorder()) {
                each->forget_death();
                dump();
            }
        }
        return more;
    }

    void sleep() {
        std::vector<pollfd> polled;
        polled.reserve(tracks_.size());
        for (const auto &each : tracks_) {
            if (!each->has_ended()) {
                polled.push_back({each->event_fd(), POLLIN, 0});
            }
        }
        poll(polled.data(), polled.size(), static_cast<int>(look_interval / millisecond));
    }

    // What goes on beside the messages.
    void look_around() {
        const uint64_t now = now_coarse_ns();
        const uint64_t longest = options_.sync != 0 ? std::min(options_.sync / 2, second) : second;
        if (now >= sealed_at_ + longest) {
            seal();
        }
        if (take_signal(SIGUSR1)) {
            progress_.clear();
            tell_account();
        }
        if (take_signal(SIGUSR2) && options_.is_flight_recorder()) {
            dump();
        }
        if (progress_.due(now)) {
            const account total = sum();
            progress_.update(now, {total.messages, total.bytes, 0},
                             plural(total.gaps, "gap") + free_space(options_.output));
        }
    }

    void seal() {
        sealed_at_ = now_coarse_ns();
        if (chunk_.size() == 0) {
            return;
        }
        storage_.put(chunk_.seal()); // where that fails, the loop ends
        for (const auto &each : tracks_) {
            each->begin_chunk();
        }
    }

    void dump() {
        seal();
        progress_.clear();
        storage_.dump();
    }

    account sum() const {
        account total;
        for (const auto &each : tracks_) {
            const account &one = each->so_far();
            total.messages += one.messages;
            total.bytes += one.bytes;
            total.gaps += one.gaps;
            total.missed += one.missed;
            total.events += one.events;
        }
        return total;
    }

    static std::string text_of(const account &what, double time) {
        const double per = time > 0 ? 1 / time : 0;
        std::string text =
            fmt::format("{} messages, {} bytes in {:.3f} s ({:.0f} messages/s, {}/s)",
                        what.messages, what.bytes, time, static_cast<double>(what.messages) * per,
                        format_bytes(static_cast<double>(what.bytes) * per));
        if (what.gaps != 0) {
            text += fmt::format(", {} of {} bytes or more", plural(what.gaps, "gap"), what.missed);
        }
        return text;
    }

    void tell_account() {
        const double time = as_seconds(now_ns() - started_);
        if (tracks_.size() > 1) {
            for (const auto &each : tracks_) {
                say_at_last(fmt::format("{}: {}", each->name(), text_of(each->so_far(), time)));
            }
        }
        const stored kept = storage_.so_far();
        say_at_last(fmt::format("{}; {} bytes in {}{}", text_of(sum(), time), kept.bytes,
                                plural(kept.files, "file"), free_space(options_.output)));
    }

    void tell_missing() {
        const account total = sum();
        const uint64_t taken = total.messages + total.events;
        say_at_last(fmt::format("lost with that: {} of the {} messages and records that were taken",
                                taken - std::min(taken, storage_.so_far().messages), taken));
    }

    const record_options &options_;
    storage storage_;
    mcap::chunk_builder chunk_;
    std::uint16_t last_id_ = 0; // of a channel
    std::vector<std::unique_ptr<track>> tracks_;
    progress progress_;
    uint64_t started_;
    uint64_t sealed_at_;
};

} // namespace

int record(const record_options &options) {
    watch_signals({SIGUSR1, SIGUSR2});
    try {
        return recorder(options).run();
    } catch (const mcap::io_error &error) {
        throw failure(error.what() + limit_text(error.code().value()), exit_output);
    } catch (const error &failed) {
        if (failed.code() == status::none) {
            throw failure(fmt::format("{}; start with: zbq pub NAME", failed.what()), exit_nobody);
        }
        throw;
    }
}

} // namespace zbq::tool
