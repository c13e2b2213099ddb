// SPDX-License-Identifier: MIT
//
// Sixteen threads of one process that publish 64 bytes each time, and one process that reads it
// all: a ring for each thread, which a collector reads, and what else one would do, a mutex around
// one producer, or a queue in front of it. Each way has 16 MiB of rings.
#pragma once

#include "act.hpp"
#include "link.hpp"
#include "links/sockets.hpp"
#include "shared.hpp"

#include <array>
#include <atomic>
#include <barrier>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>
#include <zbq.hpp>
#ifdef BENCH_BOOST
#include <boost/lockfree/queue.hpp>
#endif

namespace bench {

inline constexpr unsigned publishing_threads = 16;
inline constexpr std::size_t thread_message_size = 64;
inline constexpr std::size_t thread_ring_bytes = 16U << 20U;

inline void must(zbq::status done) {
    if (done != zbq::status::ok) {
        throw std::runtime_error("publishing failed");
    }
}

inline void publish_to(zbq::producer &ring, std::uint64_t number) {
    const auto fill = [number](std::span<std::byte> to) noexcept {
        fill_inline(to.data(), to.size(), number);
    };
    zbq::status done = ring.try_fill(thread_message_size, fill);
    for (; done == zbq::status::again; done = ring.try_fill(thread_message_size, fill)) {
        std::ignore = ring.wait_for_room(zbq::never);
    }
    must(done);
}

// A ring for each.
class ring_each {
public:
    static constexpr const char *name = "zbq, thread_producers";

    void become_sender() {
        threads_.emplace(where_,
                         zbq::producer_options{.capacity = thread_ring_bytes / publishing_threads},
                         zbq::dial_options{}, std::chrono::seconds(60));
    }
    void become_receiver() { collector_.emplace(where_); }
    void publish(std::uint64_t number) { publish_to(threads_->mine(), number); }
    template <typename Visit>
    void receive(const Visit &visit) {
        std::ignore = collector_->wait(zbq::in(std::chrono::milliseconds(1)));
        collector_->serve([&visit](const zbq::source & /*from*/, zbq::message_batch &batch) {
            for (const zbq::message_view &each : batch) {
                visit(each.payload());
            }
        });
    }

private:
    std::string where_ = "@zbq-bench-threads-" + std::to_string(getpid());
    std::optional<zbq::thread_producers> threads_;
    std::optional<zbq::collector> collector_;
};

// One ring.
class one_ring {
public:
    one_ring() : ends_(1, SOCK_SEQPACKET) {}
    void become_sender() {
        ring_.emplace(zbq::producer_options{.capacity = thread_ring_bytes, .stall_timeout = {}});
        ring_->admit(ends_.sender.at(0).get());
    }
    void become_receiver() { reader_.emplace(ends_.receiver.at(0).get()); }
    template <typename Visit>
    void receive(const Visit &visit) {
        std::ignore = reader_->wait(zbq::in(std::chrono::milliseconds(1)));
        for (const zbq::message_view &each : reader_->take_batch()) {
            visit(each.payload());
        }
    }

protected:
    socket_pairs ends_;
    std::optional<zbq::producer> ring_;
    std::optional<zbq::consumer> reader_;
};

class behind_a_mutex : public one_ring {
public:
    static constexpr const char *name = "a mutex around one producer";

    void publish(std::uint64_t number) {
        const std::scoped_lock lock(mutex_);
        publish_to(*ring_, number);
    }

private:
    std::mutex mutex_;
};

#ifdef BENCH_BOOST
// A thread of its own takes from the queue and publishes.
class behind_a_queue : public one_ring {
public:
    static constexpr const char *name = "boost::lockfree::queue before one producer";

    void become_sender() {
        one_ring::become_sender();
        publisher_ = std::jthread([this](const std::stop_token &stop) { forward(stop); });
    }
    void publish(std::uint64_t number) {
        queued message;
        fill_inline(message.data(), message.size(), number);
        while (!queue_->bounded_push(message)) {
            std::this_thread::yield();
        }
    }

private:
    using queued = std::array<std::byte, thread_message_size>;
    using queue = boost::lockfree::queue<queued, boost::lockfree::capacity<32768>>;

