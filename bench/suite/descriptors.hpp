// SPDX-License-Identifier: MIT
//
// Messages with descriptors: zbq, and as its floor what the kernel takes to pass them. The figure
// is messages a second.
#pragma once

#include "act.hpp"
#include "links/sockets.hpp"
#include "payload.hpp"
#include "shared.hpp"

#include <atomic>
#include <fcntl.h>
#include <optional>
#include <vector>
#include <zbq.hpp>

namespace bench {

// What both have in common: numbered messages until the time is up, and a receiver that says
// when it has the last.
class descriptor_stream : public act {
public:
    outcome perform(unsigned actor, clock::duration slice) override {
        return actor == 0 ? send_all(slice) : receive_all();
    }

protected:
    static constexpr std::size_t payload_size = 64;

    descriptor_stream(std::string name, std::size_t count)
        : act(std::move(name)), ends_(1, SOCK_SEQPACKET),
          file_(::open("/dev/null", O_RDONLY | O_CLOEXEC)), fds_(count, file_.get()), done_(1) {}

    virtual void send(std::span<const std::byte> payload) = 0;
    virtual std::uint64_t receive() = 0; // the number; 0 if it is not what was sent

    socket_pairs ends_;
    zbq::unique_fd file_;
    std::vector<int> fds_;

private:
    outcome send_all(clock::duration slice) {
        outcome result;
        std::array<std::byte, payload_size> payload = {};
        const clock::time_point start = clock::now();
        for (bool last = false; !last; ++result.messages) {
            last = clock::now() - start >= slice;
            fill(payload.data(), payload.size(), ++number_ | (last ? last_of_slice : 0));
            send(payload);
        }
        ++slices_;
        while (done_->load(std::memory_order_acquire) != slices_) {
        }
        result.figure =
            static_cast<double>(result.messages) * 1e9 / nanoseconds(clock::now() - start).count();
        return result;
    }

    outcome receive_all() {
        outcome result;
        for (bool last = false; !last; ++result.messages) {
            const std::uint64_t number = receive();
            last = (number & last_of_slice) != 0;
            result.errors += (number & ~last_of_slice) == ++number_ ? 0 : 1;
        }
        done_->fetch_add(1, std::memory_order_release);
        return result;
    }

    shared<std::atomic<std::uint64_t>> done_;
    std::uint64_t number_ = 0;
    std::uint64_t slices_ = 0;
};

class zbq_descriptors final : public descriptor_stream {
public:
    explicit zbq_descriptors(std::size_t count) : descriptor_stream("zbq", count) {}

    void prepare(unsigned actor) override {
        if (actor == 0) {
            producer_.emplace(zbq::producer_options{.stall_timeout = {}});
            producer_->admit(ends_.sender.front().get());
        } else {
            consumer_.emplace(ends_.receiver.front().get());
        }
    }

private:
    void send(std::span<const std::byte> payload) override {
        if (producer_->publish(payload, fds_, zbq::never) != zbq::status::ok) {
            throw std::runtime_error("publishing with descriptors failed");
        }
    }
    std::uint64_t receive() override {
        std::ignore = consumer_->wait(zbq::never, std::chrono::nanoseconds::max());
        zbq::message message = consumer_->try_next();
        const std::uint64_t number = number_of(message.payload().data());
        const zbq::descriptors got = message.take_descriptors(zbq::never);
        return got.size() == fds_.size() && holds(message.payload(), number) ? number : 0;
    }

    std::optional<zbq::producer> producer_;
    std::optional<zbq::consumer> consumer_;
};

class passed_descriptors final : public descriptor_stream {
public:
    explicit passed_descriptors(std::size_t count)
        : descriptor_stream("sendmsg", count), control_(CMSG_SPACE(count * sizeof(int))) {}

    void prepare(unsigned /*actor*/) override {}

private:
    void send(std::span<const std::byte> payload) override {
        const std::size_t size = fds_.size() * sizeof(int);
        iovec data = {const_cast<std::byte *>(payload.data()), payload.size()};
        msghdr message = header_for(&data);
        cmsghdr *control = CMSG_FIRSTHDR(&message);
        control->cmsg_level = SOL_SOCKET;
        control->cmsg_type = SCM_RIGHTS;
        control->cmsg_len = CMSG_LEN(size);
        std::memcpy(CMSG_DATA(control), fds_.data(), size);
        if (sendmsg(ends_.sender.front().get(), &message, 0) < 0) {
            fail("sendmsg");
        }
    }
    std::uint64_t receive() override {
        std::array<std::byte, payload_size> payload = {};
        iovec data = {payload.data(), payload.size()};
        msghdr message = header_for(&data);
        const int socket = ends_.receiver.front().get();
        ssize_t size = -1;
        while ((size = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) < 0) {
            if (errno != EAGAIN) {
                fail("recvmsg");
            }
        }
        const std::size_t got = close_all(&message);
        const std::uint64_t number = number_of(payload.data());
        return size == ssize_t{payload_size} && got == fds_.size() && holds(payload, number)
                   ? number
                   : 0;
    }

    msghdr header_for(iovec *data) {
        msghdr message = {};
        message.msg_iov = data;
        message.msg_iovlen = 1;
        message.msg_control = control_.data();
        message.msg_controllen = control_.size();
        return message;
    }
    static std::size_t close_all(msghdr *message) {
        const cmsghdr *control = CMSG_FIRSTHDR(message);
        const std::size_t count =
            control != nullptr ? (control->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(control) + i * sizeof fd, sizeof fd);
            ::close(fd);
        }
        return count;
    }

    std::vector<std::byte> control_;
};

} // namespace bench
