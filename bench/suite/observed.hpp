// SPDX-License-Identifier: MIT
//
// An observer beside a sender at full speed: how many messages of 64 bytes it sees whole in a
// second. The floors are the two known ways to let readers check what may be overwritten: a stamp
// in each slot, and two counters, of what is reserved and of what is published. And how old the
// newest is that it sees, and the sender's rate beside observers that have stopped.
#pragma once

#include "act.hpp"
#include "link.hpp"
#include "links/sockets.hpp"
#include "samples.hpp"

#include <array>
#include <atomic>
#include <optional>
#include <vector>
#include <zbq.hpp>

namespace bench {

inline constexpr std::size_t observed_size = 64;
using observed_message = std::array<std::uint64_t, observed_size / 8>;

// A megabyte of slots, each of which has a number that is odd while it is written.
class stamped_slots {
public:
    static constexpr const char *name = "a stamp in each slot";

    void become_sender() {}
    void become_observer() {}
    void send(std::uint64_t number) {
        slot &to = slots_[number % count];
        to.stamp.store(2 * number + 1, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_release);
        fill_inline(reinterpret_cast<std::byte *>(to.message.data()), observed_size, number);
        to.stamp.store(2 * number + 2, std::memory_order_release);
    }
    // Lapped: on at what is there now.
    template <typename Visit>
    void look(const Visit &visit) {
        const slot &from = slots_[next_ % count];
        const std::uint64_t before = from.stamp.load(std::memory_order_acquire);
        if (before < 2 * next_ + 2) {
            pause_processor();
            return;
        }
        const bool right = holds_inline(bytes_of(from.message), before / 2 - 1);
        std::atomic_thread_fence(std::memory_order_acquire);
        const bool whole = before % 2 == 0 && from.stamp.load(std::memory_order_relaxed) == before;
        next_ = before / 2 - (before % 2 == 0 ? 0 : 1);
        if (whole) {
            visit(right, before / 2 - 1);
        }
    }

private:
    struct alignas(64) slot {
        std::atomic<std::uint64_t> stamp{0};
        observed_message message = {};
    };
    static constexpr std::uint64_t count = (1U << 20U) / sizeof(slot);
    static std::span<const std::byte> bytes_of(const observed_message &message) {
        return std::as_bytes(std::span(message));
    }

    shared<slot> slots_{count};
    std::uint64_t next_ = 0;
};

// The same, with two counters in the place of stamps.
class two_counters {
public:
    static constexpr const char *name = "two counters";

    void become_sender() {}
    void become_observer() {}
    void send(std::uint64_t number) {
        counters_->reserved.store(number + 1, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_release);
        fill_inline(reinterpret_cast<std::byte *>(slots_[number % count].data()), observed_size,
                    number);
        counters_->published.store(number + 1, std::memory_order_release);
    }
    template <typename Visit>
    void look(const Visit &visit) {
        const std::uint64_t published = counters_->published.load(std::memory_order_acquire);
        if (published == next_) {
            pause_processor();
        }
        while (next_ != published) {
            const bool right = holds_inline(std::as_bytes(std::span(slots_[next_ % count])), next_);
            std::atomic_thread_fence(std::memory_order_acquire);
            const std::uint64_t reserved = counters_->reserved.load(std::memory_order_relaxed);
            if (reserved - next_ > count) { // lapped
                next_ = reserved - count;
                return;
            }
            visit(right, next_++);
        }
    }

private:
    struct counters {
        alignas(64) std::atomic<std::uint64_t> reserved{0};
        alignas(64) std::atomic<std::uint64_t> published{0};
    };
    static constexpr std::uint64_t count = (1U << 20U) / sizeof(observed_message);

    shared<observed_message> slots_{count};
    shared<counters> counters_;
    std::uint64_t next_ = 0;
};

template <zbq::flow Flow>
class zbq_observed {
public:
    static constexpr const char *name = Flow == zbq::flow::follow ? "zbq, follow" : "zbq, newest";

    zbq_observed() : ends_(1, SOCK_SEQPACKET) {}
    void become_sender() {
        producer_.emplace();
        producer_->admit(ends_.sender.at(0).get(), zbq::wakeup::pull, Flow);
    }
    void become_observer() {
        consumer_.emplace(ends_.receiver.at(0).get(), zbq::wakeup::pull, Flow);
    }
    void send(std::uint64_t number) {
        static_cast<void>(
            producer_->try_fill(observed_size, [number](std::span<std::byte> to) noexcept {
                fill_inline(to.data(), to.size(), number);
            }));
    }
    template <typename Visit>
    void look(const Visit &visit) {
        const zbq::message next = consumer_->try_next();
        if (!next) {
            pause_processor();
            return;
        }
        const std::uint64_t number = number_of(next.payload().data());
        const bool right =
            next.payload().size() == observed_size && holds_inline(next.payload(), number);
        if (next.intact()) {
            visit(right, number);
        }
    }

private:
    socket_pairs ends_;
    std::optional<zbq::producer> producer_;
    std::optional<zbq::consumer> consumer_;
};

// The newest message alone, with a stamp.
class one_slot {
public:
    static constexpr const char *name = "one slot with a stamp";

