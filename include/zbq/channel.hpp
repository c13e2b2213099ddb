// SPDX-License-Identifier: MIT
/// @file
/// A ring whose messages are all of one type.
#pragma once

#include "consumer.hpp"
#include "hash.hpp"
#include "producer.hpp"
#include "typed_batch.hpp"

#include <string>
#include <string_view>
#include <type_traits>

namespace ZBQ_NAMESPACE {

/// A name that can be a template's argument: a string literal.
template <std::size_t Size>
struct type_name {
    /// From a literal.
    consteval type_name(const char (&literal)[Size]) { // NOLINT(google-explicit-constructor)
        for (std::size_t i = 0; i < Size; ++i) {
            text[i] = literal[i];
        }
    }
    /// The name.
    [[nodiscard]] constexpr std::string_view view() const { return {text, Size - 1}; }
    char text[Size] = {}; ///< with its zero
};

/// Both ends of a ring whose messages are all of type T, under a name that both sides agree on
/// and should change with T's meaning ("quote/2"). Size, alignment and the name's hash travel in
/// the join; a consumer of another type is refused by its own constructor.
///
///     struct quote { double bid, ask; };
///     using quotes = zbq::channel<quote, "quote/1">;
///
///     quotes::producer source; // in one process; its ring() lets consumers in
///     std::ignore = source.send({101.25, 101.5}, zbq::never);
///
///     quotes::consumer reader(zbq::connect("quotes", zbq::never)); // in another
///     while (reader.wait(zbq::never) == zbq::status::ok) {
///         const auto got = reader.try_next();
///         const quote copy = *got;
///         if (got.intact()) {
///             use(copy);
///         }
///     }
///
/// T is read where it lies, in memory that another process writes: it must be trivially copyable,
/// and have no pointers that mean anything. A hostile producer can put any bytes into it.
template <typename T, type_name Name>
class channel {
    static_assert(std::is_trivially_copyable_v<T>, "its bytes are all that the other side gets");
    static_assert(alignof(T) <= ZBQ_MSG_ALIGN, "payloads are aligned to 16");

public:
    /// What the join says.
    static constexpr zbq_type type = {type_hash(Name.view()), sizeof(T), alignof(T)};

    class producer;
    class batch;
    class consumer;
    class received;
    class form;
    /// Ts that are there, in place.
    using received_batch = typed_batch<form>;
};

/// How a message is a T: see typed_batch.
template <typename T, type_name Name>
class channel<T, Name>::form {
public:
    using value = T;             ///< what is in a message
    using reference = const T &; ///< in place
    using decoded = const T *;   ///< where it lies; nullptr: it has another size

    /// Looks whether it is one.
    static decoded decode(const message_view &message) noexcept {
        const std::span<const std::byte> payload = message.payload();
        return payload.size() == sizeof(T) ? reinterpret_cast<const T *>(payload.data()) : nullptr;
    }
};

/// Room for several Ts that are published by one commit: see zbq::batch.
template <typename T, type_name Name>
class [[nodiscard]] channel<T, Name>::batch {
public:
    batch() noexcept = default;
    /// Whether there is room to fill.
    explicit operator bool() const noexcept { return static_cast<bool>(untyped_); }
    /// Why not, as zbq::batch::why.
    [[nodiscard]] status why() const noexcept { return untyped_.why(); }
    /// How many were added so far.
    [[nodiscard]] std::size_t size() const noexcept { return untyped_.size(); }

    /// Adds one and gives its place in the ring, to be filled: it holds what was there before.
    /// nullptr, with the batch as it was, when there is no room left for it or the batch is void.
    [[nodiscard]] T *add() noexcept {
        return reinterpret_cast<T *>(untyped_.add(sizeof(T)).data());
    }

    /// Publishes all that was added; none is fine. @return as zbq::batch::commit
    status commit() noexcept { return untyped_.commit(); }

private:
    /// @cond
    friend class channel<T, Name>::producer;
    /// @endcond
    batch(zbq::producer *ring, std::uint64_t bytes) noexcept : untyped_(ring->try_batch(bytes)) {}

