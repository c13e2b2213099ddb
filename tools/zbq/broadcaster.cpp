// SPDX-License-Identifier: MIT
#include "broadcaster.hpp"

#include "errors.hpp"
#include "io.hpp"
#include "retain.hpp"
#include "signals.hpp"
#include "units.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>

namespace zbq::tool {

namespace {

constexpr uint64_t longest_sleep = 250 * millisecond; // so that flags and clocks are seen
constexpr uint64_t made_up_for = 100 * millisecond;   // the longest delay that --rate makes up for

std::vector<unique_fd> open_files(const std::vector<std::string> &paths) {
    std::vector<unique_fd> files;
    for (const std::string &path : paths) {
        files.emplace_back(open(path.c_str(), O_RDONLY | O_NOCTTY | O_CLOEXEC));
        if (!files.back()) {
            throw system_failure("opening " + path);
        }
    }
    return files;
}

producer_options ring_options(const pub_options &options) {
    producer_options ring;
    ring.capacity = options.capacity;
    ring.stall_timeout = std::chrono::nanoseconds(options.stall_timeout);
    ring.max_consumers = options.max_consumers;
    return ring;
}

} // namespace

broadcaster::broadcaster(const pub_options &options)
    : options_(options), files_(open_files(options.files)),
      ring_(std::in_place, ring_options(options)), evictions_(options.max_consumers),
      progress_(!options.quiet) {
    retain_files(options, &*ring_);
    if (options.dial) {
        dial_options how;
        how.name = options.source;
        line_.emplace(options.name, how);
    } else {
        door_.emplace(options.name, door_options());
    }
    for (const unique_fd &file : files_) {
        file_numbers_.push_back(file.get());
    }
    start_clock();
}

// A slot must not be given away before its last consumer's end was told; whoever joins makes the
// library look who is dead.
listener_options broadcaster::door_options() {
    listener_options door;
    door.users = options_.users;
    door.groups = options_.groups;
    door.observing_users = options_.observers;
    door.observing_groups = options_.observer_groups;
    door.accept = [this](const peer &who, terms & /*given*/) {
        if (!who.inspects) {
            scan();
            report_evictions();
        }
        return true;
    };
    return door;
}

void broadcaster::start_clock() {
    started_ = now_ns();
    last_scan_ = started_;
    turn_ = 0;
}

// ---- waiting ----

bool broadcaster::wait_for_consumers(uint32_t count) {
    while (stop_signal() == 0) {
        if (ring_->statistics().consumers >= count) {
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
    const uint64_t due = started_ + static_cast<uint64_t>(turn_);
    uint64_t now = now_ns();
    for (; now < due && stop_signal() == 0; now = now_ns()) {
        idle(std::min(due - now, longest_sleep));
    }
    // By the clock, not from message to message: small delays do not add up. After a longer one
    // (stopped, no input, no room) the messages that it held up do not come all at once.
    const double earliest = static_cast<double>(now - started_) - static_cast<double>(made_up_for);
    turn_ = std::max(turn_, earliest) + static_cast<double>(second) / options_.rate;
    return stop_signal() == 0;
}

void broadcaster::idle(uint64_t nanoseconds, int input, bool *readable) {
    std::array<pollfd, 2> polled = {
        {{input, POLLIN, 0}, {newcomers_fd(), POLLIN, 0}}}; // poll ignores -1
    const timespec time = {static_cast<time_t>(nanoseconds / second),
                           static_cast<long>(nanoseconds % second)};
    const int ready = ppoll(polled.data(), polled.size(), &time, nullptr);
    if (readable != nullptr) {
        *readable = ready > 0 && polled[0].revents != 0;
    }
    if (ready > 0 && polled[1].revents != 0) {
        serve();
    } else {
        serve_between_messages();
    }
    if (meanwhile_) {
        meanwhile_();
    }
}

// Something could not be had yet. False when a stop signal came.
bool broadcaster::wait_for_room(status result, const char *what) {
    if (result != status::again) {
        throw error(result, what, errno);
    }
    idle(longest_sleep, ring_->event_fd());
    return stop_signal() == 0;
}

// ---- what else there is to do ----

void broadcaster::serve_between_messages() {
    if (take_signal(SIGUSR1)) {
        tell_account();
    }
    if (now_coarse_ns() - last_served_ >= millisecond) {
        serve();
    }
}

int broadcaster::newcomers_fd() const {
    return line_ ? line_->event_fd() : door_->event_fd();
}

void broadcaster::serve_newcomers() {
    if (line_) {
        line_->serve(*ring_);
    } else {
        door_->serve(*ring_, [this](const newcomer &who) { report(who); });
    }
}

void broadcaster::serve() {
    check_descriptors();
    serve_newcomers();
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
    if (const status result = ring_->scan(); result != status::ok) {
        throw error(result, "looking at the consumers", errno);
    }
    last_scan_ = now_ns();
}

void broadcaster::report(const newcomer &who) {
    const int error = errno;
    switch (who.result) {
    case status::ok:
        evictions_.joined(who.slot, who.who.pid);
        break;
    case status::full:
    case status::refused:
    case status::invalid: // nothing starts where it wants to
        break;
    case status::io: // or it changed its mind
        report_lack_of_descriptors(error);
        break;
    default:
        progress_.clear();
        say(fmt::format("admitting process {}: {}", who.who.pid, to_string(who.result)));
    }
}

// Without a free one, nobody is even seen to connect.
void broadcaster::check_descriptors() {
    const unique_fd spare(fcntl(newcomers_fd(), F_DUPFD_CLOEXEC, 0));
    if (!spare) {
        report_lack_of_descriptors(errno);
    }
}

// Of what is this process's own lack each newcomer is not a case of its own.
void broadcaster::report_lack_of_descriptors(int error) {
    if (is_out_of_descriptors(error) && !told_lack_of_descriptors_) {
        told_lack_of_descriptors_ = true;
        progress_.clear();
        say(fmt::format("nobody else can join: {}", error_text(error)));
    }
}

void broadcaster::report_evictions() {
    evictions_.report(*ring_, published_, now_ns() - started_, &progress_);
}

void broadcaster::show_progress(uint64_t now) {
    const zbq_producer_statistics stats = ring_->statistics();
    const auto lag = static_cast<double>(stats.head - stats.slowest_tail);
    progress_.update(now, published_,
                     fmt::format("lag {}, {} consumers", format_bytes(lag), stats.consumers));
}

// ---- messages ----

reservation broadcaster::reserve(size_t payload_size) {
    reservation room = ring_->try_reserve(payload_size);
    while (!room && wait_for_room(room.why(), "getting room in the ring")) {
        room = ring_->try_reserve(payload_size);
    }
    return room;
}

bool broadcaster::commit(reservation room, size_t payload_size) {
    status result = room.commit(payload_size, file_numbers_);
    while (result != status::ok && wait_for_room(result, "sending the descriptors")) {
        result = room.commit(payload_size, file_numbers_);
    }
    if (result != status::ok) {
        return false;
    }
    file_numbers_.clear();
    note(payload_size);
    return true;
}

void broadcaster::note(size_t payload_size) {
    ++published_.messages;
    published_.bytes += payload_size;
    if (published_.messages % 16 == 0) {
        serve_between_messages();
    }
}

bool broadcaster::change_retained(uint16_t key, std::span<const std::byte> payload, bool forget) {
    status result = status::again;
    do {
        result = forget ? ring_->forget(key, now) : ring_->retain(key, payload, now);
    } while (result != status::ok && result != status::none &&
             wait_for_room(result, "retaining a message"));
    if (result == status::ok || result == status::none) {
        note(payload.size());
    }
    return result == status::ok || result == status::none;
}

void broadcaster::end_stream() {
    door_.reset(); // first, so that nobody finds a stream that has ended
    scan();
    report_evictions();
    ended_ = now_ns();
    ring_.reset();
    progress_.clear();
}

// A ring that is closed has come to its end. This one stays as it is until the process ends, which
// is what its consumers notice.
void broadcaster::abandon_stream() {
    door_.reset();
    progress_.clear();
    [[maybe_unused]] static const producer *const left_open = new producer(std::move(*ring_));
}

std::string broadcaster::account_until(uint64_t now) const {
    const double time = as_seconds(now - started_);
    const double per = time > 0 ? 1 / time : 0;
    const auto messages = static_cast<double>(published_.messages);
    const auto bytes = static_cast<double>(published_.bytes);
    return fmt::format("{} messages, {} bytes in {:.3f} s ({:.0f} messages/s, {}/s), {} "
                       "consumers evicted or gone",
                       published_.messages, published_.bytes, time, messages * per,
                       format_bytes(bytes * per), evictions_.evicted());
}

void broadcaster::summarize() {
    say_at_last(account_until(ended_));
}

void broadcaster::tell_account() {
    progress_.clear();
    const zbq_producer_statistics stats = ring_->statistics();
    say(fmt::format("{}; {} consumers now, the last of them {} behind", account_until(now_ns()),
                    stats.consumers,
                    format_bytes(static_cast<double>(stats.head - stats.slowest_tail))));
}

} // namespace zbq::tool
