// SPDX-License-Identifier: MIT
//
// zbq-bridge: rings to streams of a server elsewhere, and back. docs/bridge.md.
#include "command_line.hpp"
#include "runner.hpp"
#include "status_ring.hpp"
#include "tools/zbq/errors.hpp"

#include <atomic>
#include <csignal>
#include <memory>
#include <thread>

namespace zbq::bridge {

namespace {

int complain(const std::string &text, int status) {
    tool::say_at_last(text);
    return status;
}

int run_job(const job &what) {
    try {
        const auto *out = std::get_if<export_options>(&what);
        return out != nullptr ? run_export(*out) : run_import(std::get<import_options>(what));
    } catch (const tool::failure &failed) {
        return complain(failed.what(), failed.status());
    } catch (const error &failed) {
        return complain(failed.what() + tool::limit_text(failed.os_error()), tool::exit_failure);
    } catch (const std::exception &failed) {
        return complain(failed.what(), tool::exit_failure);
    }
}

std::unique_ptr<status_ring> make_status_ring() {
    try {
        return std::make_unique<status_ring>();
    } catch (const error &failed) {
        tool::say(fmt::format("bridge: nothing shows how it stands: {}", failed.what()));
        return nullptr;
    }
}

// As long as there is anything to tell.
template <typename Condition>
void tell_of_all(const Condition &goes_on) {
    constexpr std::uint64_t slice = 20 * tool::millisecond;
    const std::unique_ptr<status_ring> ring = make_status_ring();
    while (goes_on()) {
        if (ring) {
            ring->tell(all_shown());
            ring->go_on(slice);
        } else {
            wait_for({}, slice);
        }
        if (tool::take_signal(SIGUSR1)) {
            note_asked();
        }
    }
}

// Each in a thread; the status of the first that failed.
int run_jobs(const std::vector<job> &jobs) {
    std::atomic<std::size_t> running = jobs.size();
    std::atomic<int> status = 0;
    std::vector<std::jthread> threads;
    threads.reserve(jobs.size());
    for (const job &each : jobs) {
        threads.emplace_back([&running, &status, &each] {
            int none = 0;
            status.compare_exchange_strong(none, run_job(each));
            --running;
        });
    }
    tell_of_all([&running] { return running != 0; });
    return status;
}

int run(const request &what) {
    if (const auto *jobs = std::get_if<std::vector<job>>(&what)) {
        return run_jobs(*jobs);
    }
    if (const auto *origin = std::get_if<origin_options>(&what)) {
        return tell_origin(*origin);
    }
    return tool::status_after(tool::write_output(std::get<help_request>(what).text));
}

} // namespace

int tell_origin(const origin_options &options) {
    const consumer reader = connect(options.name, in(std::chrono::seconds(5)),
                                    {.flow = flow::follow, .wait_for_producer = false});
    for (const message_view &kept : reader.retained()) {
        if (kept.key() == options.note_key) {
            std::string text(text_of(kept.payload()));
            text.erase(text.find_last_not_of(" \n") + 1);
            return tool::status_after(tool::write_output(text + "\n"));
        }
    }
    throw tool::failure(options.name + ": no importer publishes it, or by another --note-key");
}

} // namespace zbq::bridge

int main(int argc, char **argv) {
    using namespace zbq;
    int status = tool::exit_failure;
    try {
        tool::install_signal_handlers();
        tool::watch_signals({SIGUSR1});
        tool::guard_standard_streams();
        status = bridge::run(bridge::parse_command_line(argc, argv));
    } catch (const tool::failure &failed) {
        status = bridge::complain(failed.what(), failed.status());
    } catch (const std::exception &failed) {
        status = bridge::complain(failed.what(), tool::exit_failure);
    }
    return status;
}
