// SPDX-License-Identifier: MIT
//
// What the scenarios share: a producer and its consumers, each a thread of the model in the place
// of a process, and messages of which every word tells which message it belongs to.
#pragma once

#include "library.hpp"

namespace model {

inline constexpr std::uint64_t capacity = 4096; // the smallest

// The message of this number in a ring that holds `per_ring` of them. Its length, a word of its
// header and the last word of its payload are the shared words; no two laps have the same.
struct message {
    std::uint64_t number;
    std::uint64_t per_ring;

    [[nodiscard]] std::uint64_t total() const { return capacity / per_ring; }
    [[nodiscard]] std::uint64_t offset() const { return number * total(); }
    [[nodiscard]] std::uint32_t payload_len() const {
        return static_cast<std::uint32_t>(total() - sizeof(zbq_msg_header) - number / per_ring % 8);
    }
    [[nodiscard]] std::uint64_t stamp() const { return number + 1; }
};

inline std::uint64_t *last_word(const zbq_msg_header *header, std::uint64_t total) {
    return reinterpret_cast<std::uint64_t *>(
        const_cast<char *>(reinterpret_cast<const char *>(header)) + total - sizeof(std::uint64_t));
}

// The words that the application writes and reads. Relaxed atomics, for a reader that is evicted
// may read what is being written; where nobody is, they are plain, and a race is an error.
class payloads {
public:
    static constexpr std::uint64_t most = 4; // in the ring

    void write(void *place, const message &what, bool plain) {
        auto *header = static_cast<zbq_msg_header *>(place);
        __atomic_store_n(&header->payload_len, what.payload_len(), __ATOMIC_RELAXED);
        if (plain) {
            at(what)(RL_INFO) = what.stamp();
            return;
        }
        __atomic_store_n(&header->seq_id, what.stamp(), __ATOMIC_RELAXED);
        __atomic_store_n(last_word(header, what.total()), what.stamp(), __ATOMIC_RELAXED);
    }

    bool is_whole(const zbq_msg_view &view, const message &what, bool plain) {
        const bool framed =
            view.logical_offset == what.offset() && view.payload_len == what.payload_len();
        if (plain) {
            return framed && at(what)(RL_INFO) == what.stamp();
        }
        const std::uint64_t first = __atomic_load_n(&view.header->seq_id, __ATOMIC_RELAXED);
        const std::uint64_t last =
            __atomic_load_n(last_word(view.header, what.total()), __ATOMIC_RELAXED);
        return framed && first == what.stamp() && last == what.stamp();
    }

private:
    rl::var<std::uint64_t> &at(const message &what) { return plain_[what.number % what.per_ring]; }

    rl::var<std::uint64_t> plain_[most];
};

struct options {
    int joined_before = 1;           // consumers, of threads 1 and up
    std::uint64_t per_ring = 2;      // messages that fill the ring
    std::uint64_t stall_timeout = 0; // in looks at the clock; 0: nobody is evicted for it
    std::uint32_t max_consumers = 2;
    zbq_wakeup_mode mode = ZBQ_WAKEUP_PULL;
    bool slices_end = false; // the time-outs of long sleeps come
    bool plain_payload = true;
    bool without_calls = false; // consumers read and release by the inline functions
    unsigned records_in_flight = machine::most_records;
};

// What all of them begin and end with. An object lives for one schedule.
class scenario {
public:
    static constexpr int most_threads = 3;

    explicit scenario(const options &with) : with_(with) {}
    scenario(const scenario &) = delete;
    scenario &operator=(const scenario &) = delete;
    virtual ~scenario() = default;

    virtual void run(int thread) = 0; // 0: the producer's
    virtual void finish() {}          // when all have run

    virtual void before() {
        kernel_.slices_end = with_.slices_end;
        kernel_.records_in_flight = with_.records_in_flight;
        create();
        for (int thread = 1; thread < most_threads; ++thread) {
            kernel_.make_pair(&rendezvous_[thread][0], &rendezvous_[thread][1]);
        }
        for (int thread = 1; thread <= with_.joined_before; ++thread) {
            RL_ASSERT(handshake(thread) == ZBQ_OK);
            RL_ASSERT(join(thread) == ZBQ_OK);
        }
    }

    void enter(int thread) {
        kernel_.memory().enter_thread(static_cast<unsigned>(thread));
        run(thread);
    }

    void after() {
        finish();
        for (zbq_consumer *&each : consumers_) {
            zbq_consumer_destroy(std::exchange(each, nullptr));
        }
        zbq_producer_destroy(std::exchange(producer_, nullptr));
    }

protected:
    // ---- the producer's ----

    int handshake(int thread) {
        std::uint32_t slot = 0;
        return zbq_producer_handshake(producer_, rendezvous_[thread][0], with_.mode, &slot);
    }

    message numbered(std::uint64_t number) const { return {number, with_.per_ring}; }

    bool publish(std::uint64_t number) {
        const message what = numbered(number);
        zbq_contiguous_run run = {};
        if (zbq_producer_reserve(producer_, what.total(), &run) != ZBQ_OK) {
            return false;
        }
        RL_ASSERT(run.offset == what.offset());
        payloads_.write(run.base, what, with_.plain_payload);
        RL_ASSERT(zbq_producer_commit(producer_, what.total(), ZBQ_COMMIT_NONE));
        return true;
    }

    void publish_spinning(std::uint64_t number) {
        while (!publish(number)) {
            rl::yield(1, RL_INFO);
        }
    }

    // Until that consumer has said that it sleeps.
    void await_mark(unsigned slot) {
        while (zbq::core::parked_seen(producer_->slots[slot].parking()) == 0) {
            rl::yield(1, RL_INFO);
        }
    }

