// SPDX-License-Identifier: MIT
#include "pair.hpp"

#include "clock.hpp"
#include "consumer.hpp"
#include "support/descriptors.hpp"

#include <array>
#include <cstring>
#include <poll.h>
#include <unistd.h>

namespace fuzz {

consumer_pair::consumer_pair(const model_producer &ring, std::unique_ptr<model_consumer> model,
                             test::unique_fd rendezvous)
    : ring_(ring), model_(std::move(model)), rendezvous_(std::move(rendezvous)), known_(now()) {}

consumer_pair::state consumer_pair::now() const {
    return {ring_.head, model_->newest_sent, model_->eviction, ring_.closed};
}

void consumer_pair::leave() {
    handle_.reset();
    rendezvous_.reset();
    model_->left = true;
    event_fd_ = -1;
}

void consumer_pair::check_event() {
    has_news_ |= !(known_ == now());
    known_ = now();
    if (event_fd_ < 0 || !has_news_ || test::readable(event_fd_)) {
        return;
    }
    if (model_->is_evicted() || ring_.closed) { // the kernel closes it in a thread of its own
        constexpr int long_enough_ms = 60'000;
        pollfd polled = {event_fd_, POLLIN, 0};
        MUST(poll(&polled, 1, long_enough_ms) == 1);
        return;
    }
    // It is left alone, and looks by itself when that is over.
    MUST(handle_->looks_again_at > time_now());
    pass_time_until(handle_->looks_again_at);
    MUST(test::readable(event_fd_));
}

void consumer_pair::step(FuzzedDataProvider &input) {
    if (model_->left) {
        return;
    }
    if (!is_joined()) {
        join(input);
        return;
    }
    if (model_->tail_seen > model_->tail) { // it cheated itself: what it reads may be overwritten
        leave();
        return;
    }
    switch (input.ConsumeIntegralInRange(0, 3)) {
    case 0:
    case 1:
        look(input);
        break;
    case 2:
        publish(input);
        break;
    default:
        ask(input);
        break;
    }
}

void consumer_pair::join(FuzzedDataProvider &input) {
    const bool wrong = input.ConsumeIntegralInRange(0, 15) == 15;
    const int mode = wrong ? 1 - model_->mode : model_->mode;
    zbq_consumer *joined = nullptr;
    const int result =
        zbq_consumer_join(rendezvous_.get(), static_cast<zbq_wakeup_mode>(mode), &joined);
    MUST(result == (wrong ? ZBQ_ERROR_PROTOCOL : ZBQ_OK));
    handle_.reset(joined);
    rendezvous_.reset();
    model_->left = wrong;
}

void consumer_pair::look(FuzzedDataProvider &input) {
    int result = ZBQ_OK;
    switch (input.ConsumeIntegralInRange(0, 4)) {
    case 0:
        next();
        break;
    case 1:
        peek();
        break;
    case 3:
        result = zbq_consumer_look(handle_.get());
        MUST(result == model_->look());
        looked(result);
        break;
    case 2:
        walk(input);
        break;
    default:
        collect(input);
        break;
    }
}

void consumer_pair::ask(FuzzedDataProvider &input) {
    switch (input.ConsumeIntegralInRange(0, 7)) {
    case 0:
        MUST(zbq_consumer_acquire_head(handle_.get()) == model_->acquire_head());
        break;
    case 1:
        wait(input);
        break;
    case 2:
        token_ = zbq_consumer_get_futex_token(handle_.get());
        MUST(token_ == ring_.token());
        break;
    case 3:
        cheat(input);
        break;
    case 4:
        watch();
        break;
    default:
        check_words();
        break;
    }
}

// Who looks in vain clears the descriptor.
void consumer_pair::looked(int result) {
    has_news_ = has_news_ && result != ZBQ_ERROR_AGAIN;
}

void consumer_pair::check_view(const zbq_msg_view &view, const model_view &expected) const {
    const std::uint64_t capacity = ring_.params.ring_capacity;
    const auto place = static_cast<std::uint64_t>(reinterpret_cast<const char *>(view.header) -
                                                  handle_->window.ring);
    MUST(view.logical_offset == expected.offset);
    MUST(view.payload_len == expected.payload_len);
    MUST(view.total_len == expected.payload_len + sizeof(zbq_msg_header));
    MUST(view.payload == view.header + 1);
    MUST(place % capacity == view.logical_offset % capacity);
    MUST(place + view.total_len <= 2 * capacity);
    MUST(std::memcmp(view.header, ring_.bytes.data() + view.logical_offset, view.total_len) == 0);
}

void consumer_pair::peek() {
    model_view expected = {};
    const int result = zbq_consumer_peek(handle_.get(), &newest_);
    MUST(result == model_->peek(&expected));
    if (result == ZBQ_OK) {
        check_view(newest_, expected);
    }
    looked(result);
}

void consumer_pair::next() {
    model_view expected = {};
    const int result = zbq_consumer_next(handle_.get(), &newest_);
    MUST(result == model_->next(&expected));
    if (result == ZBQ_OK) {
        check_view(newest_, expected);
    }
    looked(result);
}

// Without a call where that can be.
void consumer_pair::walk(FuzzedDataProvider &input) {
    zbq_read_window *window = zbq_consumer_window(handle_.get());
    int result = ZBQ_OK;
    for (int left = input.ConsumeIntegralInRange(1, 4); left > 0 && result == ZBQ_OK; --left) {
        model_view expected = {};
        result = zbq_window_next(window, &newest_);
        MUST(result == model_->next(&expected));
        if (result == ZBQ_OK) {
            check_view(newest_, expected);
        }
        looked(result);
    }
}

void consumer_pair::publish(FuzzedDataProvider &input) {
    const std::uint64_t tails[] = {newest_.logical_offset + newest_.total_len,
                                   model_->known_head,
                                   model_->tail + 16,
                                   model_->tail + 1,
                                   model_->known_head + 1,
                                   model_->tail - 16,
                                   UINT64_MAX,
                                   0};
    const std::uint64_t tail = one_of(input, tails);
    if (input.ConsumeBool()) {
        MUST(zbq_window_release(zbq_consumer_window(handle_.get()), tail) ==
             model_->window_release(tail));
    } else {
        zbq_consumer_publish(handle_.get(), tail);
        model_->publish(tail);
    }
    MUST(zbq_consumer_tail(handle_.get()) == model_->tail);
}

// What a hostile consumer can write. It may be overwritten by a good tail before it is seen.
void consumer_pair::cheat(FuzzedDataProvider &input) {
    const std::uint64_t tails[] = {ring_.head + 16,
                                   model_->tail + 8,
                                   model_->tail - 16,
                                   UINT64_MAX - 15,
                                   0,
                                   ring_.head,
                                   input.ConsumeIntegral<std::uint64_t>()};
    model_->page_tail = one_of(input, tails);
    model_->cheats = true;
    __atomic_store_n(&handle_->page()->tail_offset, model_->page_tail, __ATOMIC_RELEASE);
}

void consumer_pair::collect(FuzzedDataProvider &input) {
    const std::uint64_t ids[] = {
        ring_.newest_seq, ring_.newest_seq + 1, ring_.newest_seq - 1, ring_.newest_seq - 2, 0,
        UINT64_MAX};
    const std::uint64_t wanted = one_of(input, ids);
    std::array<int, ZBQ_MAX_FD_PER_MSG> fds = {};
    std::uint8_t count = 99;
    std::vector<int> expected;
    const int result = zbq_consumer_recv_fds(handle_.get(), wanted, fds.data(), &count);
    MUST(result == model_->recv_fds(wanted, &expected));
    MUST(count == expected.size());
    for (std::size_t i = 0; i < count; ++i) {
        const test::unique_fd got(fds[i]);
        MUST(i != 0 || test::number_of(got.get()) == test::number_of(expected[i]));
    }
    looked(result);
}

void consumer_pair::wait(FuzzedDataProvider &input) {
    const std::uint32_t tokens[] = {token_, ring_.token(), ring_.token() + 1};
    const std::uint32_t token = one_of(input, tokens);
    MUST(zbq_consumer_wait(handle_.get(), token, 0) == model_->wait(token));
}

void consumer_pair::watch() {
    const int fd = zbq_consumer_event_fd(handle_.get());
    if (model_->mode == ZBQ_WAKEUP_PULL) {
        MUST(fd == ZBQ_ERROR_INVALID);
        return;
    }
    MUST(fd >= 0 && (event_fd_ < 0 || fd == event_fd_));
    event_fd_ = fd;
}

void consumer_pair::check_words() const {
    std::uint32_t eviction = 99;
    MUST(zbq_consumer_ending(handle_.get(), &eviction) == model_->ending());
    MUST(eviction == model_->eviction);
    MUST(zbq_consumer_valid(handle_.get()) == !model_->is_evicted());
    MUST(zbq_consumer_tail(handle_.get()) == model_->tail);
    MUST(zbq_consumer_is_producer_alive(handle_.get()));
    MUST(zbq_consumer_ctrl(handle_.get())->producer_head == ring_.head);
    MUST(zbq_consumer_ctrl(handle_.get())->closed == (ring_.closed ? 1U : 0U));
    MUST(zbq_consumer_meta(handle_.get())->tail_offset == model_->page_tail);
}

} // namespace fuzz
