// SPDX-License-Identifier: MIT
//
// As many messages as go through, none lost, to one receiver or several. The figure is messages
// a second, from the first to when every receiver has checked the last.
#pragma once

#include "act.hpp"
#include "link.hpp"
#include "shared.hpp"

#include <atomic>
#include <thread>

namespace bench {

template <link Link>
class throughput : public act {
public:
    explicit throughput(const link_options &options)
        : act(Link::name), options_(options), link_(options), done_(1) {}

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

private:
    outcome send(clock::duration slice) {
        outcome result;
        const std::uint64_t between_looks = options_.size > 4096 ? 4 : 64;
        const clock::time_point start = clock::now();
        for (bool last = false; !last; ++result.messages) {
            last = result.messages % between_looks == between_looks - 1 &&
                   clock::now() - start >= slice;
            link_.send(options_.size, ++number_ | (last ? last_of_slice : 0));
        }
        link_.flush();
        ++slices_;
        while (done_->load(std::memory_order_acquire) != slices_ * options_.receivers) {
            if (options_.oversubscribed) {
                std::this_thread::yield();
            }
        }
        result.figure =
            static_cast<double>(result.messages) * 1e9 / nanoseconds(clock::now() - start).count();
        return result;
    }

    outcome receive() {
        outcome result;
        bool last = false;
        while (!last) {
            link_.receive([&](std::span<const std::byte> payload) {
                const std::uint64_t number =
                    payload.size() == options_.size ? number_of(payload.data()) : 0;
                last = (number & last_of_slice) != 0;
                const bool right = (number & ~last_of_slice) == ++number_ && holds(payload, number);
                result.errors += right ? 0 : 1;
                ++result.messages;
            });
        }
        done_->fetch_add(1, std::memory_order_release);
        return result;
    }

    link_options options_;
    Link link_;
    shared<std::atomic<std::uint64_t>> done_;
    std::uint64_t number_ = 0;
    std::uint64_t slices_ = 0;
};

} // namespace bench