    int broadcast(std::uint64_t id) {
        const int fd = producer_->ring_region.fd.get();
        return zbq_producer_broadcast_fds(producer_, id, &fd, 1);
    }

    // ---- a consumer's ----

    int join(int thread) {
        return zbq_consumer_join(rendezvous_[thread][1], with_.mode, &consumers_[thread]);
    }

    // Messages are found by the call that looks for them, or the head was acquired before.
    void maybe_acquire_head(zbq_consumer *cons) {
        if (rl::rand(2) == 0) {
            zbq_consumer_acquire_head(cons);
        }
    }

    // The next message, which must be of this number: whole, or the reader is told. The result
    // of peek; ZBQ_ERROR_NOENT also where it was evicted while it read.
    int look(zbq_consumer *cons, std::uint64_t number) {
        maybe_acquire_head(cons);
        zbq_msg_view view = {};
        const int result = with_.without_calls ? zbq_window_next(zbq_consumer_window(cons), &view)
                                               : zbq_consumer_peek(cons, &view);
        RL_ASSERT(result != ZBQ_ERROR_PROTOCOL);
        if (result != ZBQ_OK) {
            return result;
        }
        const bool whole = payloads_.is_whole(view, numbered(number), with_.plain_payload);
        const bool valid = zbq_consumer_valid(cons);
        RL_ASSERT(whole || !valid);
        return valid ? ZBQ_OK : ZBQ_ERROR_NOENT;
    }

    int read(zbq_consumer *cons, std::uint64_t number) {
        const int result = look(cons, number);
        const std::uint64_t end = numbered(number + 1).offset();
        if (result == ZBQ_OK && with_.without_calls) {
            RL_ASSERT(zbq_window_release(zbq_consumer_window(cons), end));
        } else if (result == ZBQ_OK) {
            zbq_consumer_publish(cons, end);
        }
        return result;
    }

    int read_spinning(zbq_consumer *cons, std::uint64_t number) {
        int result = read(cons, number);
        while (result == ZBQ_ERROR_AGAIN) {
            rl::yield(1, RL_INFO);
            result = read(cons, number);
        }
        return result;
    }

    // Token, look, wait: as an application sleeps.
    int read_waiting(zbq_consumer *cons, std::uint64_t number) {
        for (;;) {
            const std::uint32_t token = zbq_consumer_get_futex_token(cons);
            const int result = read(cons, number);
            if (result != ZBQ_ERROR_AGAIN) {
                return result;
            }
            zbq_consumer_wait(cons, token, ZBQ_WAIT_SLICE_NS);
        }
    }

    int read_polling(zbq_consumer *cons, std::uint64_t number) {
        const int watch = zbq_consumer_event_fd(cons);
        int result = read(cons, number);
        while (result == ZBQ_ERROR_AGAIN) {
            kernel_.poll(watch, machine::longest_nap);
            result = read(cons, number);
        }
        return result;
    }

    int receive(zbq_consumer *cons, std::uint64_t id) {
        int fds[ZBQ_MAX_FD_PER_MSG] = {};
        std::uint8_t count = 0;
        const int result = zbq_consumer_recv_fds(cons, id, fds, &count);
        RL_ASSERT(count == (result == ZBQ_OK ? 1 : 0));
        return result;
    }

    int receive_waiting(zbq_consumer *cons, std::uint64_t id) {
        for (;;) {
            const std::uint32_t token = zbq_consumer_get_futex_token(cons);
            const int result = receive(cons, id);
            if (result != ZBQ_ERROR_AGAIN) {
                return result;
            }
            zbq_consumer_wait(cons, token, ZBQ_WAIT_SLICE_NS);
        }
    }

    options with_;
    machine kernel_;
    payloads payloads_;
    zbq_producer *producer_ = nullptr;
    zbq_consumer *consumers_[most_threads] = {}; // of threads 1 and up
    int rendezvous_[most_threads][2] = {};       // the producer's end, the consumer's

private:
    void create() {
        zbq_producer_params wanted = {};
        wanted.ring_capacity = capacity;
        wanted.clog_threshold = 1;
        wanted.stall_timeout_ns = with_.stall_timeout;
        wanted.max_consumers = with_.max_consumers;
        RL_ASSERT(zbq_producer_create(&producer_, &wanted) == ZBQ_OK);
        declare_control();
        declare_ring();
    }

    void declare_control() {
        const zbq_control_region *control = producer_->control;
        kernel_.memory().declare(&control->producer_head, sizeof control->producer_head);
        kernel_.memory().declare(&control->floor, sizeof control->floor);
        kernel_.memory().declare(&control->newest, sizeof control->newest);
        kernel_.memory().declare(&control->broadcast_futex, sizeof control->broadcast_futex);
        kernel_.memory().declare(&control->closed, sizeof control->closed);
        kernel_.memory().declare(&control->awaited_tail, sizeof control->awaited_tail);
    }

    void declare_ring() {
        for (std::uint64_t i = 0; i < with_.per_ring; ++i) {
            const message at = numbered(i);
            auto *header = reinterpret_cast<zbq_msg_header *>(producer_->ring + at.offset());
            kernel_.memory().declare(&header->payload_len, sizeof header->payload_len);
            kernel_.memory().declare(&header->seq_id, sizeof header->seq_id);
            kernel_.memory().declare(last_word(header, at.total()), sizeof(std::uint64_t));
        }
    }
};

// The same with the inline functions that programs have compiled in.
template <class base>
struct without_calls : base {
    without_calls() { this->with_.without_calls = true; }
};

} // namespace model