    void become_sender() {}
    void become_observer() {}
    void send(std::uint64_t number) {
        const std::uint64_t stamp = slot_->stamp.load(std::memory_order_relaxed);
        slot_->stamp.store(stamp + 1, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_release);
        fill_inline(reinterpret_cast<std::byte *>(slot_->message.data()), observed_size, number);
        slot_->stamp.store(stamp + 2, std::memory_order_release);
    }
    template <typename Visit>
    void look(const Visit &visit) {
        const std::uint64_t before = slot_->stamp.load(std::memory_order_acquire);
        if (before == seen_ || before % 2 != 0) {
            pause_processor();
            return;
        }
        const std::uint64_t number = slot_->message.front();
        const bool right = holds_inline(std::as_bytes(std::span(slot_->message)), number);
        std::atomic_thread_fence(std::memory_order_acquire);
        if (slot_->stamp.load(std::memory_order_relaxed) == before) {
            seen_ = before;
            visit(right, number);
        }
    }

private:
    struct stamped {
        alignas(64) std::atomic<std::uint64_t> stamp{0};
        alignas(64) observed_message message = {};
    };
    shared<stamped> slot_;
    std::uint64_t seen_ = 0;
};

// Actor 0 observes, actor 1 sends for as long.
template <typename Link>
class beside_sender : public act {
public:
    beside_sender() : act(Link::name) {}
    void prepare(unsigned actor) override {
        actor == 0 ? link_.become_observer() : link_.become_sender();
    }
    outcome perform(unsigned actor, clock::duration slice) override {
        return actor == 0 ? observe(slice) : send();
    }

protected:
    virtual void observe(Link *link, clock::duration slice, outcome *result) = 0;
    // A few messages, and how many.
    virtual unsigned send(Link *link) = 0;

private:
    outcome observe(clock::duration slice) {
        outcome result;
        turns_->wanted.store(++turn_, std::memory_order_release);
        observe(&link_, slice, &result);
        turns_->done.store(turn_, std::memory_order_release);
        return result;
    }
    outcome send() {
        outcome result;
        ++turn_;
        while (turns_->wanted.load(std::memory_order_acquire) != turn_) {
            pause_processor();
        }
        while (turns_->done.load(std::memory_order_acquire) != turn_) {
            result.messages += send(&link_);
        }
        return result;
    }

    struct turns {
        alignas(64) std::atomic<std::uint64_t> wanted{0};
        alignas(64) std::atomic<std::uint64_t> done{0};
    };
    Link link_;
    shared<turns> turns_;
    std::uint64_t turn_ = 0;
};

// How many messages it sees in a second.
template <typename Link>
class observed final : public beside_sender<Link> {
private:
    void observe(Link *link, clock::duration slice, outcome *result) override {
        const clock::time_point start = clock::now();
        while (clock::now() - start < slice) {
            for (int i = 0; i < 64; ++i) {
                link->look([&](bool right, std::uint64_t /*number*/) {
                    result->errors += right ? 0 : 1;
                    ++result->messages;
                });
            }
        }
        result->figure =
            static_cast<double>(result->messages) * 1e9 / nanoseconds(clock::now() - start).count();
    }
    unsigned send(Link *link) override {
        constexpr unsigned few = 64;
        for (unsigned i = 0; i < few; ++i) {
            link->send(number_++);
        }
        return few;
    }

    std::uint64_t number_ = 0;
};

// How old a message is when it was read: each holds the time at which it was sent, and is sent so
// long after the one before.
template <typename Link>
class age_of_newest final : public beside_sender<Link> {
public:
    explicit age_of_newest(clock::duration interval) : interval_(interval) {}
    [[nodiscard]] std::vector<double> samples() const override { return all_.all(); }

private:
    static std::uint64_t time() {
        return static_cast<std::uint64_t>(clock::now().time_since_epoch().count());
    }

    void observe(Link *link, clock::duration slice, outcome *result) override {
        const std::uint64_t start = time();
        const std::uint64_t end = start + static_cast<std::uint64_t>(slice.count());
        std::vector<double> ages;
        for (std::uint64_t now = start; now < end;) {
            link->look([&](bool right, std::uint64_t sent) {
                now = time();
                if (sent >= start) { // else it is what the slice before has left
                    result->errors += right ? 0 : 1;
                    ages.push_back(static_cast<double>(now - sent));
                }
            });
            now = time();
        }
        result->messages = ages.size();
        result->figure = quantile(&ages, 0.5);
        all_.add(ages);
    }
    unsigned send(Link *link) override {
        due_ = std::max(due_ + interval_, clock::now());
        while (clock::now() < due_) {
            pause_processor();
        }
        link->send(time());
        return 1;
    }

    clock::duration interval_;
    clock::time_point due_;
    shared_samples all_;
};

// The sender alone, with so many observers in pull mode that never read.
class beside_observers : public act {
public:
    explicit beside_observers(unsigned observers) : act("zbq"), observers_(observers) {}
    void prepare(unsigned actor) override {
        if (actor != 0) {
            return;
        }
        zbq::producer_options options;
        options.max_consumers = observers_ + 1;
        producer_.emplace(options);
        for (unsigned i = 0; i < observers_; ++i) {
            const socket_pairs ends(1, SOCK_SEQPACKET);
            producer_->admit(ends.sender.at(0).get(), zbq::wakeup::pull, zbq::flow::follow);
            stopped_.emplace_back(ends.receiver.at(0).get(), zbq::wakeup::pull, zbq::flow::follow);
        }
    }
    outcome perform(unsigned actor, clock::duration slice) override {
        outcome result;
        const clock::time_point start = clock::now();
        while (actor == 0 && clock::now() - start < slice) {
            for (int i = 0; i < 64; ++i, ++result.messages) {
                static_cast<void>(
                    producer_->try_fill(observed_size, [this](std::span<std::byte> to) noexcept {
                        fill_inline(to.data(), to.size(), number_++);
                    }));
            }
        }
        result.figure =
            static_cast<double>(result.messages) * 1e9 / nanoseconds(clock::now() - start).count();
        return result;
    }

private:
    unsigned observers_;
    std::optional<zbq::producer> producer_;
    std::vector<zbq::consumer> stopped_;
    std::uint64_t number_ = 0;
};

} // namespace bench
