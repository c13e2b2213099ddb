// SPDX-License-Identifier: MIT
//
// One-way latency: messages are due at a fixed rate, and each one's latency counts from when it
// was due, so that a sender that falls behind does not hide it. The figure is the median over all
// receivers.
#pragma once

#include "act.hpp"
#include "link.hpp"
#include "samples.hpp"

#include <atomic>
#include <thread>

namespace bench {

template <link Link>
class paced : public act {
public:
    explicit paced(const link_options &options)
        : act(Link::name), options_(options), link_(options), common_(1) {}

    void prepare(unsigned actor) override {
        if (actor == 0) {
            link_.become_sender();
        } else {
            link_.become_receiver(actor - 1);
        }
    }

    outcome perform(unsigned actor, clock::duration slice) override {
        return actor == 0 ? send(slice) : receive();
    }

    [[nodiscard]] std::vector<double> samples() const override { return latencies_.all(); }

private:
    struct common {
        std::atomic<clock::rep> start{0};
        std::atomic<std::uint64_t> done{0};
    };

    outcome send(clock::duration slice) {
        outcome result;
        const auto interval = options_.interval;
        const std::size_t recorded_before = latencies_.count();
        const std::uint64_t done_before = common_->done;
        const clock::time_point start = clock::now() + interval;
        common_->start.store(start.time_since_epoch().count(), std::memory_order_release);
        const auto count = static_cast<std::uint64_t>(slice / interval);
        for (std::uint64_t i = 0; i < count; ++i) {
            while (clock::now() < start + i * interval) {
                wait_for(start + i * interval);
            }
            link_.send(options_.size, i | (i + 1 == count ? last_of_slice : 0));
            link_.flush();
        }
        while (common_->done.load(std::memory_order_acquire) - done_before < options_.receivers) {
            if (options_.oversubscribed) {
                std::this_thread::yield();
            }
        }
        result.messages = count;
        result.figure = latencies_.median_since(recorded_before);
        return result;
    }

    outcome receive() {
        outcome result;
        std::vector<double> latencies;
        bool last = false;
        while (!last) {
            link_.receive([&](std::span<const std::byte> payload) {
                const std::uint64_t number = number_of(payload.data());
                result.errors += holds(payload, number) ? 0 : 1;
                last = (number & last_of_slice) != 0;
                const clock::time_point due = clock::time_point(clock::duration(common_->start)) +
                                              (number & ~last_of_slice) * options_.interval;
                latencies.push_back(nanoseconds(clock::now() - due).count());
            });
        }
        result.messages = latencies.size();
        latencies_.add(latencies);
        common_->done.fetch_add(1, std::memory_order_release);
        return result;
    }

    // Receivers that sleep may need this processor.
    void wait_for(clock::time_point due) const {
        if (options_.oversubscribed) {
            std::this_thread::sleep_until(due);
        } else {
            pause_processor();
        }
    }

    link_options options_;
    Link link_;
    shared<common> common_;
    shared_samples latencies_;
};

} // namespace bench
