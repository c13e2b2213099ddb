// SPDX-License-Identifier: MIT
/// @file
/// Messages that are there, as what they mean.
#pragma once

#include "consumer.hpp"

#include <string>
#include <type_traits>

namespace ZBQ_NAMESPACE {

/// Messages that are there, in place, as what they mean: a range to go through once, as
/// message_batch is. It ends at a message that means nothing here, which is passed over. Form says
/// what it gives: a channel's T, or one of the types of a variant_channel.
///
///     struct quote { double bid, ask; };
///     zbq::channel<quote, "quote/1">::consumer reader(zbq::connect("quotes", zbq::never));
///     double highest = 0;
///     auto batch = reader.take_batch();
///     for (const quote &each : batch) {
///         highest = std::max(highest, each.bid);
///     }
///     if (batch.intact()) {
///         use(highest);
///     }
template <typename Form>
class [[nodiscard]] typed_batch {
public:
    /// Of a single pass.
    class iterator {
    public:
        using value_type = typename Form::value;           ///< what it gives
        using difference_type = std::ptrdiff_t;            ///< as std::input_iterator wants
        using reference = typename Form::reference;        ///< in place, or what says where
        using pointer = const value_type *;                ///< in place
        using iterator_category = std::input_iterator_tag; ///< one pass

        iterator() noexcept = default;
        /// @param batch whose messages it goes through
        explicit iterator(typed_batch *batch) noexcept
            : batch_(batch), at_(batch->messages_.begin()) {
            look();
        }
        reference operator*() const noexcept { return *decoded_; } ///< the value
        pointer operator->() const noexcept                        ///< the value
            requires(std::is_reference_v<reference>) {
            return decoded_;
        }
        iterator &operator++() noexcept { ///< the next one
            ++at_;
            look();
            return *this;
        }
        void operator++(int) noexcept { ++*this; } ///< the next one
        /// Whether the batch is through.
        friend bool operator==(const iterator &it, std::default_sentinel_t /*end*/) noexcept {
            return !it.decoded_;
        }

    private:
        void look() noexcept {
            decoded_ = {};
            if (at_ != std::default_sentinel) {
                decoded_ = Form::decode(*at_);
                batch_->is_other_ = !decoded_;
            }
        }

        typed_batch *batch_ = nullptr;
        message_batch::iterator at_;
        typename Form::decoded decoded_ = {}; // false: it means nothing here
    };

    /// Takes those that are there.
    /// @param from whose they are
    /// @param most how many, at most
    typed_batch(consumer *from, std::size_t most) noexcept : messages_(from->take_batch(most)) {}

    /// The first, or where an earlier pass stopped.
    [[nodiscard]] iterator begin() noexcept { return iterator(this); }
    /// The end.
    [[nodiscard]] static std::default_sentinel_t end() noexcept { return {}; }

    /// Asked after reading, as message_batch::intact: for all that was visited.
    [[nodiscard]] bool intact() const noexcept { return messages_.intact(); }
    /// Why it ended: as message_batch::why; protocol also at a message that means nothing here.
    [[nodiscard]] status why() const noexcept {
        return is_other_ ? status::protocol : messages_.why();
    }

private:
    message_batch messages_;
    bool is_other_ = false;
};

namespace detail {

// A consumer's, where that receives this type. `expected` in words.
inline void require_type(const zbq_type &type, const zbq_type &told, const std::string &expected) {
    if (told.hash == type.hash && told.size == type.size && told.align == type.align) {
        return;
    }
    if (told.hash == 0 && told.size == 0) {
        throw error(status::type_mismatch, expected + "; the producer does not say what it sends");
    }
    const std::string other = told.hash == type.hash ? "that name" : "another name";
    throw error(status::type_mismatch, expected + "; the producer sends " + other + ", " +
                                           std::to_string(told.size) + " bytes, aligned to " +
                                           std::to_string(told.align));
}

} // namespace detail

} // namespace ZBQ_NAMESPACE
