// SPDX-License-Identifier: MIT
/// @file
/// Descriptors that someone owns.
#pragma once

#include "error.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <unistd.h>
#include <utility>

namespace ZBQ_NAMESPACE {

/// A descriptor with one owner, who closes it. -1 is none.
class unique_fd {
public:
    unique_fd() noexcept = default;
    /// Takes over a descriptor; -1 is fine.
    explicit unique_fd(int fd) noexcept : fd_(fd) {}
    /// Takes over; the other one is empty then.
    unique_fd(unique_fd &&other) noexcept : fd_(other.release()) {}
    /// Lets go of its own and takes over; the other one is empty then.
    unique_fd &operator=(unique_fd &&other) noexcept {
        reset(other.release());
        return *this;
    }
    unique_fd(const unique_fd &) = delete;
    unique_fd &operator=(const unique_fd &) = delete;
    ~unique_fd() { reset(); }

    /// The descriptor, which stays owned here.
    [[nodiscard]] int get() const noexcept { return fd_; }
    /// Whether there is one.
    explicit operator bool() const noexcept { return fd_ >= 0; }
    /// Hands it over: the caller closes it.
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
    /// Closes it, and takes over another one. errno is left alone.
    void reset(int fd = -1) noexcept {
        const int old = std::exchange(fd_, fd);
        if (old >= 0) {
            const int kept = errno;
            ::close(old);
            errno = kept;
        }
    }

private:
    int fd_ = -1;
};

/// The descriptors of one message, owned until they are taken.
///
///     zbq::consumer reader = zbq::connect("files", zbq::never);
///     while (reader.wait(zbq::never) == zbq::status::ok) {
///         zbq::message message = reader.try_next();
///         zbq::descriptors files = message.take_descriptors(zbq::never);
///         for (std::size_t i = 0; i < files.size(); ++i) {
///             const zbq::unique_fd file = files.take(i);
///             use(file.get());
///         } // closed
///     }
class descriptors {
public:
    descriptors() noexcept = default;
    /// Takes over; the other one is empty then.
    descriptors(descriptors &&other) noexcept { take_over(other); }
    /// Lets go of its own and takes over; the other one is empty then.
    descriptors &operator=(descriptors &&other) noexcept {
        if (this != &other) {
            close_all();
            take_over(other);
        }
        return *this;
    }
    descriptors(const descriptors &) = delete;
    descriptors &operator=(const descriptors &) = delete;
    ~descriptors() { close_all(); }

    /// ok: these are the message's. Else there are none here, and this says why:
    ///   - again: not there yet
    ///   - none: they never come: the consumer is in pull mode, did not take them before
    ///     those of a later message, or the stream ended
    ///   - protocol: the producer sent a record that is none
    ///   - io: a system call failed
    [[nodiscard]] zbq::status why() const noexcept { return why_; }
    /// Whether these are the message's descriptors; it may have none.
    explicit operator bool() const noexcept { return why_ == zbq::status::ok; }
    [[nodiscard]] std::size_t size() const noexcept { return count_; } ///< how many
    [[nodiscard]] bool empty() const noexcept { return count_ == 0; }  ///< whether none

    /// One of them, which stays owned here; -1 when it was taken, or out of range.
    [[nodiscard]] int operator[](std::size_t index) const noexcept {
        return index < count_ ? fds_[index] : -1;
    }
    /// Takes one out; -1 when it was taken already, or out of range.
    [[nodiscard]] unique_fd take(std::size_t index) noexcept {
        return unique_fd(index < count_ ? std::exchange(fds_[index], -1) : -1);
    }
    /// The numbers, which stay owned here.
    [[nodiscard]] const int *begin() const noexcept { return fds_.data(); }
    [[nodiscard]] const int *end() const noexcept { return fds_.data() + count_; } ///< their end

    /// Collects the record of a message, without waiting.
    /// @param consumer the handle, or nullptr
    /// @param seq_id the message's; 0: it has none
    static descriptors collect(zbq_consumer *consumer, std::uint64_t seq_id) noexcept {
        descriptors got;
        std::uint8_t count = 0;
        if (seq_id != 0) {
            got.why_ = static_cast<zbq::status>(
                zbq_consumer_recv_fds(consumer, seq_id, got.fds_.data(), &count));
            got.count_ = count;
        }
        return got;
    }

private:
    void close_all() noexcept {
        while (count_ != 0) {
            unique_fd(fds_[--count_]).reset();
        }
    }
    void take_over(descriptors &other) noexcept {
        count_ = std::exchange(other.count_, 0);
        why_ = other.why_;
        std::copy_n(other.fds_.begin(), count_, fds_.begin());
    }

    std::size_t count_ = 0;
    zbq::status why_ = zbq::status::ok;
    // Not initialized: a kilobyte, of which count_ places count.
    std::array<int, ZBQ_MAX_FD_PER_MSG> fds_; // NOLINT(cppcoreguidelines-pro-type-member-init)
};

} // namespace ZBQ_NAMESPACE
