// SPDX-License-Identifier: MIT
//
// zbq, through its C++ interface.
#pragma once

#include "../link.hpp"
#include "sockets.hpp"

#include <algorithm>
#include <optional>
#include <tuple>
#include <zbq.hpp>

namespace bench {

class zbq_ring {
public:
    static constexpr const char *name = "zbq";

    explicit zbq_ring(const link_options &options)
        : options_(options), spin_(spin_for(options)), ends_(options.receivers, SOCK_SEQPACKET) {}

    void become_sender() {
        zbq::producer_options producer;
        constexpr std::size_t unit = 4096;
        const std::size_t bytes =
            std::max(options_.ring_bytes, 8 * zbq::producer::size_of(options_.size));
        producer.capacity = (bytes + unit - 1) / unit * unit;
        producer.stall_timeout = {};
        producer.max_consumers = options_.receivers;
        producer_.emplace(producer);
        for (const zbq::unique_fd &end : ends_.sender) {
            producer_->admit(end.get());
        }
    }
    void become_receiver(unsigned index) { consumer_.emplace(ends_.receiver.at(index).get()); }

    void send(std::size_t size, std::uint64_t number) {
        if (options_.batch == 1) {
            const auto write = [number](std::span<std::byte> to) noexcept {
                fill(to.data(), to.size(), number);
            };
            while (producer_->try_fill(size, write) == zbq::status::again) {
                wait_for_room();
            }
            return;
        }
        const std::span<std::byte> place = batch_.add(size);
        std::byte *to = place.data() != nullptr ? place.data() : add_to_next_batch(size);
        fill(to, size, number);
    }
    void flush() { std::ignore = batch_.commit(); }

    template <typename Visit>
    void receive(const Visit &visit) {
        std::ignore = consumer_->wait(zbq::never, spin_);
        for (const zbq::message_view &message : consumer_->take_batch()) {
            visit(message.payload());
        }
    }

protected:
    void wait_for_room() {
        if (options_.oversubscribed) {
            std::ignore = producer_->wait_for_room(zbq::never);
        } else {
            pause_processor();
        }
    }

    link_options options_;
    std::chrono::nanoseconds spin_;
    socket_pairs ends_;
    std::optional<zbq::producer> producer_;
    std::optional<zbq::consumer> consumer_;

private:
    [[gnu::noinline]] std::byte *add_to_next_batch(std::size_t size) {
        flush();
        const std::uint64_t bytes = options_.batch * zbq::producer::size_of(size);
        while (!(batch_ = producer_->try_batch(bytes))) {
            wait_for_room();
        }
        return batch_.add(size).data();
    }
    static std::chrono::nanoseconds spin_for(const link_options &options) {
        constexpr std::chrono::microseconds a_while(20);
        if (options.sleeping) {
            return options.streaming ? a_while : std::chrono::nanoseconds(0);
        }
        return std::chrono::nanoseconds::max();
    }

    zbq::batch batch_;
};

} // namespace bench
