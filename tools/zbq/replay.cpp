// SPDX-License-Identifier: MIT
//
// zbq replay: files to rings.
#include "broadcaster.hpp"
#include "commands.hpp"
#include "errors.hpp"
#include "io.hpp"
#include "mcap/reader.hpp"
#include "recording.hpp"
#include "signals.hpp"
#include "units.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <map>
#include <memory>
#include <poll.h>
#include <set>
#include <unistd.h>

namespace zbq::tool {

namespace {

constexpr uint64_t least_capacity = 4U << 20U;

// Where messages of a topic go.
struct outlet {
    std::string name;
    pub_options options;
    std::unique_ptr<broadcaster> ring; // after what it refers to
    event next;                        // what was noted of the next message
    uint32_t next_number = 0;          // that is of
};

bool is_beside(const mcap::channel &what) {
    return what.metadata.contains("zbq.format") &&
           (what.topic.ends_with(about_suffix) || what.topic.ends_with(gaps_suffix));
}

uint64_t recorded_capacity(const mcap::channel &what) {
    uint64_t capacity = 0;
    const auto found = what.metadata.find("zbq.capacity");
    if (found != what.metadata.end()) {
        std::from_chars(found->second.data(), found->second.data() + found->second.size(),
                        capacity);
    }
    const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    constexpr uint64_t most = uint64_t{1} << 30U; // a file is not believed more
    return capacity % page == 0 ? std::min(capacity, most) : 0;
}

class player {
public:
    explicit player(const replay_options &options)
        : options_(options), file_(options.file), what_(read_contents(file_)) {
        choose();
        for (auto &[topic, one] : outlets_) {
            one->ring = std::make_unique<broadcaster>(one->options);
            one->ring->set_meanwhile([this] { serve_all(); });
        }
    }

    int run() {
        try {
            if (wait_for_consumers()) {
                do {
                    play();
                } while (options_.loop && stop_signal() == 0);
            }
        } catch (...) {
            for (auto &[topic, one] : outlets_) {
                one->ring->abandon_stream();
            }
            throw;
        }
        for (auto &[topic, one] : outlets_) {
            one->ring->end_stream();
        }
        return end();
    }

private:
    // ---- what is played ----

    void choose() {
        for (const auto &[id, channel] : what_.channels) {
            if (is_beside(channel)) {
                if (channel.topic.ends_with(about_suffix)) {
                    beside_[id] =
                        channel.topic.substr(0, channel.topic.size() - about_suffix.size());
                }
                continue;
            }
            if (const std::optional<std::string> name = name_for(channel.topic)) {
                add_outlet(channel, *name);
            }
        }
        for (const auto &[topic, name] : options_.topics) {
            if (!outlets_.contains(topic)) {
                throw failure(fmt::format("{}: there is no topic '{}'{}", options_.file, topic,
                                          known_topics()));
            }
        }
        if (outlets_.empty()) {
            throw failure(fmt::format("{}: there is nothing to replay in it", options_.file));
        }
        read_retained();
    }

    std::optional<std::string> name_for(const std::string &topic) const {
        for (const auto &[wanted, name] : options_.topics) {
            if (wanted == topic) {
                return name;
            }
        }
        return options_.topics.empty() ? std::optional(topic) : std::nullopt;
    }

    std::string known_topics() const {
        std::set<std::string> topics;
        for (const auto &[id, channel] : what_.channels) {
            if (!is_beside(channel)) {
                topics.insert(channel.topic);
            }
        }
        std::string text = "; there are";
        for (const std::string &each : topics) {
            text += fmt::format(" '{}'", each);
        }
        return topics.empty() ? "" : text;
    }

    // Channels of one topic, as of a publisher that was started again, go to one ring.
    void add_outlet(const mcap::channel &what, const std::string &name) {
        auto [found, is_new] = outlets_.try_emplace(what.topic);
        if (is_new) {
            found->second = std::make_unique<outlet>();
            found->second->name = name;
            pub_options &how = found->second->options;
            how.name = name;
            how.capacity = options_.capacity != 0 ? options_.capacity : least_capacity;
            how.stall_timeout = options_.stall_timeout;
            how.quiet = options_.quiet || outlets_.size() > 1; // one line of progress at most
        }
        pub_options &how = found->second->options;
        if (options_.capacity == 0) {
            how.capacity = std::max(how.capacity, recorded_capacity(what));
        }
        by_channel_[what.id] = found->second.get();
    }

    // As the ring had it when the file began: what came later comes with the messages.
    void read_retained() {
        mcap::buffer memory;
        std::set<std::string> known;
        for (const mcap::attachment_index &each : what_.attachments) {
            const size_t at = each.name.rfind(retained_infix);
            const auto found =
                at != std::string::npos ? outlets_.find(each.name.substr(0, at)) : outlets_.end();
            if (found == outlets_.end() || !known.insert(each.name).second) {
                continue;
            }
            uint16_t key = 0;
            const char *const digits = each.name.data() + at + retained_infix.size();
            std::from_chars(digits, each.name.data() + each.name.size(), key);
            if (key != 0) {
                const mcap::attachment kept = read_attachment(file_, each.offset, &memory);
                const mcap::bytes data = kept.data.view;
                found->second->options.kept.push_back({key, {data.begin(), data.end()}});
            }
        }
    }

    // ---- beside the messages ----

    void serve_all() {
        for (auto &[topic, one] : outlets_) {
            if (one->ring) {
                one->ring->serve_between_messages();
            }
        }
    }

    bool wait_for_consumers() {
        for (auto &[topic, one] : outlets_) {
            if (!one->ring->wait_for_consumers(options_.wait_for)) {
                return false;
            }
        }
        return true;
    }

