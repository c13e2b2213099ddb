// SPDX-License-Identifier: MIT
//
// A stream to a ring.
#include "options.hpp"
#include "outlet.hpp"
#include "position.hpp"
#include "runner.hpp"
#include "tools/zbq/errors.hpp"

namespace zbq::bridge {

namespace {

using tool::look_interval;

constexpr unsigned most_frames_at_once = 64; // before others have their turn

struct stopped {}; // by a signal, while something waited

class importer {
public:
    explicit importer(const import_options &options)
        : options_(options), runner_(&account_, options.json),
          position_(options.position, options.stream), outlet_(options, [this] {
              look_around();
              if (tool::stop_signal() != 0) {
                  throw stopped();
              }
          }) {
        account_.direction = "import";
        account_.name = options.name;
        account_.stream = options.stream;
    }

    int run() {
        try {
            runner_.run([this] { return session(); });
        } catch (const stopped &) { // in the midst of a frame, which the position tells
        }
        if (!options_.quiet) {
            runner_.tell();
        }
        return ended_ ? tool::exit_ok : tool::status_when_stopped();
    }

private:
    // ---- the stream ----

    bool session() {
        reader in(options_.server, options_.stream);
        in.start(first_number(in.state()), options_.window);
        runner_.note_answer();
        while (tool::stop_signal() == 0 && !ended_) {
            bool more = false;
            for (unsigned i = 0; i < most_frames_at_once && !ended_; ++i) {
                const std::optional<stored> next = in.take();
                if (!next) {
                    break;
                }
                more = true;
                take(*next);
            }
            outlet_.serve();
            look_around();
            if (!more) {
                wait_for({in.event_fd(), outlet_.event_fd()}, look_interval);
            }
        }
        return true;
    }

    std::uint64_t first_number(const stream_state &state) {
        if (!position_.is_known()) {
            const std::uint64_t from = options_.from == 0 ? state.last + 1 : options_.from;
            position_.begin_stream(state.identity, from - 1);
        } else if (position_.identity() != state.identity || position_.number() > state.last) {
            runner_.say("the stream was made anew since: begins with its first message");
            is_torn_ = true;
            position_.begin_stream(state.identity, 0);
        }
        return position_.number() + 1;
    }

    void take(const stored &what) {
        std::string why;
        const std::optional<frame> got = frame::read(what.data, &why);
        if (!got && frame::is_other_version(what.data)) {
            throw trouble(fmt::format("message {} is {}", what.number, why), true);
        }
        is_torn_ = is_torn_ || what.number != position_.number() + 1;
        if (got) {
            apply(*got);
        } else if (told_ != why) {
            told_ = why;
            runner_.say(fmt::format("message {} is {}: passed over", what.number, why));
        }
        is_torn_ = is_torn_ || !got;
        position_.set_number(what.number);
        ++account_.frames;
        account_.lag_frames = what.behind;
    }

    void look_around() {
        account_.lag_bytes = outlet_.lag();
        if (const std::string complaint = outlet_.take_complaint(); !complaint.empty()) {
            runner_.say(complaint);
        }
        runner_.look_around();
    }

    // ---- a frame ----

    void apply(const frame &got) {
        const frame_head &head = got.head();
        const bool is_other = head.ring != position_.ring();
        const bool is_first = !position_.has_ring();
        if (is_other) {
            outlet_.end(to_string(cause::restarted));
            position_.begin_ring(head.ring, is_first ? head.first : 0);
        }
        if (!outlet_.is_open()) {
            outlet_.begin(head.ring, got.ring(), position_.offset());
            snapshot_.clear();
        }
        // A ring's end may be gone with what was between.
        const bool lost_end = is_other && !is_first && is_torn_;
        if (head.first > position_.offset() || lost_end) {
            miss(std::max(head.first, position_.offset()), cause::truncated, is_other);
        }
        is_torn_ = false;
        got.visit([this](const entry &one) {
            if (!ended_) {
                apply(one);
            }
        });
        outlet_.admit();
    }

    void apply(const entry &one) {
        switch (one.kind) {
        case entry_kind::message:
            publish(one);
            break;
        case entry_kind::gap:
            if (one.next > position_.offset() || (one.at_least && one.next == one.offset)) {
                miss(std::max(one.next, position_.offset()), static_cast<cause>(one.flags),
                     one.at_least);
            }
            break;
        case entry_kind::descriptors:
            account_.descriptors += one.count;
            break;
        case entry_kind::retained:
            keep(one);
            break;
        case entry_kind::retained_end:
            set_retained(one.count);
            break;
        case entry_kind::end:
            end(one);
            break;
        case entry_kind::ring:
            break;
        }
    }

    void publish(const entry &one) {
        if (one.offset < position_.offset()) {
            ++account_.duplicates;
            return;
        }
        wait_for_readers();
        if (!outlet_.publish(one)) {
            miss(one.next, cause::too_large, false);
            return;
        }
        position_.set_offset(one.next);
        ++account_.messages;
        account_.bytes += one.body.size();
    }

    void wait_for_readers() {
        if (account_.messages == 0 && account_.gaps == 0) {
            outlet_.wait_for_readers(options_.wait_for);
        }
    }

    void miss(std::uint64_t next, cause why, bool at_least) {
        wait_for_readers();
        const std::uint64_t bytes = next - position_.offset();
        ++account_.gaps;
        account_.missed += bytes;
        outlet_.tell(next, {why, bytes, at_least});
        position_.set_offset(next);
    }

    // Others' words: no more of them than a ring can retain.
    void keep(const entry &one) {
        snapshot_size_ += one.body.size();
        if (snapshot_size_ <= most_retained) {
            snapshot_[one.key].assign(one.body.begin(), one.body.end());
        }
    }

    // Those were all, unless what began in an earlier frame was not read here.
    void set_retained(std::uint32_t count) {
        if (count == snapshot_.size()) {
            std::map<std::uint16_t, std::span<const std::byte>> all;
            for (const auto &[key, payload] : snapshot_) {
                all[key] = payload;
            }
            outlet_.set_retained(all);
        }
        snapshot_.clear();
        snapshot_size_ = 0;
    }

    void end(const entry &one) {
        if (one.offset < position_.offset()) {
            return; // this is an old frame of a ring that went on
        }
        outlet_.admit(); // a stream that is short is one all the same
        const auto why = static_cast<end_cause>(one.flags);
        outlet_.end(why == end_cause::closed ? nullptr : to_string(why));
        ended_ = options_.once;
    }

    static constexpr std::size_t most_retained = std::size_t{1} << 20U;

    const import_options &options_;
    account account_;
    runner runner_;
    position position_;
    outlet outlet_;
    std::map<std::uint16_t, std::vector<std::byte>> snapshot_;
    std::size_t snapshot_size_ = 0;
    bool is_torn_ = false; // the stream, since the last frame
    bool ended_ = false;
    std::string told_;
};

} // namespace

int run_import(const import_options &options) {
    return importer(options).run();
}

} // namespace zbq::bridge
