// SPDX-License-Identifier: MIT
//
// A message there and one back, one at a time. The figure is nanoseconds for a round trip.
#pragma once

#include "act.hpp"
#include "link.hpp"
#include "shared.hpp"

#include <atomic>

namespace bench {

template <link Link>
class ping_pong : public act {
public:
    explicit ping_pong(const link_options &options)
        : act(Link::name), options_(options), there_(options), back_(options) {}

    void prepare(unsigned actor) override {
        if (actor == 0) {
            there_.become_sender();
            back_.become_receiver(0);
        } else {
            there_.become_receiver(0);
            back_.become_sender();
        }
    }

    outcome perform(unsigned actor, clock::duration slice) override {
        return actor == 0 ? serve(slice) : echo();
    }

private:
    outcome serve(clock::duration slice) {
        outcome result;
        const clock::time_point start = clock::now();
        for (bool last = false; !last; ++result.messages) {
            last = result.messages % 16 == 15 && clock::now() - start >= slice;
            const std::uint64_t number = ++number_ | (last ? last_of_slice : 0);
            there_.send(options_.size, number);
            there_.flush();
            result.errors += receive(&back_) == number ? 0 : 1;
        }
        result.figure =
            nanoseconds(clock::now() - start).count() / static_cast<double>(result.messages);
        return result;
    }

    outcome echo() {
        outcome result;
        for (std::uint64_t number = 0; (number & last_of_slice) == 0; ++result.messages) {
            number = receive(&there_);
            back_.send(options_.size, number);
            back_.flush();
        }
        return result;
    }

    // 0 for a message that is not what it should be.
    std::uint64_t receive(Link *from) {
        std::uint64_t number = 0;
        bool came = false;
        while (!came) {
            from->receive([&](std::span<const std::byte> payload) {
                came = true;
                number = number_of(payload.data());
                if (payload.size() != options_.size || !holds(payload, number)) {
                    number = 0;
                }
            });
        }
        return number;
    }

    link_options options_;
    Link there_;
    Link back_;
    std::uint64_t number_ = 0;
};

// The floor: a cache line there and one back.
class cache_line_ping_pong : public act {
public:
    cache_line_ping_pong() : act("cache line"), lines_(1) {}
    void prepare(unsigned /*actor*/) override {}
    outcome perform(unsigned actor, clock::duration slice) override {
        outcome result;
        const clock::time_point start = clock::now();
        for (bool last = false; !last; ++result.messages) { // the same in both processes
            if (actor == 0) {
                last = result.messages % 16 == 15 && clock::now() - start >= slice;
                const std::uint64_t number = ++number_ | (last ? last_of_slice : 0);
                lines_->there.store(number, std::memory_order_release);
                await(lines_->back, number);
            } else {
                const std::uint64_t number = await(lines_->there, ++number_);
                lines_->back.store(number, std::memory_order_release);
                last = (number & last_of_slice) != 0;
            }
        }
        result.figure =
            nanoseconds(clock::now() - start).count() / static_cast<double>(result.messages);
        return result;
    }

private:
    struct lines {
        alignas(128) std::atomic<std::uint64_t> there{0};
        alignas(128) std::atomic<std::uint64_t> back{0};
    };
    static std::uint64_t await(const std::atomic<std::uint64_t> &line, std::uint64_t number) {
        std::uint64_t seen = 0;
        while (((seen = line.load(std::memory_order_acquire)) & ~last_of_slice) !=
               (number & ~last_of_slice)) {
            pause_processor();
        }
        return seen;
    }

    shared<lines> lines_;
    std::uint64_t number_ = 0;
};

} // namespace bench
