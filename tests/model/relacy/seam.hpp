// SPDX-License-Identifier: MIT
//
// Puts Relacy's atomics in the place of the compiler's: what src/atomics.hpp and
// include/zbq/inline.h do to a shared word is done to a word of the model, in the order that they
// name. The words lie where they always do; the model knows them by their addresses.
//
// First of all includes: Relacy takes names (new, free, errno) that other headers need.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <new>
#include <poll.h>
#include <string>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <utility>
#include <vector>

#include <relacy/relacy.hpp>

#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno
#define errno (*__errno_location())

namespace model {

// The function whose orders are taken away, to see the model find it out. None: nullptr.
inline const char *weakened = nullptr;

// The functions that have ordered anything. No container: Relacy counts what a thread allocates.
class ordering_functions {
public:
    void add(const char *function) {
        for (unsigned i = 0; i < count_; ++i) {
            if (names_[i] == function || strcmp(names_[i], function) == 0) {
                return;
            }
        }
        RL_VERIFY(count_ < most);
        names_[count_++] = function;
    }
    [[nodiscard]] const char *const *begin() const { return names_; }
    [[nodiscard]] const char *const *end() const { return names_ + count_; }

private:
    static constexpr unsigned most = 64;
    const char *names_[most] = {};
    unsigned count_ = 0;
};
inline ordering_functions orderings;

// An order stronger than relaxed.
inline bool is_weakened(const rl::debug_info &where) {
    orderings.add(where.func_);
    return weakened != nullptr && strcmp(weakened, where.func_) == 0;
}

inline rl::memory_order order_of(int order, const rl::debug_info &where) {
    if (order == __ATOMIC_RELAXED || is_weakened(where)) {
        return rl::mo_relaxed;
    }
    switch (order) {
    case __ATOMIC_ACQUIRE:
        return rl::mo_acquire;
    case __ATOMIC_RELEASE:
        return rl::mo_release;
    case __ATOMIC_ACQ_REL:
        return rl::mo_acq_rel;
    default:
        return rl::mo_seq_cst;
    }
}

// All memory that processes share in the model, and the words of it that have an atomic. Others
// are plain: constants, and what one side writes for people to read.
class shared_memory {
public:
    static constexpr std::size_t size = 8 * 4096;
    static constexpr std::size_t most_words = 64;

    shared_memory() {
        memset(bytes_, 0, sizeof bytes_);
        memset(word_at_, 0, sizeof word_at_);
        current_ = this;
    }
    static shared_memory &current() { return *current_; }

    void *allocate(std::size_t bytes) {
        void *place = bytes_ + used_;
        used_ += bytes;
        RL_VERIFY(used_ <= size);
        return place;
    }

    // Where its second half repeats the first.
    void mirror(const void *base, std::size_t bytes) {
        mirror_ = index_of(base) + bytes / unit;
        mirror_length_ = bytes / unit;
    }

    // From now on an atomic, with the value that stands there.
    void declare(const void *place, std::size_t bytes) {
        RL_VERIFY(count_ < most_words);
        std::uint64_t value = 0;
        memcpy(&value, place, bytes);
        word_at_[index_of(place)] = static_cast<std::uint8_t>(++count_);
        words_[count_].store(value, rl::mo_relaxed, RL_INFO);
    }

    rl::atomic<std::uint64_t> *word(const void *place) {
        const std::size_t id = contains(place) ? word_at_[index_of(place)] : 0;
        return id == 0 ? nullptr : &words_[id];
    }

    // Each thread's next load of each word gives what is the newest now, or newer. Nothing else
    // is ordered by it: that is what the bound on the time in a store buffer gives.
    void drain_store_buffers() {
        rl::context &scheduler = rl::ctx();
        rl::preemption_disabler alone(scheduler);
        rl::thread_info_base *self = scheduler.threadx_;
        for (rl::thread_info_base *thread : threads_) {
            scheduler.threadx_ = thread != nullptr ? thread : self;
            for (std::size_t id = 1; id <= count_; ++id) {
                words_[id].fetch_add(0, rl::mo_relaxed, RL_INFO);
            }
        }
        scheduler.threadx_ = self;
    }

    void enter_thread(unsigned index) { threads_[index] = rl::ctx().threadx_; }

private:
    static constexpr std::size_t unit = 4; // bytes: the smallest word

    static bool contains(const void *place) {
        const char *at = static_cast<const char *>(place);
        return at >= bytes_ && at < bytes_ + size;
    }
    std::size_t index_of(const void *place) const {
        const auto index =
            static_cast<std::size_t>(static_cast<const char *>(place) - bytes_) / unit;
        return index - mirror_ < mirror_length_ ? index - mirror_length_ : index;
    }

    alignas(4096) static inline char bytes_[size];
    static inline std::uint8_t word_at_[size / unit];
    static inline shared_memory *current_;

    std::size_t used_ = 0;
    std::size_t mirror_ = 0;
    std::size_t mirror_length_ = 0;
    std::size_t count_ = 0;
    rl::atomic<std::uint64_t> words_[most_words + 1];
    rl::thread_info_base *threads_[4] = {};
};

template <class word>
word load(const word *place, int order, const rl::debug_info &where) {
    rl::atomic<std::uint64_t> *shared = shared_memory::current().word(place);
    return shared == nullptr ? *place
                             : static_cast<word>(shared->load(order_of(order, where), where));
}

template <class word, class value>
void store(word *place, value what, int order, const rl::debug_info &where) {
    rl::atomic<std::uint64_t> *shared = shared_memory::current().word(place);
    if (shared == nullptr) {
        *place = static_cast<word>(what);
    } else {
        shared->store(static_cast<word>(what), order_of(order, where), where);
    }
}

template <class word, class value>
word exchange(word *place, value what, int order, const rl::debug_info &where) {
    rl::atomic<std::uint64_t> *shared = shared_memory::current().word(place);
    return static_cast<word>(
        shared->exchange(static_cast<word>(what), order_of(order, where), where));
}

template <class word, class value>
word fetch_or(word *place, value what, int order, const rl::debug_info &where) {
    rl::atomic<std::uint64_t> *shared = shared_memory::current().word(place);
    return static_cast<word>(
        shared->fetch_or(static_cast<word>(what), order_of(order, where), where));
}

template <class word, class value>
word fetch_and(word *place, value what, int order, const rl::debug_info &where) {
    rl::atomic<std::uint64_t> *shared = shared_memory::current().word(place);
    return static_cast<word>(
        shared->fetch_and(static_cast<word>(what), order_of(order, where), where));
}

inline void fence(int order, const rl::debug_info &where) {
    if (!is_weakened(where)) {
        rl::atomic_thread_fence(order_of(order, where), where);
    }
}

} // namespace model

#define MODEL_HERE rl::debug_info(__func__, __FILE__, __LINE__)
#define __atomic_load_n(place, order) ::model::load((place), (order), MODEL_HERE)
#define __atomic_store_n(place, value, order) ::model::store((place), (value), (order), MODEL_HERE)
#define __atomic_exchange_n(place, value, order)                                                   \
    ::model::exchange((place), (value), (order), MODEL_HERE)
#define __atomic_fetch_or(place, value, order)                                                     \
    ::model::fetch_or((place), (value), (order), MODEL_HERE)
#define __atomic_fetch_and(place, value, order)                                                    \
    ::model::fetch_and((place), (value), (order), MODEL_HERE)
#define __atomic_thread_fence(order) ::model::fence((order), MODEL_HERE)
// Within a thread the model does not reorder: a fence against the compiler is nothing to it.
#define __atomic_signal_fence(order) static_cast<void>(order)
