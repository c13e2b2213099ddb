// SPDX-License-Identifier: MIT
//
// What the machine can do at best, besides a cache line's way (ping_pong.hpp) and a bare ring.
#pragma once

#include "act.hpp"
#include "payload.hpp"
#include "shared.hpp"

#include <atomic>
#include <climits>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace bench {

// Sleep and be woken, there and back. The figure is nanoseconds for a round trip.
class futex_ping_pong : public act {
public:
    futex_ping_pong() : act("futex"), words_(2) {}
    void prepare(unsigned /*actor*/) override {}
    outcome perform(unsigned actor, clock::duration slice) override {
        outcome result;
        const clock::time_point start = clock::now();
        for (bool last = false; !last; ++result.messages) {
            ++number_;
            if (actor == 0) {
                last = clock::now() - start >= slice;
                post(0, last);
                await(1);
            } else {
                last = await(0);
                post(1, last);
            }
        }
        result.figure =
            nanoseconds(clock::now() - start).count() / static_cast<double>(result.messages);
        return result;
    }

private:
    // The lowest bit says that it is the last one.
    void post(std::size_t which, bool last) {
        words_[which].store(number_ * 2 + (last ? 1 : 0), std::memory_order_release);
        syscall(SYS_futex, &words_[which], FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
    }
    bool await(std::size_t which) {
        std::uint32_t seen = 0;
        while ((seen = words_[which].load(std::memory_order_acquire)) / 2 != number_) {
            syscall(SYS_futex, &words_[which], FUTEX_WAIT, seen, nullptr, nullptr, 0);
        }
        return seen % 2 != 0;
    }

    shared<std::atomic<std::uint32_t>> words_;
    std::uint32_t number_ = 0;
};

// Copying payloads from one place to another, in one process, and checking them. The figure is
// payloads a second.
class memory_copy : public act {
public:
    // Both begin with a page: some processors copy at a twentieth of their speed where one lies
    // 16 bytes further in its page than the other (glibc's bug 30994).
    explicit memory_copy(std::size_t size) : act("memcpy"), size_(size), from_(size), to_(size) {}
    void prepare(unsigned /*actor*/) override {}
    outcome perform(unsigned actor, clock::duration slice) override {
        outcome result;
        const clock::time_point start = clock::now();
        while (actor == 0 && clock::now() - start < slice) {
            for (int i = 0; i < 8; ++i) {
                fill(from_.get(), sizeof(std::uint64_t), ++result.messages);
                std::memcpy(to_.get(), from_.get(), size_);
                asm volatile("" ::"r"(to_.get()) : "memory");
            }
        }
        result.figure =
            static_cast<double>(result.messages) * 1e9 / nanoseconds(clock::now() - start).count();
        return result;
    }

private:
    std::size_t size_;
    shared<std::byte> from_;
    shared<std::byte> to_;
};

} // namespace bench
