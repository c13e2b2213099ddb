// SPDX-License-Identifier: MIT
//
// A ring to a stream.
#include "options.hpp"
#include "runner.hpp"
#include "tools/zbq/errors.hpp"

#include <deque>
#include <random>

namespace zbq::bridge {

namespace {

using tool::look_interval;
using tool::second;

constexpr std::uint64_t patience = 5 * second;  // with an acknowledgement
constexpr unsigned most_messages_at_once = 512; // before answers have their turn

// A frame that has no acknowledgement.
struct outgoing {
    std::vector<std::byte> data;
    std::string id;
    std::uint64_t number = 0;   // in this session
    std::uint64_t wanted = 0;   // in the stream; 0: not sent
    std::uint64_t messages = 0; // of this run, up to its end
};

std::uint64_t random_session() {
    std::random_device device;
    return std::uint64_t{device()} << 32U | device();
}

class exporter {
public:
    explicit exporter(const export_options &options)
        : options_(options), runner_(&account_, options.json), session_(random_session()),
          writer_(session_), source_(options.ring) {
        account_.direction = "export";
        account_.name = options.ring.name;
        account_.stream = options.stream.name;
    }

    int run() {
        runner_.run([this] {
            writer out(options_.server, options_.stream);
            resume(&out);
            return pump(&out);
        });
        if (!options_.quiet) {
            runner_.tell();
        }
        return ended_ ? tool::exit_ok : tool::status_when_stopped();
    }

private:
    // ---- where to go on ----

    void resume(writer *out) {
        const std::optional<stored> last = out->last();
        const stream_state state = out->state();
        std::string why;
        std::optional<frame> newest;
        if (last) {
            newest = frame::read(last->data, &why);
            if (!newest && announced_) { // what of this is there already comes back as a duplicate
                runner_.say(fmt::format("message {} of the stream is {}", last->number, why));
            } else if (!newest) {
                throw trouble(
                    fmt::format("the stream {} has something else in it: message {} is {}",
                                options_.stream.name, last->number, why),
                    true);
            }
        }
        set_limit(state.largest);
        if (!announced_) {
            start_over(newest);
        } else if (newest && newest->head().session == session_) {
            drop_until(newest->head().number);
        } else if (newest) {
            throw tool::failure(
                fmt::format("bridge export {}: replaced: another exporter, of {} on {}, writes the "
                            "stream {} now",
                            options_.ring.name, newest->ring().name, newest->ring().host,
                            options_.stream.name),
                exit_replaced);
        }
        for (outgoing &each : queue_) {
            each.wanted = 0;
        }
        sent_ = 0;
        last_number_ = state.last;
        progress_at_ = looked_at_ = tool::now_ns();
    }

    // Where nothing is sent, nothing else tells that another exporter has come, or that the server
    // is gone.
    void look_at_stream(writer *out) {
        const std::uint64_t now = tool::now_ns();
        if (queue_.empty() && now > std::max(looked_at_, progress_at_) + patience) {
            looked_at_ = now;
            if (out->state().last != last_number_) {
                throw trouble("the stream has come further, or not so far");
            }
            runner_.note_answer();
        }
    }

    void set_limit(std::size_t limit) {
        for (const outgoing &each : queue_) {
            if (each.data.size() > limit) {
                throw trouble(
                    fmt::format("the server takes messages of {} bytes now, and one of {} "
                                "waits for it",
                                limit, each.data.size()),
                    true);
            }
        }
        limit_ = limit;
        if (writer_.limit() != limit) {
            seal_what_is_there();
            writer_.set_limit(limit);
        }
    }

    // Nothing of this session is in the stream.
    void start_over(const std::optional<frame> &newest) {
        if (newest && !options_.adopt) {
            const ring_facts &there = newest->ring();
            if (there.name != options_.ring.name) {
                throw trouble(fmt::format("the stream {} has messages of the ring {} of {}: see "
                                          "--adopt",
                                          options_.stream.name, there.name, there.host),
                              true);
            }
        }
        queue_.clear();
        queued_bytes_ = 0;
        writer_ = frame_writer(session_);
        writer_.set_limit(limit_);
        std::optional<std::pair<ring_id, std::uint64_t>> place;
        if (newest) {
            place = {newest->head().ring, newest->head().end};
        }
        source_ = source(options_.ring);
        source_.begin(place);
    }

