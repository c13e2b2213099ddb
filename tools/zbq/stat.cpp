// SPDX-License-Identifier: MIT
//
// zbq stat: how one ring stands, and who holds it back.
#include "bridge_status.hpp"
#include "commands.hpp"
#include "errors.hpp"
#include "io.hpp"
#include "json.hpp"
#include "signals.hpp"
#include "units.hpp"
#include "words.hpp"

#include <optional>
#include <poll.h>

namespace zbq::tool {

namespace {

std::string evictions_text(const zbq_ring_stats &ring) {
    std::string reasons;
    for (uint32_t reason = ZBQ_EVICTION_DEAD; reason <= ZBQ_EVICTION_DEAR; ++reason) {
        if (ring.evicted[reason] != 0) {
            reasons += fmt::format("{}{} {}", reasons.empty() ? ": " : ", ", ring.evicted[reason],
                                   zbq_strevict(reason));
        }
    }
    return fmt::format("{} consumers lost{}", ring.evicted[0], reasons);
}

// So much of the ring's life.
std::string full_text(const zbq_ring_stats &ring) {
    const uint64_t age = since(ring.created_at, ring.written_at);
    const double part = age != 0 ? as_seconds(ring.full_ns) / as_seconds(age) : 0;
    return fmt::format("full for {} in all, {:.1f} % of the time", duration_text(ring.full_ns),
                       100 * part);
}

std::string ring_text(const std::string &name, const zbq_ring_stats &ring) {
    const std::string own = printable(ring.name);
    std::string text = fmt::format("{}{}: process {}, for {}{}\n", printable(name),
                                   own.empty() || own == name ? "" : " (" + own + ")", ring.pid,
                                   duration_text(since(ring.created_at, ring.written_at)),
                                   ring.closed != 0 ? "; the stream has ended" : "");
    text += fmt::format("id {}, type {}\n", id_text(ring.ring_id), type_text(ring.payload_type));
    text += fmt::format("{} published, through a ring of {}; {}\n",
                        format_bytes(static_cast<double>(ring.head)),
                        format_bytes(static_cast<double>(ring.capacity)), full_text(ring));
    text += fmt::format("{} of {} slots taken, {} joins; {}\n", ring.consumers, ring.max_consumers,
                        ring.joined, evictions_text(ring));
    text += fmt::format("{} attempts in vain, {} scans, {} wake-ups; stall timeout {}\n",
                        ring.failures, ring.scans, ring.wakes,
                        ring.stall_timeout_ns == 0 ? "none" : duration_text(ring.stall_timeout_ns));
    return text;
}

std::string slots_text(const statistics &of) {
    const uint64_t now = of.ring().written_at;
    table rows({{"SLOT", true},
                {"PID", true},
                {"USER"},
                {"MODE"},
                {"LAG", true},
                {"UNMOVED", true},
                {"SLOWEST", true},
                {"HELD", true},
                {"LOST", true},
                {"FDS", true},
                {"STATE"}});
    bool any = false;
    for (uint32_t i = 0; i < of.ring().slots; ++i) {
        const std::optional<zbq_slot_stats> slot = of.slot(i);
        if (!slot) {
            continue;
        }
        any = true;
        const std::string state = slot->eviction != 0
                                      ? fmt::format("{}, {} ago", zbq_strevict(slot->eviction),
                                                    duration_text(since(slot->evicted_at, now)))
                                  : slot->in_the_way != 0 ? "in the way"
                                                          : "";
        rows.add({std::to_string(i), std::to_string(slot->pid), user_text(slot->uid),
                  mode_text(slot->mode), format_bytes(static_cast<double>(slot->lag)),
                  slot->eviction != 0 ? "-" : duration_text(since(slot->moved_at, now)),
                  std::to_string(slot->times_slowest), duration_text(slot->held_ns),
                  format_bytes(static_cast<double>(slot->lost_bytes)),
                  std::to_string(slot->fds_in_flight), state});
    }
    return any ? rows.text() : "";
}

class watching {
public:
    explicit watching(const stat_options &options) : options_(options) {}

    int run() {
        look();
        int status = status_after(write_output(text()));
        while (status == exit_ok && options_.watch && !has_ended() && pause()) {
            look_again();
            status = status_after(write_output(text()));
        }
        if (status == exit_ok && is_gone_ && account_->ring().closed == 0) {
            throw failure(note_, exit_nobody);
        }
        return status == exit_ok && stop_signal() != 0 ? status_when_stopped() : status;
    }

private:
    statistics ask() const {
        inspect_options how;
        how.wait_for_producer = false;
        how.anyone = true;
        how.give_up = [] { return stop_signal() != 0; };
        return inspect(options_.name, in(std::chrono::nanoseconds(options_.timeout)), how);
    }

    void look() {
        try {
            account_.emplace(ask());
            ask_for_bridges();
            note_ = "";
        } catch (const error &failed) {
            if (failed.code() == status::none) {
                throw failure(fmt::format("{}; 'zbq ls' lists what there is", failed.what()),
                              exit_nobody);
            }
            throw;
        }
    }

    // A producer that is stopped, or gone, does not answer: its page is here.
    void look_again() {
        try {
            account_.emplace(ask());
            ask_for_bridges();
            note_ = "";
        } catch (const error &failed) {
            std::ignore = account_->update();
            note_ = failed.what();
            is_gone_ = failed.code() == status::none;
        }
    }

    // Each look anew: what a consumer has retained is of its join. Where there is no joining, the
    // ring's own account is told all the same.
    void ask_for_bridges() {
        bridges_.clear();
        if (!is_of_bridge(account_->ring())) {
            return;
        }
        connect_options how = to_read_bridges();
        how.give_up = [] { return stop_signal() != 0; };
        try {
            bridges_ = statuses_of(
                connect(options_.name, in(std::chrono::nanoseconds(options_.timeout)), how));
        } catch (const error &) { // gone, full, or somebody else's
        }
    }

    [[nodiscard]] bool has_ended() const { return is_gone_ || account_->ring().closed != 0; }

    [[nodiscard]] std::string text() const {
        if (options_.json) {
            nlohmann::ordered_json all = {{"name", options_.name}};
            all.update(to_json(*account_));
            for (const bridge_status &one : bridges_) {
                all["bridges"].push_back(to_json(one));
            }
            if (!note_.empty()) {
                all["problem"] = note_;
            }
            return json_line(all);
        }
        const std::string old =
            note_.empty()
                ? ""
                : fmt::format("{}; this was {} ago\n", printable(note_),
                              duration_text(since(account_->ring().written_at, now_ns())));
        std::string bridges;
        for (const bridge_status &one : bridges_) {
            bridges += to_text(one) + '\n';
        }
        return fmt::format("{}{}{}{}\n{}\n", old, ring_text(options_.name, account_->ring()),
                           bridges, blame(*account_), slots_text(*account_));
    }

    // Whether to go on.
    [[nodiscard]] bool pause() const {
        const timespec time = {static_cast<time_t>(options_.interval / second),
                               static_cast<long>(options_.interval % second)};
        ppoll(nullptr, 0, &time, nullptr); // or until a signal comes
        return stop_signal() == 0;
    }

    const stat_options &options_;
    std::optional<statistics> account_;
    std::vector<bridge_status> bridges_; // that it tells of
    std::string note_;                   // why there is no newer one
    bool is_gone_ = false;               // the publisher, whatever became of it
};

} // namespace

int show_ring(const stat_options &options) {
    return watching(options).run();
}

} // namespace zbq::tool
