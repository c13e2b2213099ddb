// SPDX-License-Identifier: MIT
/// @file
/// Ownership of a handle by all that refers to it. Not part of the interface.
#pragma once

#include "c.hpp"

#include <utility>

namespace ZBQ_NAMESPACE::detail {

// A counted reference. A handle and what comes from it belong to one thread at a time, so the
// count is a plain number: std::shared_ptr's costs atomic operations for each message.
template <typename State>
class shared {
public:
    shared() noexcept = default;
    explicit shared(State *state) noexcept : state_(state) { acquire(); }
    shared(const shared &other) noexcept : state_(other.state_) { acquire(); }
    shared(shared &&other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    shared &operator=(shared other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }
    ~shared() {
        if (state_ != nullptr && --state_->references == 0) {
#if !defined(__clang_analyzer__) // it takes every count for one that may be 0
            delete state_;
#endif
        }
    }

    State *get() const noexcept {
        return state_;
    }
    State *operator->() const noexcept {
        return state_;
    }
    explicit operator bool() const noexcept {
        return state_ != nullptr;
    }

private:
    void acquire() const noexcept {
        if (state_ != nullptr) {
            ++state_->references;
        }
    }

    State *state_ = nullptr;
};

} // namespace ZBQ_NAMESPACE::detail