    // False when a stop signal came first.
    bool sleep_until(uint64_t due, int input = -1) {
        for (uint64_t now = now_ns(); stop_signal() == 0; now = now_ns()) {
            if (now >= due) {
                serve_all();
                return true;
            }
            std::vector<pollfd> polled = {{input, POLLIN, 0}};
            for (auto &[topic, one] : outlets_) {
                polled.push_back({one->ring->newcomers_fd(), POLLIN, 0});
            }
            const uint64_t time = std::min(due - now, look_interval);
            const timespec wait = {static_cast<time_t>(time / second),
                                   static_cast<long>(time % second)};
            const int ready = ppoll(polled.data(), polled.size(), &wait, nullptr);
            if (ready > 0 && polled[0].revents != 0) {
                return true;
            }
            if (ready != 0 || due - now > millisecond) {
                serve_all();
            }
        }
        return false;
    }

    // A line on standard input, or its end.
    bool wait_for_step() {
        if (!sleep_until(UINT64_MAX, STDIN_FILENO)) {
            return false;
        }
        char byte = 0;
        ssize_t got = 0;
        do {
            got = read(STDIN_FILENO, &byte, 1);
        } while ((got > 0 && byte != '\n') || (got < 0 && errno == EINTR && stop_signal() == 0));
        return got > 0;
    }

    // ---- messages ----

    void play() {
        const mcap::timestamp first = what_.statistics.message_start_time;
        mcap::selection wanted;
        wanted.from = first + options_.from;
        wanted.to = options_.to ? first + std::min(*options_.to, UINT64_MAX - first) : UINT64_MAX;
        mcap::message_reader messages(&file_, what_, wanted);
        started_ = now_ns();
        std::optional<mcap::timestamp> origin;
        while (const mcap::message *next = next_of(&messages)) {
            if (const auto about = beside_.find(next->channel_id); about != beside_.end()) {
                note(about->second, *next);
                continue;
            }
            const auto found = by_channel_.find(next->channel_id);
            if (found == by_channel_.end()) {
                continue;
            }
            if (!origin) {
                origin = next->log_time;
            }
            if (!wait_for_turn(next->log_time - *origin) || !publish(*next, found->second)) {
                return;
            }
        }
    }

    const mcap::message *next_of(mcap::message_reader *messages) {
        while (stop_signal() == 0) {
            try {
                return messages->next();
            } catch (const mcap::damage &error) {
                if (what_.damage.size() < 20) {
                    what_.damage.emplace_back(error.what());
                }
            }
        }
        return nullptr;
    }

    bool wait_for_turn(mcap::timestamp time) {
        if (options_.step) {
            return wait_for_step();
        }
        if (options_.rate == 0) {
            return stop_signal() == 0;
        }
        const double due = static_cast<double>(time) / options_.rate;
        return sleep_until(started_ + static_cast<uint64_t>(due));
    }

    void note(const std::string &topic, const mcap::message &what) {
        const auto found = outlets_.find(topic);
        const std::optional<event> about = to_event(what.data.view);
        if (found != outlets_.end() && about && about->kind == event_kind::message) {
            found->second->next = *about;
            found->second->next_number = what.sequence;
        }
    }

    // False when a stop signal came first.
    bool publish(const mcap::message &what, outlet *to) {
        const mcap::bytes data = what.data.view;
        if (data.size() > to->options.payload_limit()) {
            throw failure(fmt::format(
                "{}: a message of {} bytes, of which a ring of {} bytes takes "
                "{} (see --capacity)",
                to->name, data.size(), to->options.capacity, to->options.payload_limit()));
        }
        const event about =
            to->next_number == what.sequence ? std::exchange(to->next, event()) : event();
        to->next_number = about.kind == event_kind::message ? 0 : to->next_number;
        descriptors_ += about.descriptors;
        if (about.key != 0 && about.key <= most_key) {
            return to->ring->change_retained(static_cast<uint16_t>(about.key), data,
                                             about.forgotten);
        }
        reservation room = to->ring->reserve(data.size());
        if (!room) {
            return false;
        }
        if (about.flags != 0) {
            room.set_flags(static_cast<uint8_t>(about.flags));
        }
        std::ranges::copy(data, room.payload().begin());
        return to->ring->commit(std::move(room), data.size());
    }

    int end() {
        for (auto &[topic, one] : outlets_) {
            if (!options_.quiet) {
                one->ring->summarize();
            }
        }
        if (descriptors_ != 0) {
            say_at_last(
                fmt::format("{} descriptors, which no file can keep, are missing", descriptors_));
        }
        for (const std::string &each : what_.damage) {
            say_at_last(fmt::format("{}: {}", options_.file, each));
        }
        if (stop_signal() != 0) {
            return status_when_stopped();
        }
        return what_.damage.empty() ? exit_ok : exit_damaged;
    }

    static constexpr uint32_t most_key = 32767;

    const replay_options &options_;
    mcap::file_source file_;
    mcap::contents what_;
    std::map<std::string, std::unique_ptr<outlet>> outlets_; // by topic
    std::map<uint16_t, outlet *> by_channel_;
    std::map<uint16_t, std::string> beside_; // channels that tell more of a topic's messages
    uint64_t started_ = 0;
    uint64_t descriptors_ = 0;
};

} // namespace

int replay(const replay_options &options) {
    try {
        return player(options).run();
    } catch (const mcap::damage &error) {
        throw failure(fmt::format("{}: {}", options.file, error.what()));
    } catch (const mcap::io_error &error) {
        throw failure(error.what() + limit_text(error.code().value()));
    }
}

} // namespace zbq::tool
