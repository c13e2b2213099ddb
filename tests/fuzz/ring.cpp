// SPDX-License-Identifier: MIT
//
// A consumer over a ring and control region in which a hostile producer writes what it likes,
// between the reader's calls or, for some inputs, at the same time from a thread. Whatever the
// reader is given must lie in the mapped ring and make sense by itself.
#include "consumer.hpp"
#include "harness.hpp"
#include "support/pretender.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using test::page;

// Plain stores would be another thing to the compiler where a thread makes them.
template <typename Word>
void store(Word *at, Word value) {
    __atomic_store_n(at, value, __ATOMIC_RELAXED);
}

// ---- the producer: a list of stores ----

struct write {
    enum { head, length, closed, eviction, capacity, awaited, bell, fenced, words } what;
    std::uint64_t place;
    std::uint64_t value;
};

// Numbers that are near to something: what is wrong by a little finds more than what is wild.
std::uint64_t some_number(FuzzedDataProvider &input, std::uint64_t base, std::uint64_t capacity) {
    const std::uint64_t near[] = {base,           base + 16,   base + 32, base + capacity,
                                  base + 8,       base + 4096, base - 16, base + capacity + 16,
                                  UINT64_MAX - 15};
    return input.ConsumeBool() ? input.ConsumeIntegral<std::uint64_t>() : fuzz::one_of(input, near);
}

std::uint64_t some_length(FuzzedDataProvider &input, std::uint64_t capacity) {
    const std::uint64_t near[] = {0,          1,
                                  16,         17,
                                  capacity,   capacity - 16,
                                  4080,       capacity - 15,
                                  UINT32_MAX, UINT32_MAX - 15,
                                  INT32_MAX};
    return input.ConsumeBool() ? input.ConsumeIntegral<std::uint32_t>() : fuzz::one_of(input, near);
}

write some_write(FuzzedDataProvider &input, std::uint64_t start, std::uint64_t capacity) {
    write made = {};
    made.what = static_cast<decltype(made.what)>(input.ConsumeIntegralInRange(0, write::words - 1));
    made.place = 16 * input.ConsumeIntegralInRange<std::uint64_t>(0, capacity / 16 - 1);
    made.value = made.what == write::length ? some_length(input, capacity)
                                            : some_number(input, start, capacity);
    return made;
}

void perform(const test::pretender &producer, const write &what) {
    zbq_control_region *control = producer.control();
    zbq_consumer_metadata *metadata = producer.metadata();
    const auto word = static_cast<std::uint32_t>(what.value);
    switch (what.what) {
    case write::head:
        store(&control->producer_head, what.value);
        break;
    case write::length:
        store(reinterpret_cast<std::uint32_t *>(producer.ring() + what.place), word);
        break;
    case write::closed:
        store(&control->closed, word);
        break;
    case write::eviction:
        store(&metadata->eviction, word & 7U);
        break;
    case write::capacity:
        store(&control->ring_capacity, what.value);
        break;
    case write::awaited:
        store(&control->awaited_tail, what.value);
        break;
    case write::bell:
        store(&control->broadcast_futex, word);
        break;
    default:
        store(&metadata->quiet_until, what.value);
        break;
    }
}

// ---- the reader ----

class reader {
public:
    reader(zbq_consumer *cons, std::uint64_t start) : cons_(cons), tail_(start) {}

    void step(FuzzedDataProvider &input) {
        zbq_msg_view view = {};
        switch (input.ConsumeIntegralInRange(0, 8)) {
        case 0:
            look(zbq_consumer_peek(cons_, &view), view);
            break;
        case 1:
            look(zbq_consumer_next(cons_, &view), view);
            break;
        case 2:
            walk(input);
            break;
        case 3:
            publish(newest_.logical_offset + newest_.total_len);
            break;
        case 4:
            publish(some_number(input, tail_, cons_->window.capacity));
            break;
        case 5:
            check_head(zbq_consumer_acquire_head(cons_));
            break;
        case 6:
            wait(input);
            break;
        case 7:
            collect(input);
            break;
        default:
            check_ending();
            break;
        }
        check_state();
    }

private:
    // Inside of what is mapped, where its offset says, and all of it there.
    void check_view(const zbq_msg_view &view) {
        const std::uint64_t capacity = cons_->window.capacity;
        const auto place = static_cast<std::uint64_t>(reinterpret_cast<const char *>(view.header) -
                                                      cons_->window.ring);
        MUST(view.logical_offset % 16 == 0);
        MUST(place % capacity == view.logical_offset % capacity);
        MUST(place + view.total_len <= 2 * capacity);
        MUST(view.payload == view.header + 1);
        MUST(view.total_len == view.payload_len + sizeof(zbq_msg_header));
        MUST(view.total_len <= capacity);
        MUST(view.logical_offset >= tail_);
        MUST(cons_->window.head - view.logical_offset <= capacity);
        MUST(cons_->window.head - view.logical_offset >= view.total_len);
        fuzz::touch(view.payload, view.payload_len);
        newest_ = view;
    }

