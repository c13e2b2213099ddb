// SPDX-License-Identifier: MIT
#include "pair.hpp"

#include "clock.hpp"
#include "consumer.hpp"
#include "support/descriptors.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <poll.h>
#include <unistd.h>

namespace fuzz {

consumer_pair::consumer_pair(const model_producer &ring, std::unique_ptr<model_consumer> model,
                             test::unique_fd rendezvous, bool moves)
    : ring_(ring), model_(std::move(model)), rendezvous_(std::move(rendezvous)), moves_(moves),
      known_(now()) {}

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
    if (!model_->observes() &&
        model_->tail_seen > model_->tail) { // it cheated itself: what it reads may be overwritten
        leave();
        return;
    }
    if (moves_ && input.ConsumeBool()) {
        move(input);
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
    const int mode = wrong ? model_->mode ^ 1 : model_->mode;
    zbq_consumer *joined = nullptr;
    const int result =
        zbq_consumer_join(rendezvous_.get(), static_cast<zbq_wakeup_mode>(mode), &joined);
    MUST(result == (wrong ? ZBQ_ERROR_PROTOCOL : ZBQ_OK));
    handle_.reset(joined);
    rendezvous_.reset();
    model_->left = wrong;
    if (!wrong) {
        check_retained();
    }
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

void consumer_pair::move(FuzzedDataProvider &input) {
    switch (input.ConsumeIntegralInRange(0, 6)) {
    case 0:
    case 1:
        next();
        break;
    case 2:
        copy(input);
        break;
    case 3:
        seek(input);
        break;
    case 4:
        resume(input);
        break;
    case 5:
        skip(input);
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

void consumer_pair::copy(FuzzedDataProvider &input) {
    constexpr std::size_t sizes[] = {test::page, 16, 0, 4 * test::page};
    std::vector<std::uint8_t> buffer(one_of(input, sizes));
    zbq_msg_copy copied = {};
    model_view expected = {};
    const int result = zbq_consumer_copy(handle_.get(), buffer.data(), buffer.size(), &copied);
    MUST(result == model_->copy(buffer.size(), &expected));
    if (result == ZBQ_OK || result == ZBQ_ERROR_OVERFLOW) {
        const std::uint8_t *committed = ring_.bytes.data() + expected.offset;
        MUST(copied.logical_offset == expected.offset);
        MUST(std::memcmp(&copied.header, committed, sizeof copied.header) == 0);
        MUST(result != ZBQ_OK ||
             std::equal(committed + sizeof copied.header,
                        committed + sizeof copied.header + expected.payload_len, buffer.begin()));
    }
    looked(result);
}

void consumer_pair::skip(FuzzedDataProvider &input) {
    const std::uint64_t offsets[] = {newest_.logical_offset + newest_.total_len,
                                     ring_.floor,
                                     model_->cursor + 48,
                                     ring_.head,
                                     ring_.newest,
                                     ring_.head + 16,
                                     0};
    const std::uint64_t offset = one_of(input, offsets);
    const int result = zbq_consumer_skip(handle_.get(), offset);
    MUST(result == model_->skip(offset));
    MUST(zbq_consumer_tail(handle_.get()) == model_->tail);
    looked(result == ZBQ_ERROR_AGAIN && model_->cursor != ring_.head ? ZBQ_OK : result);
}

void consumer_pair::check_retained() const {
    zbq_msg_view view = {};
    std::uint32_t index = 0;
    for (const model_kept &one : model_->retained) {
        MUST(zbq_consumer_retained(handle_.get(), index++, &view) == ZBQ_OK);
        MUST(view.logical_offset == one.offset && view.payload_len == one.payload.size());
        MUST(view.total_len == sizeof one.header + one.payload.size());
        MUST(std::memcmp(view.header, &one.header, sizeof one.header) == 0);
        const auto *payload = static_cast<const std::uint8_t *>(view.payload);
        MUST(std::equal(one.payload.begin(), one.payload.end(), payload));
    }
    MUST(zbq_consumer_retained(handle_.get(), index, &view) == ZBQ_ERROR_NOENT);
}

void consumer_pair::seek(FuzzedDataProvider &input) {
    const auto to = static_cast<zbq_seek_to>(input.ConsumeIntegralInRange(0, 3));
    MUST(zbq_consumer_seek(handle_.get(), to) == model_->seek(to));
    MUST(zbq_consumer_tail(handle_.get()) == model_->tail);
}

void consumer_pair::resume(FuzzedDataProvider &input) {
    const auto to = static_cast<zbq_seek_to>(input.ConsumeIntegralInRange(0, 3));
    MUST(zbq_consumer_set_resume(handle_.get(), to) == model_->set_resume(to));
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
    std::uint64_t wanted = one_of(input, ids);
    if (moves_ && !model_->retained.empty() && input.ConsumeBool()) {
        const std::size_t last = model_->retained.size() - 1;
        wanted = model_->retained[input.ConsumeIntegralInRange<std::size_t>(0, last)].header.seq_id;
    }
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
    if (!model_->is_push()) {
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
    MUST(zbq_consumer_valid(handle_.get()) == model_->valid());
    zbq_loss lost = {};
    MUST(zbq_consumer_lost(handle_.get(), &lost) == ZBQ_OK);
    MUST(lost.bytes == model_->lost.bytes && lost.times == model_->lost.times);
    MUST(zbq_consumer_tail(handle_.get()) == model_->tail);
    MUST(zbq_consumer_is_producer_alive(handle_.get()));
    MUST(zbq_consumer_ctrl(handle_.get())->producer_head == ring_.head);
    MUST(zbq_consumer_ctrl(handle_.get())->closed == (ring_.closed ? 1U : 0U));
    MUST(zbq_consumer_meta(handle_.get())->tail_offset == model_->page_tail);
}

} // namespace fuzz
