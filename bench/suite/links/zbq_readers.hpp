// SPDX-License-Identifier: MIT
//
// zbq by its other ways of reading, to compare the first one with: message by message, with the
// answer given before the release, by the C interface as zbq.h opens with it, and typed.
#pragma once

#include "zbq_ring.hpp"

#include <array>
#include <zbq/inline.h>

namespace bench {

// Released after each.
class zbq_one_by_one : public zbq_ring {
public:
    static constexpr const char *name = "zbq, try_next";
    using zbq_ring::zbq_ring;

    template <typename Visit>
    void receive(const Visit &visit) {
        std::ignore = consumer_->wait(zbq::never, spin_);
        while (const zbq::message message = consumer_->try_next()) {
            visit(message.payload());
            if (!options_.streaming) {
                return;
            }
        }
    }
};

// Released when the next one is asked for.
class zbq_answered_first : public zbq_ring {
public:
    static constexpr const char *name = "zbq, answered first";
    using zbq_ring::zbq_ring;

    template <typename Visit>
    void receive(const Visit &visit) {
        held_.release();
        std::ignore = consumer_->wait(zbq::never, spin_);
        held_ = consumer_->try_next();
        if (held_) {
            visit(held_.payload());
        }
    }

private:
    zbq::message held_;
};

class zbq_in_c : public zbq_ring {
public:
    static constexpr const char *name = "zbq, C";
    using zbq_ring::zbq_ring;

    void become_receiver(unsigned index) {
        zbq_ring::become_receiver(index);
        window_ = zbq_consumer_window(consumer_->get());
    }
    void become_sender() {
        zbq_ring::become_sender();
        commits_ = zbq_producer_window(producer_->get());
    }
    void send(std::size_t size, std::uint64_t number) {
        const std::uint64_t bytes = zbq::producer::size_of(size);
        void *place = nullptr;
        while (zbq_window_reserve(commits_, bytes, &place) == ZBQ_ERROR_AGAIN) {
            wait_for_room();
        }
        const zbq_msg_header header = {static_cast<std::uint32_t>(size), 0, 0, 0, 0};
        std::memcpy(place, &header, sizeof header);
        fill(static_cast<std::byte *>(place) + sizeof header, size, number);
        zbq_window_commit(commits_, bytes);
    }
    void flush() {}

    template <typename Visit>
    void receive(const Visit &visit) {
        zbq_consumer_spin(consumer_->get(), UINT64_MAX);
        zbq_msg_view view = {};
        while (zbq_window_next(window_, &view) == ZBQ_OK) {
            visit(std::span(static_cast<const std::byte *>(view.payload), view.payload_len));
            zbq_window_release(window_, view.logical_offset + view.total_len);
            if (!options_.streaming) {
                return;
            }
        }
    }

private:
    zbq_read_window *window_ = nullptr;
    zbq_commit_window *commits_ = nullptr;
};

// Of messages of 64 bytes.
class zbq_typed {
public:
    static constexpr const char *name = "zbq, typed";

    explicit zbq_typed(const link_options &options)
        : options_(options), ends_(options.receivers, SOCK_SEQPACKET) {}

    void become_sender() {
        zbq::producer_options producer;
        producer.stall_timeout = {};
        producer_.emplace(producer);
        producer_->ring().admit(ends_.sender.at(0).get());
    }
    void become_receiver(unsigned index) { consumer_.emplace(ends_.receiver.at(index).get()); }

    void send(std::size_t size, std::uint64_t number) {
        if (options_.batch == 1) {
            const auto write = [size, number](item &to) noexcept {
                fill(reinterpret_cast<std::byte *>(&to), size, number);
            };
            while (producer_->try_fill(write) == zbq::status::again) {
                pause_processor();
            }
            return;
        }
        item *place = batch_.add();
        while (place == nullptr) {
            flush();
            batch_ = producer_->try_batch(options_.batch);
            place = batch_.add();
        }
        fill(reinterpret_cast<std::byte *>(place), size, number);
        if (batch_.size() == options_.batch) {
            flush();
        }
    }
    void flush() { std::ignore = batch_.commit(); }

    template <typename Visit>
    void receive(const Visit &visit) {
        std::ignore = consumer_->wait(zbq::never, std::chrono::nanoseconds::max());
        for (const item &each : consumer_->take_batch()) {
            visit(std::as_bytes(std::span(&each, 1)));
        }
    }

private:
    using item = std::array<std::uint64_t, 8>;
    using items = zbq::channel<item, "eight words">;

    link_options options_;
    socket_pairs ends_;
    std::optional<items::producer> producer_;
    std::optional<items::consumer> consumer_;
    items::batch batch_;
};

} // namespace bench