    zbq::batch untyped_;
};

/// The producer of a channel: one T for each message.
template <typename T, type_name Name>
class channel<T, Name>::producer {
public:
    /// Makes a ring. @throws error as zbq::producer
    explicit producer(const producer_options &options = {}) : untyped_(options) {
        detail::require(zbq_producer_set_type(untyped_.get(), &type), "naming the payloads");
    }

    /// Publishes a copy. @return as zbq::producer::try_publish
    status try_send(const T &value) noexcept {
        return untyped_.try_publish(std::as_bytes(std::span(&value, 1)));
    }
    /// Publishes one that `fill` writes in place, given a T & that holds what was there before.
    /// @return as zbq::producer::try_fill
    template <std::invocable<T &> Fill>
    status try_fill(Fill &&fill) noexcept(std::is_nothrow_invocable_v<Fill, T &>) {
        return untyped_.try_fill(sizeof(T), [&fill](std::span<std::byte> to) noexcept(
                                                std::is_nothrow_invocable_v<Fill, T &>) {
            std::forward<Fill>(fill)(*reinterpret_cast<T *>(to.data()));
        });
    }
    /// Publishes a copy, waiting for room. @return as zbq::producer::publish
    status send(const T &value, deadline end) noexcept {
        return untyped_.publish(std::as_bytes(std::span(&value, 1)), end);
    }
    /// Publishes copies of all, or of none, in one commit. @return as try_send; too_large when
    /// they can never fit together
    status try_send(std::span<const T> values) noexcept {
        if (values.empty()) {
            return status::ok;
        }
        batch all = try_batch(values.size());
        if (!all) {
            return all.why();
        }
        for (const T &value : values) {
            std::memcpy(static_cast<void *>(all.add()), &value, sizeof(T));
        }
        return all.commit();
    }
    /// Room for so many, to be filled in place. Never waits. @return as zbq::producer::try_batch
    batch try_batch(std::size_t count) noexcept {
        constexpr std::uint64_t size = zbq::producer::size_of(sizeof(T));
        constexpr std::uint64_t most = UINT64_MAX / size; // of which no ring has room
        return batch(&untyped_, size * std::min<std::uint64_t>(count, most));
    }

    /// The ring, for all that has no type: admitting consumers, waiting, statistics.
    [[nodiscard]] zbq::producer &ring() noexcept { return untyped_; }

private:
    zbq::producer untyped_;
};

/// A T in the ring, held until it goes: see zbq::message.
template <typename T, type_name Name>
class [[nodiscard]] channel<T, Name>::received {
public:
    /// Whether there is one.
    explicit operator bool() const noexcept { return why() == status::ok; }
    /// Why not: as message::why; protocol also when the message has another size.
    [[nodiscard]] status why() const noexcept {
        return !message_ || is_there() ? message_.why() : status::protocol;
    }
    /// Where it lies. Where there is none, as when this consumer was evicted after wait gave ok:
    /// a T of zero bytes, which is not intact.
    const T &operator*() const noexcept { return *get(); }
    const T *operator->() const noexcept { return get(); } ///< the same
    /// Asked after reading, as message::intact: false also where there is none.
    [[nodiscard]] bool intact() const noexcept { return is_there() && message_.intact(); }

private:
    /// @cond
    friend class channel<T, Name>::consumer;
    /// @endcond
    explicit received(message &&from) noexcept : message_(std::move(from)) {}

    bool is_there() const noexcept { return message_ && form::decode(message_) != nullptr; }
    const T *get() const noexcept {
        return is_there() ? form::decode(message_) : reinterpret_cast<const T *>(nothing);
    }

    // Bytes that nobody writes. Not const, so that they take no room in the program's file.
    alignas(T) inline static std::byte nothing[sizeof(T)] = {};
    message message_;
};

/// A consumer of a channel.
template <typename T, type_name Name>
class channel<T, Name>::consumer {
public:
    /// Takes over a consumer, of zbq::connect for instance, that receives this type.
    /// @throws error type_mismatch: it receives something else; the text says what
    explicit consumer(zbq::consumer &&untyped) : untyped_(std::move(untyped)) {
        detail::require_type(type, untyped_.type(),
                             "expected '" + std::string(Name.view()) + "' of " +
                                 std::to_string(sizeof(T)) + " bytes, aligned to " +
                                 std::to_string(alignof(T)));
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
