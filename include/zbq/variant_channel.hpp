// SPDX-License-Identifier: MIT
/// @file
/// A ring whose messages are of a few types.
#pragma once

#include "channel.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace ZBQ_NAMESPACE {

/// One of several types, where it lies in the ring.
template <typename... Ts>
class one_of {
public:
    using value = one_of;                  ///< itself: see typed_batch
    using reference = one_of;              ///< it knows where
    using decoded = std::optional<one_of>; ///< nothing: a message is none of them

    /// Which of the types it is, from 0.
    [[nodiscard]] std::size_t index() const noexcept { return index_; }

    /// The T that it is, or nullptr.
    template <typename T>
    [[nodiscard]] const T *get_if() const noexcept {
        return index_ == index_of<T>() ? static_cast<const T *>(place_) : nullptr;
    }

    /// Calls the one of these functions that fits best with what it is; each type has to have one.
    /// A single one, for all types, is used where it is; of several, which are objects, copies.
    template <typename... Use>
    void visit(Use &&...use) const {
        if constexpr (sizeof...(Use) == 1) {
            static_cast<void>((is_used<Ts>(&use...) || ...));
        } else {
            overloads<std::remove_cvref_t<Use>...> all{std::forward<Use>(use)...};
            static_cast<void>((is_used<Ts>(&all) || ...));
        }
    }

    /// Which of the types T is.
    template <typename T>
    static consteval std::size_t index_of() noexcept {
        static_assert((std::size_t{std::is_same_v<T, Ts>} + ...) == 1, "T is one of the types");
        std::size_t index = 0;
        static_cast<void>(((std::is_same_v<T, Ts> || (++index, false)) || ...));
        return index;
    }
    /// The flags of a message that is a T.
    template <typename T>
    static consteval std::uint8_t flags_of() noexcept {
        return static_cast<std::uint8_t>(index_of<T>() + 1);
    }

    /// What a message is, by its flags and its size.
    static decoded decode(const message_view &message) noexcept {
        constexpr std::size_t sizes[] = {sizeof(Ts)...};
        const std::size_t index = std::size_t{message.flags()} - 1; // of 0 past all of them
        const std::span<const std::byte> payload = message.payload();
        if (index >= sizeof...(Ts) || payload.size() != sizes[index]) {
            return std::nullopt;
        }
        return one_of(index, payload.data());
    }

private:
    template <typename... Use>
    struct overloads : Use... {
        using Use::operator()...;
    };

    one_of(std::size_t index, const void *place) noexcept : index_(index), place_(place) {}

    template <typename T, typename Use>
    bool is_used(Use *use) const {
        const T *const found = get_if<T>();
        if (found != nullptr) {
            static_cast<void>((*use)(*found));
        }
        return found != nullptr;
    }

    std::size_t index_;
    const void *place_;
};

namespace detail {

// Outside of the class: clang 14 wants it defined before a constant of the class calls it.
template <typename... Ts>
consteval std::uint64_t hash_of_types(std::string_view name) noexcept {
    std::uint64_t value = type_hash(name);
    ((value = hash_on(hash_on(value, std::uint32_t{sizeof(Ts)}), std::uint32_t{alignof(Ts)})), ...);
    return value;
}

} // namespace detail

/// Both ends of a ring whose messages are of several types, under a name that both sides agree on:
/// as channel, for each of them. A message of the first type has flags 1, of the second 2, and so
/// on. The join says the name's hash, onto which each type's size and alignment are hashed (four
/// bytes each, the lowest first); size 0, for they vary; and the largest alignment.
///
///     struct quote { double bid, ask; };
///     struct trade { double price; std::uint64_t shares; };
///     using feed = zbq::variant_channel<"feed/1", quote, trade>;
///
///     feed::producer source; // in one process; its ring() lets consumers in
///     std::ignore = source.send(trade{101.5, 200}, zbq::never);
///
///     feed::consumer reader(zbq::connect("feed", zbq::never)); // in another
///     while (reader.wait(zbq::never) == zbq::status::ok) {
///         for (const auto &each : reader.take_batch()) {
///             each.visit([](const quote &made) { use(made.bid, made.ask); },
///                        [](const trade &made) { use(made.price, made.shares); });
///         }
///     }
template <type_name Name, typename... Ts>
class variant_channel {
    static_assert(sizeof...(Ts) != 0 && sizeof...(Ts) <= UINT8_MAX, "flags say which it is");
    static_assert((std::is_trivially_copyable_v<Ts> && ...),
                  "their bytes are all that the other side gets");
    static_assert(((alignof(Ts) <= ZBQ_MSG_ALIGN) && ...), "payloads are aligned to 16");

public:
    /// What a message is.
    using value = one_of<Ts...>;
    /// What the join says.
    static constexpr zbq_type type = {detail::hash_of_types<Ts...>(Name.view()), 0,
                                      std::uint32_t{std::max({alignof(Ts)...})}};

    class producer;
    class batch;
    class consumer;
    class received;
    /// Those that are there, in place.
    using received_batch = typed_batch<value>;
};

