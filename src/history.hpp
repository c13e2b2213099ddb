// SPDX-License-Identifier: MIT
//
// What of the past is kept for observers and for who comes late. All that lies below the floor may
// be overwritten at any time. The floor is where a message starts, and rises before room is
// granted, to the next of the marks that the producer keeps: starts of messages, one in each
// thirty-second of the ring. Since grants are of that size as well, or of one reservation, a
// sixteenth is all that is lost beside the reservation itself.
#pragma once

#include "limits.hpp"

namespace zbq::core {

class history {
public:
    void set_capacity(uint64_t capacity) {
        capacity_ = capacity;
        step_ = capacity / history_parts;
        kept_until_ = capacity;
    }

    [[nodiscard]] uint64_t floor() const { return floor_; }
    [[nodiscard]] uint64_t step() const { return step_; }

    // Before the bytes from the head, where a message starts, to the limit are written: whether the
    // floor has risen for it.
    bool give_up_for(uint64_t head, uint64_t limit) {
        if (head >= next_mark_) {
            note(head);
        }
        if (limit <= kept_until_) {
            return false;
        }
        floor_ = first_from(limit - capacity_, head);
        kept_until_ = floor_ + capacity_;
        while (count_ != 0 && oldest() < floor_) {
            ++first_;
            --count_;
        }
        return true;
    }

    // The first start of a message that is known, at or past an offset. The head, where none is.
    [[nodiscard]] uint64_t first_from(uint64_t offset, uint64_t head) const {
        if (offset <= floor_) {
            return floor_;
        }
        for (uint32_t i = 0; i < count_; ++i) {
            if (mark(i) >= offset) {
                return mark(i);
            }
        }
        return head;
    }

    // The last one at or before an offset; the floor, where that is below.
    [[nodiscard]] uint64_t last_until(uint64_t offset) const {
        uint64_t last = floor_;
        for (uint32_t i = 0; i < count_ && mark(i) <= offset; ++i) {
            last = mark(i);
        }
        return last;
    }

private:
    static constexpr uint32_t most_marks_kept = 2 * history_parts; // one in each step, and some

    [[nodiscard]] uint64_t mark(uint32_t i) const { return marks_[(first_ + i) % most_marks_kept]; }
    [[nodiscard]] uint64_t oldest() const { return mark(0); }

    void note(uint64_t head) {
        marks_[(first_ + count_++) % most_marks_kept] = head;
        next_mark_ = head - head % step_ + step_;
    }

    uint64_t capacity_ = 0;
    uint64_t step_ = 0;
    uint64_t floor_ = 0;
    uint64_t kept_until_ = 0; // the floor and the capacity
    uint64_t next_mark_ = 0;
    uint64_t marks_[most_marks_kept] = {};
    uint32_t first_ = 0;
    uint32_t count_ = 0;
};

} // namespace zbq::core