    // Whether there was something.
    bool is_ok(int result) {
        malformed_ |= result == ZBQ_ERROR_PROTOCOL;
        MUST(result == ZBQ_OK || result == ZBQ_ERROR_AGAIN || result == ZBQ_ERROR_NOENT ||
             result == ZBQ_ERROR_PROTOCOL);
        MUST(!malformed_ || result == ZBQ_ERROR_PROTOCOL || result == ZBQ_ERROR_NOENT);
        return result == ZBQ_OK;
    }

    void look(int result, const zbq_msg_view &view) {
        if (is_ok(result)) {
            check_view(view);
        }
    }

    // Without a call where that can be.
    void walk(FuzzedDataProvider &input) {
        zbq_read_window *window = zbq_consumer_window(cons_);
        zbq_msg_view view = {};
        for (int left = input.ConsumeIntegralInRange(1, 16); left > 0; --left) {
            if (!is_ok(zbq_window_next(window, &view))) {
                return;
            }
            check_view(view);
        }
        const std::uint64_t end = input.ConsumeBool() ? view.logical_offset + view.total_len
                                                      : some_number(input, tail_, window->capacity);
        const std::uint64_t tail = (end + 15) & ~std::uint64_t{15};
        const bool was_read = tail >= tail_ && tail <= window->cursor;
        MUST(zbq_window_release(window, end) == was_read);
        tail_ = was_read ? tail : tail_;
        MUST(zbq_consumer_tail(cons_) == tail_);
        MUST(cons_->page()->tail_offset == tail_ || !was_read);
    }

    void publish(std::uint64_t new_tail) {
        const bool moves = new_tail <= UINT64_MAX - 15 && new_tail > tail_ &&
                           ((new_tail + 15) & ~std::uint64_t{15}) <= cons_->window.head;
        zbq_consumer_publish(cons_, new_tail);
        const std::uint64_t tail = zbq_consumer_tail(cons_);
        MUST(tail == (moves ? (new_tail + 15) & ~std::uint64_t{15} : tail_));
        MUST(cons_->page()->tail_offset == tail || !moves);
        tail_ = tail;
    }

    void check_head(std::uint64_t head) {
        MUST(head % 16 == 0);
        MUST(head >= head_);
        MUST(head - tail_ <= cons_->window.capacity);
    }

    void wait(FuzzedDataProvider &input) {
        const std::uint32_t token = input.ConsumeBool() ? zbq_consumer_get_futex_token(cons_)
                                                        : input.ConsumeIntegral<std::uint32_t>();
        const int result = zbq_consumer_wait(cons_, token, 0);
        MUST(result == ZBQ_OK || result == ZBQ_ERROR_AGAIN || result == ZBQ_ERROR_NOENT);
    }

    void collect(FuzzedDataProvider &input) {
        int fds[ZBQ_MAX_FD_PER_MSG];
        std::uint8_t count = 0;
        MUST(zbq_consumer_recv_fds(cons_, input.ConsumeIntegral<std::uint8_t>(), fds, &count) !=
             ZBQ_OK);
    }

    void check_ending() {
        std::uint32_t eviction = 0;
        const zbq_ending ending = zbq_consumer_ending(cons_, &eviction);
        MUST((eviction != 0) == (ending == ZBQ_ENDING_EVICTED));
        MUST(ending != ZBQ_ENDING_PRODUCER_DIED);
        zbq_consumer_valid(cons_);
    }

