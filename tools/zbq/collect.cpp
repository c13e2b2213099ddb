// SPDX-License-Identifier: MIT
//
// zbq collect: rings of many publishers to one output, a line each, with who it is from.
#include "commands.hpp"
#include "errors.hpp"
#include "io.hpp"
#include "signals.hpp"
#include "units.hpp"
#include "words.hpp"

#include <zbq.hpp>

#include <optional>
#include <string>

namespace zbq::tool {

namespace {

class gathering {
public:
    explicit gathering(const collect_options &options)
        : options_(options), collector_(options.name, how()) {}

    // To the end: the exit status.
    int run() {
        outcome status;
        while (!status) {
            status = stop_signal() != 0 ? status_when_stopped() : step();
        }
        return *status;
    }

private:
    using outcome = std::optional<int>; // the exit status, at the end

    collector_options how() {
        collector_options how;
        how.users = options_.users;
        how.groups = options_.groups;
        how.max_sources = options_.max_sources;
        how.on_join = [this](const source &from) {
            ++sources_;
            tell(from.who(), "came");
        };
        how.on_end = tell_end;
        how.on_refusal = [](const caller &who, status why) {
            tell(who, fmt::format("was refused: {}", to_string(why)));
        };
        return how;
    }

    outcome step() {
        if (collector_.wait(in(std::chrono::nanoseconds(look_interval))) == status::io) {
            throw system_failure("waiting for sources");
        }
        collector_.serve(
            [this](const source &from, message_batch &batch) { take(from.who(), &batch); });
        if (!output_.empty()) {
            const write_result result = write_output(output_);
            output_.clear();
            return result == write_result::done ? look_around() : outcome(status_after(result));
        }
        return look_around();
    }

    // What came while nothing was written.
    outcome look_around() {
        if (options_.until_last && sources_ != 0 && collector_.size() == 0) {
            return exit_ok;
        }
        const uint64_t now = now_coarse_ns();
        if (now < last_look_ + look_interval) {
            return std::nullopt;
        }
        last_look_ = now;
        return output_reader_gone() ? outcome(exit_output) : std::nullopt;
    }

    // Copied first: of a source that does not wait, it may have been overwritten meanwhile.
    void take(const caller &who, message_batch *batch) {
        const std::string prefix = fmt::format("{}[{}]: ", printable(who.name), who.pid);
        for (const message_view &message : *batch) {
            const size_t before = output_.size();
            output_ += prefix;
            output_ += text_of(message.payload());
            if (!output_.ends_with('\n')) {
                output_ += '\n';
            }
            if (!batch->intact(message)) {
                output_.resize(before);
            }
        }
    }

    static void tell(const caller &who, const std::string &what) {
        say(fmt::format("{} (pid {}, user {}) {}", printable(who.name), who.pid, who.uid, what));
    }

    static void tell_end(const source &from, ending end) {
        const loss missed = from.ring().lost();
        const char *how = end == ending::closed          ? "ended"
                          : end == ending::producer_died ? "died"
                          : end == ending::evicted       ? "was lost: this was too slow for it"
                                                         : "broke the protocol";
        tell(from.who(),
             missed.times == 0 ? how : fmt::format("{}; missed {} bytes of it", how, missed.bytes));
    }

    const collect_options &options_;
    collector collector_;
    std::string output_;
    uint64_t sources_ = 0;
    uint64_t last_look_ = 0;
};

} // namespace

int collect(const collect_options &options) {
    return gathering(options).run();
}

} // namespace zbq::tool