    void drop_until(std::uint64_t number) {
        while (!queue_.empty() && queue_.front().number <= number) {
            drop_first();
        }
    }

    void drop_first() {
        queued_bytes_ -= queue_.front().data.size();
        stored_messages_ = queue_.front().messages;
        queue_.pop_front();
        sent_ -= std::min<std::size_t>(sent_, 1);
        ++account_.acknowledged;
    }

    // ---- the loop ----

    // True when all was done that there is to do.
    bool pump(writer *out) {
        if (queue_.empty()) { // else its acknowledgement is the answer
            runner_.note_answer();
        }
        for (;;) {
            const bool stops = tool::stop_signal() != 0 || ended_;
            bool more = !stops && fill();
            seal_if_due(stops);
            more = send(out) || more;
            more = take_answers(out) || more;
            look_around();
            if (stops && queue_.empty()) {
                return true;
            }
            if (!more) {
                look_at_stream(out);
                sleep(*out);
            }
        }
    }

    bool has_room() const { return queued_bytes_ + writer_.size() < options_.window; }

    void sleep(const writer &out) {
        std::uint64_t time = look_interval;
        if (!writer_.is_empty()) {
            const std::uint64_t due = opened_at_ + options_.linger;
            const std::uint64_t now = tool::now_ns();
            time = std::min(time, due > now ? due - now : 0);
        }
        wait_for({out.event_fd(), has_room() && !ended_ ? source_.event_fd() : -1}, time);
    }

    void look_around() {
        account_.lag_bytes = source_.lag();
        account_.lag_frames = queue_.size();
        account_.lag_messages = account_.messages - stored_messages_;
        if (const std::string complaint = source_.take_complaint(); !complaint.empty()) {
            runner_.say(complaint);
        }
        runner_.look_around();
    }

    // ---- from the ring ----

    // Whether there may be more at once.
    bool fill() {
        for (unsigned i = 0; i < most_messages_at_once; ++i) {
            if (!has_room() || ended_) {
                return false;
            }
            const found got =
                source_.next(writer_.has_ring() ? writer_.prepare() : std::span<std::byte>());
            if (got.what == found::kind::nothing) {
                return false;
            }
            take(got);
        }
        return true;
    }

    void take(const found &got) {
        const bool was_empty = writer_.is_empty();
        switch (got.what) {
        case found::kind::ring:
            begin_ring(got.offset);
            break;
        case found::kind::gap:
            add_gap(got.why, got.offset, got.at_least);
            break;
        case found::kind::message:
            add_message(got.message);
            break;
        case found::kind::too_large:
            make_room(got.message.size);
            break;
        case found::kind::end:
            add_end(got);
            break;
        case found::kind::nothing:
            break;
        }
        if (was_empty && !writer_.is_empty()) {
            opened_at_ = tool::now_ns();
        }
        if (writer_.size() >= options_.frame) {
            seal();
        }
    }

    void begin_ring(std::uint64_t offset) {
        seal_what_is_there();
        writer_.begin_ring(source_.ring(), source_.facts(), offset);
        warn_of_size();
        tell_retained();
        seal_what_is_there(); // at once: this is what tells an earlier exporter that it is replaced
    }

    void warn_of_size() {
        if (source_.facts().capacity > writer_.largest_message() && !warned_) {
            warned_ = true;
            runner_.say(fmt::format("messages of more than {} bytes, which the ring takes and the "
                                    "server does not, will be gaps",
                                    writer_.largest_message()));
        }
    }

    void add_message(const copied &what) {
        if (what.offset != writer_.next_offset()) {
            note_gap(what.offset - writer_.next_offset());
        }
        writer_.add_message(what, cause::lapped);
        ++account_.messages;
        account_.bytes += what.size;
        account_.descriptors += what.descriptors;
    }

    void add_gap(cause why, std::uint64_t next, bool at_least) {
        if (next == writer_.next_offset() && !at_least) {
            return;
        }
        make_room_for_entry();
        note_gap(next - writer_.next_offset());
        writer_.add_gap(why, next, at_least);
    }

    void note_gap(std::uint64_t bytes) {
        ++account_.gaps;
        account_.missed += bytes;
    }

    void add_end(const found &got) {
        add_gap(cause::lapped, got.offset, false);
        make_room_for_entry();
        writer_.add_end(got.ended);
        seal();
        ended_ = options_.once;
    }

    void make_room_for_entry() {
        if (!writer_.has_room(sizeof(std::uint64_t))) {
            seal();
        }
    }

