// SPDX-License-Identifier: MIT
//
// A POSIX message queue for each receiver.
#pragma once

#include "../link.hpp"
#include "sockets.hpp"

#include <ctime>
#include <fcntl.h>
#include <mqueue.h>
#include <string>
#include <unistd.h>

namespace bench {

class posix_queue {
public:
    static constexpr const char *name = "POSIX mq";

    explicit posix_queue(const link_options &options) : options_(options), buffer_(options.size) {
        for (unsigned i = 0; i < options.receivers; ++i) {
            queues_.push_back(open_one(options.size));
        }
    }
    posix_queue(posix_queue &&) = delete;
    posix_queue(const posix_queue &) = delete;
    posix_queue &operator=(posix_queue &&) = delete;
    posix_queue &operator=(const posix_queue &) = delete;
    ~posix_queue() {
        for (const mqd_t queue : queues_) {
            mq_close(queue);
        }
    }
    void become_sender() {}
    void become_receiver(unsigned index) { own_ = queues_.at(index); }

    void send(std::size_t size, std::uint64_t number) {
        fill(buffer_.data(), size, number);
        for (const mqd_t queue : queues_) {
            if (mq_send(queue, reinterpret_cast<const char *>(buffer_.data()), size, 0) != 0) {
                fail("mq_send");
            }
        }
    }
    void flush() {}

    template <typename Visit>
    void receive(const Visit &visit) {
        const timespec passed = {};
        char *to = reinterpret_cast<char *>(buffer_.data());
        const ssize_t size = options_.sleeping
                                 ? mq_receive(own_, to, buffer_.size(), nullptr)
                                 : mq_timedreceive(own_, to, buffer_.size(), nullptr, &passed);
        if (size > 0) {
            visit(std::span<const std::byte>(buffer_.data(), static_cast<std::size_t>(size)));
        }
    }

private:
    // The name goes at once: what is open stays usable.
    static mqd_t open_one(std::size_t size) {
        static int made = 0;
        const std::string path =
            "/zbq-bench-" + std::to_string(getpid()) + "-" + std::to_string(++made);
        mqd_t queue = -1;
        for (const long messages : {256L, 64L, 10L}) { // as many as the limits allow
            mq_attr attributes = {};
            attributes.mq_maxmsg = messages;
            attributes.mq_msgsize = static_cast<long>(size);
            queue = mq_open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attributes);
            if (queue >= 0) {
                break;
            }
        }
        if (queue < 0) {
            fail("mq_open");
        }
        mq_unlink(path.c_str());
        return queue;
    }

    link_options options_;
    std::vector<std::byte> buffer_;
    std::vector<mqd_t> queues_;
    mqd_t own_ = -1;
};

} // namespace bench