/// Room for several that are published by one commit: see zbq::batch.
template <type_name Name, typename... Ts>
class [[nodiscard]] variant_channel<Name, Ts...>::batch {
public:
    batch() noexcept = default;
    /// Whether there is room to fill.
    explicit operator bool() const noexcept { return static_cast<bool>(untyped_); }
    /// Why not, as zbq::batch::why.
    [[nodiscard]] status why() const noexcept { return untyped_.why(); }
    /// How many were added so far.
    [[nodiscard]] std::size_t size() const noexcept { return untyped_.size(); }

    /// Adds a T and gives its place in the ring, to be filled: it holds what was there before.
    /// nullptr, with the batch as it was, when there is no room left for it or the batch is void.
    template <typename T>
    [[nodiscard]] T *add() noexcept {
        return reinterpret_cast<T *>(untyped_.add(sizeof(T), value::template flags_of<T>()).data());
    }

    /// Publishes all that was added; none is fine. @return as zbq::batch::commit
    status commit() noexcept { return untyped_.commit(); }

private:
    /// @cond
    friend class variant_channel<Name, Ts...>::producer;
    /// @endcond
    explicit batch(zbq::batch &&untyped) noexcept : untyped_(std::move(untyped)) {}

    zbq::batch untyped_;
};

/// The producer of a variant channel: one T for each message.
template <type_name Name, typename... Ts>
class variant_channel<Name, Ts...>::producer {
public:
    /// Makes a ring. @throws error as zbq::producer
    explicit producer(const producer_options &options = {}) : untyped_(options) {
        detail::require(zbq_producer_set_type(untyped_.get(), &type), "naming the payloads");
    }

    /// Publishes a copy. @return as zbq::producer::try_publish
    template <typename T>
    status try_send(const T &message) noexcept {
        return untyped_.try_publish(std::as_bytes(std::span(&message, 1)),
                                    value::template flags_of<T>());
    }
    /// Publishes a copy, waiting for room. @return as zbq::producer::publish
    template <typename T>
    status send(const T &message, deadline end) noexcept {
        return untyped_.publish(std::as_bytes(std::span(&message, 1)), end,
                                value::template flags_of<T>());
    }
    /// Room for so many bytes, each message counted by size_of its type, to be filled in place.
    /// Never waits. @return as zbq::producer::try_batch
    batch try_batch(std::uint64_t bytes) noexcept { return batch(untyped_.try_batch(bytes)); }

    /// The ring, for all that has no type: admitting consumers, waiting, statistics.
    [[nodiscard]] zbq::producer &ring() noexcept { return untyped_; }

private:
    zbq::producer untyped_;
};

/// One that is held in the ring until it goes: see zbq::message.
template <type_name Name, typename... Ts>
class [[nodiscard]] variant_channel<Name, Ts...>::received {
public:
    /// Whether there is one.
    explicit operator bool() const noexcept { return message_ && value_; }
    /// Why not: as message::why; protocol also when a message is none of the types.
    [[nodiscard]] status why() const noexcept {
        return !message_ || value_ ? message_.why() : status::protocol;
    }
    /// Calls the one of these functions that fits with what it is; none, where there is none.
    /// @return whether there is one
    template <typename... Use>
    bool visit(Use &&...use) const {
        if (*this) {
            value_->visit(std::forward<Use>(use)...);
        }
        return static_cast<bool>(*this);
    }
    /// Asked after reading, as message::intact: false also where there is none.
    [[nodiscard]] bool intact() const noexcept { return *this && message_.intact(); }

private:
    /// @cond
    friend class variant_channel<Name, Ts...>::consumer;
    /// @endcond
    explicit received(message &&from) noexcept
        : message_(std::move(from)), value_(message_ ? value::decode(message_) : std::nullopt) {}

    message message_;
    std::optional<value> value_;
};

/// A consumer of a variant channel.
template <type_name Name, typename... Ts>
class variant_channel<Name, Ts...>::consumer {
public:
    /// Takes over a consumer, of zbq::connect for instance, that receives these types.
    /// @throws error type_mismatch: it receives something else; the text says what
    explicit consumer(zbq::consumer &&untyped) : untyped_(std::move(untyped)) {
        detail::require_type(type, untyped_.type(),
                             "expected '" + std::string(Name.view()) + "' of " +
                                 std::to_string(sizeof...(Ts)) + " types");
    }
    /// Joins through a socket. @throws error as zbq::consumer, and type_mismatch
    explicit consumer(int socket, wakeup mode = wakeup::push)
        : consumer(zbq::consumer(socket, mode)) {}

    /// The next one; empty when there is none now, or never. Never waits.
    received try_next() noexcept { return received(untyped_.try_next()); }

    /// Those that are there, at most so many: see zbq::consumer::take_batch. Never waits.
    received_batch take_batch(std::size_t most = SIZE_MAX) noexcept { return {&untyped_, most}; }

    /// Waits as zbq::consumer::wait.
    status wait(deadline end, std::chrono::nanoseconds spin = {}) noexcept {
        return untyped_.wait(end, spin);
    }

    /// The ring, for all that has no type.
    [[nodiscard]] zbq::consumer &ring() noexcept { return untyped_; }

private:
    zbq::consumer untyped_;
};

} // namespace ZBQ_NAMESPACE