    void forward(const std::stop_token &stop) {
        while (!stop.stop_requested()) {
            if (queue_->consume_all([this](const queued &message) {
                    must(ring_->publish(message, zbq::never));
                }) == 0) {
                std::this_thread::yield();
            }
        }
    }

    std::unique_ptr<queue> queue_ = std::make_unique<queue>();
    std::jthread publisher_;
};
#endif

// The figure is messages a second, from the first to when the last was read.
template <typename Way>
class from_threads final : public act {
public:
    from_threads() : act(Way::name) {}

    void prepare(unsigned actor) override {
        if (actor == 0) {
            way_.become_sender();
            for (unsigned i = 0; i < publishing_threads; ++i) {
                threads_.emplace_back([this, i](const std::stop_token &stop) { run(i, stop); });
            }
        } else {
            way_.become_receiver();
        }
    }
    outcome perform(unsigned actor, clock::duration slice) override {
        return actor == 0 ? send(slice) : receive();
    }
    ~from_threads() override {
        if (!threads_.empty()) {
            for (std::jthread &each : threads_) {
                each.request_stop();
            }
            begin_.arrive_and_wait();
        }
    }
    from_threads(const from_threads &) = delete;
    from_threads &operator=(const from_threads &) = delete;
    from_threads(from_threads &&) = delete;
    from_threads &operator=(from_threads &&) = delete;

private:
    static constexpr std::uint64_t not_yet = UINT64_MAX;
    static constexpr unsigned number_bits = 48; // above them the thread

    struct tally {
        alignas(64) std::atomic<std::uint64_t> sent{not_yet}; // in all slices
        alignas(64) std::atomic<std::uint64_t> received{0};
    };

    void run(unsigned thread, const std::stop_token &stop) {
        std::uint64_t number = std::uint64_t{thread} << number_bits;
        for (;;) {
            begin_.arrive_and_wait();
            if (stop.stop_requested()) {
                return;
            }
            std::uint64_t count = 0;
            while (clock::now() < end_) {
                for (int i = 0; i < 16; ++i, ++count) {
                    way_.publish(++number);
                }
            }
            count_.fetch_add(count, std::memory_order_relaxed);
            over_.arrive_and_wait();
        }
    }

    outcome send(clock::duration slice) {
        outcome result;
        const std::uint64_t before = count_.load(std::memory_order_relaxed);
        const clock::time_point start = clock::now();
        end_ = start + slice;
        begin_.arrive_and_wait();
        over_.arrive_and_wait();
        const std::uint64_t all = count_.load(std::memory_order_relaxed);
        tally_->sent.store(all, std::memory_order_release);
        while (tally_->received.load(std::memory_order_acquire) != all) {
            std::this_thread::yield();
        }
        tally_->sent.store(not_yet, std::memory_order_relaxed);
        result.messages = all - before;
        result.figure =
            static_cast<double>(result.messages) * 1e9 / nanoseconds(clock::now() - start).count();
        return result;
    }

    outcome receive() {
        outcome result;
        while (tally_->sent.load(std::memory_order_acquire) != received_) {
            way_.receive([&](std::span<const std::byte> payload) {
                const std::uint64_t number =
                    payload.size() == thread_message_size ? number_of(payload.data()) : 0;
                const bool right = number >> number_bits < publishing_threads &&
                                   holds_inline(payload, number) &&
                                   number == (++newest_.at(number >> number_bits) |
                                              (number >> number_bits << number_bits));
                result.errors += right ? 0 : 1;
                ++result.messages;
                ++received_;
            });
        }
        tally_->received.store(received_, std::memory_order_release);
        return result;
    }

    Way way_;
    shared<tally> tally_;
    std::uint64_t received_ = 0;
    std::array<std::uint64_t, publishing_threads> newest_ = {};
    clock::time_point end_;
    std::atomic<std::uint64_t> count_{0};
    std::barrier<> begin_{publishing_threads + 1};
    std::barrier<> over_{publishing_threads + 1};
    std::vector<std::jthread> threads_; // go first
};

} // namespace bench