    // For a message that has none: in the next frame, or nowhere.
    void make_room(std::size_t size) {
        if (!writer_.is_empty()) {
            seal();
            return;
        }
        scratch_.resize(size);
        const found got = source_.next(scratch_);
        if (got.what != found::kind::message) { // it was lapped meanwhile
            if (got.what != found::kind::too_large) {
                take(got);
            }
            return;
        }
        if (got.message.size <= writer_.largest_message()) { // so it is another one now
            std::copy_n(scratch_.begin(), got.message.size, writer_.prepare().begin());
            add_message(got.message);
            return;
        }
        add_gap(cause::lapped, got.offset, false);
        add_gap(cause::too_large, got.offset + room_of(got.message.size), false);
    }

    void tell_retained() {
        std::uint32_t count = 0;
        for (const auto &[key, payload] : source_.retained()) {
            if (!writer_.has_room(payload.size())) {
                seal();
            }
            if (writer_.has_room(payload.size())) {
                writer_.add_retained(key, payload);
                ++count;
            }
        }
        make_room_for_entry();
        writer_.add_retained_end(count);
        refreshed_at_ = tool::now_ns();
    }

    void seal_what_is_there() {
        if (!writer_.is_empty()) {
            seal();
        }
    }

    void seal_if_due(bool stops) {
        if (writer_.is_empty()) {
            return;
        }
        const std::uint64_t now = tool::now_ns();
        if (stops || now >= opened_at_ + options_.linger) {
            if (now >= refreshed_at_ + options_.refresh) {
                tell_retained(); // for who reads from here on
            }
            seal();
        }
    }

    void seal() {
        const auto bytes = writer_.seal(tool::wall_clock());
        queue_.push_back({{bytes.begin(), bytes.end()},
                          writer_.sealed_id(),
                          writer_.sealed_number(),
                          0,
                          account_.messages});
        queued_bytes_ += bytes.size();
        ++account_.frames;
    }

    // ---- to the stream ----

    bool send(writer *out) {
        const bool any = sent_ < queue_.size();
        for (; sent_ < queue_.size(); ++sent_) {
            outgoing &next = queue_[sent_];
            out->send(next.data, next.id, last_number_);
            next.wanted = ++last_number_;
            if (sent_ == 0) {
                progress_at_ = tool::now_ns();
            }
        }
        return any;
    }

    // What was stored has all before it in the stream.
    bool take_answers(writer *out) {
        bool any = false;
        while (const std::optional<answer> got = out->take()) {
            any = true;
            switch (got->what) {
            case answer::kind::duplicate:
                ++account_.duplicates;
                [[fallthrough]];
            case answer::kind::stored:
                accept(got->wanted);
                if (got->number != got->wanted) {
                    throw trouble("the stream has other numbers than it had");
                }
                break;
            case answer::kind::conflict:
                throw trouble("the stream has come further, or not so far: " + got->text);
            case answer::kind::refused:
                throw trouble("the stream takes no more: " + got->text);
            }
        }
        if (sent_ != 0 && tool::now_ns() > progress_at_ + patience) {
            throw trouble("the server acknowledges nothing");
        }
        return any;
    }

    void accept(std::uint64_t number) {
        announced_ = true;
        runner_.note_answer();
        progress_at_ = tool::now_ns();
        while (sent_ != 0 && queue_.front().wanted <= number) {
            drop_first();
        }
    }

    const export_options &options_;
    account account_;
    runner runner_;
    std::uint64_t session_;
    std::size_t limit_ = 0;
    frame_writer writer_;
    source source_;
    std::uint64_t stored_messages_ = 0; // of this run
    std::deque<outgoing> queue_;        // the first `sent_` of them were sent
    std::size_t sent_ = 0;
    std::size_t queued_bytes_ = 0;
    std::uint64_t last_number_ = 0; // that the stream has, once it has all that was sent
    bool announced_ = false;        // something of this session is in the stream
    bool ended_ = false;
    bool warned_ = false;
    std::uint64_t opened_at_ = 0; // the frame that is being filled
    std::uint64_t refreshed_at_ = 0;
    std::uint64_t progress_at_ = 0;
    std::uint64_t looked_at_ = 0; // the stream
    std::vector<std::byte> scratch_;
};

} // namespace

int run_export(const export_options &options) {
    return exporter(options).run();
}

} // namespace zbq::bridge