    void check_state() {
        const zbq_read_window &window = *zbq_consumer_window(cons_);
        MUST(window.head >= head_);
        head_ = window.head;
        MUST(head_ - tail_ <= window.capacity);
        MUST(window.tail == tail_);
        MUST(window.cursor >= tail_ && window.cursor <= window.head && window.head <= head_);
        const auto place = static_cast<std::uint64_t>(window.next - window.ring);
        MUST(place <= 2 * window.capacity &&
             place % window.capacity == window.cursor % window.capacity);
        MUST(window.cursor == window.head ||
             place + (window.head - window.cursor) <= 2 * window.capacity);
    }

    zbq_consumer *cons_;
    std::uint64_t tail_;
    std::uint64_t head_ = 0;
    zbq_msg_view newest_ = {};
    bool malformed_ = false;
};

// ---- both ----

struct pair {
    test::pretender small{page};
    test::pretender large{3 * page};
};

pair &producers() { // kept from input to input, and made as new for each
    static pair made;
    return made;
}

void set_up(FuzzedDataProvider &input, test::pretender *producer) {
    fuzz::make_as_new(producer);
    const std::uint64_t capacity = producer->payload.ring_capacity;
    constexpr std::uint64_t starts[] = {0, 16, page, 3 * page - 16, UINT64_MAX - 4 * page - 15};
    const std::uint64_t start = fuzz::one_of(input, starts);
    producer->payload.initial_head = start;
    producer->payload.slot_index = input.ConsumeIntegral<std::uint8_t>();
    producer->metadata()->quiet_until = input.ConsumeBool() ? UINT64_MAX : 0;
    const auto bytes = input.ConsumeBytes<char>(input.ConsumeIntegralInRange<std::size_t>(0, 256));
    const std::uint64_t lies_at = std::min(start % capacity, capacity - bytes.size());
    std::copy(bytes.begin(), bytes.end(), producer->ring() + lies_at);
    producer->set_head(some_number(input, start, capacity));
}

void run_in_turns(FuzzedDataProvider &input, const test::pretender &producer, reader *consumer) {
    const zbq_join_payload &payload = producer.payload;
    for (int i = 0; i < 64 && input.remaining_bytes() != 0; ++i) {
        if (input.ConsumeBool()) {
            perform(producer, some_write(input, payload.initial_head, payload.ring_capacity));
        } else {
            consumer->step(input);
        }
    }
}

// The same stores over and over, so that they fall between any two instructions of the reader.
void run_at_once(FuzzedDataProvider &input, const test::pretender &producer, reader *consumer) {
    const zbq_join_payload &payload = producer.payload;
    std::vector<write> writes(input.ConsumeIntegralInRange<std::size_t>(1, 16));
    for (write &one : writes) {
        one = some_write(input, payload.initial_head, payload.ring_capacity);
    }
    std::atomic<bool> started = false;
    std::atomic<bool> done = false;
    std::thread writer([&] {
        while (!done) {
            for (const write &one : writes) {
                perform(producer, one);
            }
            started = true;
        }
    });
    while (!started) {
        std::this_thread::yield();
    }
    for (int i = 0; i < 64 && input.remaining_bytes() != 0; ++i) {
        consumer->step(input);
    }
    done = true;
    writer.join();
}

// One input in so many, by a sum of its bytes: threads are slow, and what they reach differs from
// run to run, so that inputs which bred true in this would crowd out the others.
bool is_for_two(const std::uint8_t *data, std::size_t size) {
    constexpr std::size_t so_many = 64;
    return std::hash<std::string_view>{}({reinterpret_cast<const char *>(data), size}) % so_many ==
           0;
}

void run(FuzzedDataProvider &input, bool at_once) {
    test::pretender *producer = input.ConsumeBool() ? &producers().large : &producers().small;
    set_up(input, producer);
    const test::consumer_ptr cons = producer->join();
    MUST(cons != nullptr);
    if (input.ConsumeIntegralInRange(0, 31) == 31) { // it takes long
        MUST(zbq_consumer_event_fd(cons.get()) >= 0);
    }
    reader consumer(cons.get(), producer->payload.initial_head);
    if (at_once) {
        run_at_once(input, *producer, &consumer);
    } else {
        run_in_turns(input, *producer, &consumer);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    producers();
    const fuzz::balance balance;
    FuzzedDataProvider input(data, size);
    run(input, is_for_two(data, size));
    return 0;
}
