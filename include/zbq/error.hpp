// SPDX-License-Identifier: MIT
/// @file
/// How zbq's C++ interface says what went wrong.
#pragma once

#include "c.hpp"

#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>

namespace ZBQ_NAMESPACE {

/// What a call gives. The values up to 0 are the C interface's (zbq_error); the others come
/// from set-up alone, inside of an error.
enum class [[nodiscard]] status : int{
    ok = ZBQ_OK,                    ///< done
    invalid = ZBQ_ERROR_INVALID,    ///< a bad argument, or a call that is out of place
    no_memory = ZBQ_ERROR_NOMEM,    ///< memory could not be had
    again = ZBQ_ERROR_AGAIN,        ///< not yet, or not before the deadline; nothing is wrong
    io = ZBQ_ERROR_IO,              ///< a system call failed
    protocol = ZBQ_ERROR_PROTOCOL,  ///< the other side broke the protocol
    too_large = ZBQ_ERROR_OVERFLOW, ///< larger than the ring, or than a message can be
    none = ZBQ_ERROR_NOENT,         ///< nothing there, for good: no slot, no record, the end
    full = 1,                       ///< the producer has no slot for another consumer
    refused = 2,                    ///< the listener does not admit this process
    type_mismatch = 3,              ///< the payloads are not of the type expected
};

/// Why a consumer lost its slot.
enum class eviction : int {
    none = ZBQ_EVICTION_NONE,                 ///< it still has it
    dead = ZBQ_EVICTION_DEAD,                 ///< its process ended, or it left
    stalled = ZBQ_EVICTION_STALLED,           ///< it held the ring back for the stall timeout
    side_stalled = ZBQ_EVICTION_SIDE_STALLED, ///< it did not collect descriptors for as long
    protocol = ZBQ_EVICTION_PROTOCOL,         ///< it published a tail that cannot be
    slow = ZBQ_EVICTION_SLOW,                 ///< it used up the producer's patience
    dear = ZBQ_EVICTION_DEAR,                 ///< waking it cost too much, again and again
};

/// How a stream stands, for one consumer.
enum class ending : int {
    none = ZBQ_ENDING_NONE,                   ///< it goes on
    closed = ZBQ_ENDING_CLOSED,               ///< the producer ended it
    producer_died = ZBQ_ENDING_PRODUCER_DIED, ///< the producer was killed, or crashed
    evicted = ZBQ_ENDING_EVICTED,             ///< this consumer lost its slot
    malformed = ZBQ_ENDING_MALFORMED,         ///< the producer broke the protocol
};

/// How a consumer learns of messages.
enum class wakeup : int {
    push = ZBQ_WAKEUP_PUSH, ///< may sleep until the producer wakes it; gets descriptors
    pull = ZBQ_WAKEUP_PULL, ///< polls when it likes; never woken; gets no descriptors
};

/// Whether a consumer holds the producer back.
enum class flow : int {
    lossless, ///< it reads every message; who is too slow is evicted
    follow,   ///< an observer: nobody waits for it, and it is told what it has missed
    newest,   ///< an observer, each of whose looks gives the newest message and skips the rest
};

/// The words for a status, in English, in static memory.
[[nodiscard]] inline const char *to_string(status what) noexcept {
    if (what == status::full) {
        return "the producer has no room for another consumer";
    }
    if (what == status::refused) {
        return "refused";
    }
    if (what == status::type_mismatch) {
        return "the payloads are of another type";
    }
    return zbq_strerror(static_cast<int>(what));
}

/// The words for an eviction's reason, in English, in static memory.
[[nodiscard]] inline const char *to_string(eviction reason) noexcept {
    return zbq_strevict(static_cast<std::uint32_t>(reason));
}

namespace detail {

class category_type final : public std::error_category {
public:
    [[nodiscard]] const char *name() const noexcept override { return "zbq"; }
    [[nodiscard]] std::string message(int value) const override {
        return to_string(static_cast<status>(value));
    }
};

} // namespace detail

/// The category of error codes made from a status.
[[nodiscard]] inline const std::error_category &category() noexcept {
    static const detail::category_type instance;
    return instance;
}

/// Makes std::error_code comparable with a status.
[[nodiscard]] inline std::error_code make_error_code(status what) noexcept {
    return {static_cast<int>(what), category()};
}

/// A set-up that failed: what was tried, what zbq says, and what the system said.
///
///     try {
///         use(zbq::connect("camera", zbq::in(std::chrono::seconds(5))));
///     } catch (const zbq::error &failure) {
///         if (failure.code() != zbq::status::none) { // nobody publishes there
///             throw;
///         }
///     }
class error : public std::system_error {
public:
    /// @param what the status, which becomes code()
    /// @param tried what was tried, in words
    /// @param os_error errno of the failed system call; looked at for status::io and
    ///                 status::no_memory alone
    error(status what, const std::string &tried, int os_error = 0)
        : std::system_error(make_error_code(what)), text_(text(what, tried, os_error)),
          os_error_(is_of_system(what) ? os_error : 0) {}

    /// What was tried, and why it failed.
    [[nodiscard]] const char *what() const noexcept override { return text_.what(); }

    /// errno of the system call that failed; 0 when none did.
    [[nodiscard]] int os_error() const noexcept { return os_error_; }

private:
    static bool is_of_system(status what) {
        return what == status::io || what == status::no_memory;
    }
    static std::string text(status what, const std::string &tried, int os_error) {
        const bool known = is_of_system(what) && os_error != 0;
        return tried + ": " +
               (known ? std::generic_category().message(os_error) : std::string(to_string(what)));
    }

    std::runtime_error text_; // a string that can be copied without throwing
    int os_error_;
};

namespace detail {

// For results of the C interface: errno is that of the call just made.
inline void require(int result, const std::string &tried) {
    if (result < 0) {
        const int os_error = errno;
        throw error(static_cast<status>(result), tried, os_error);
    }
}

// For system calls of our own.
[[noreturn]] inline void throw_errno(const std::string &tried) {
    const int os_error = errno;
    throw error(os_error == ENOMEM ? status::no_memory : status::io, tried, os_error);
}

} // namespace detail

} // namespace ZBQ_NAMESPACE

/// @cond
// A status converts to std::error_code by itself.
template <>
struct std::is_error_code_enum<zbq::status> : std::true_type {};
/// @endcond
