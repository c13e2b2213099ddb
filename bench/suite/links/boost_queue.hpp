// SPDX-License-Identifier: MIT
//
// Boost.Interprocess: a message_queue for each receiver.
#pragma once

#include "../link.hpp"

#include <algorithm>
#include <boost/interprocess/ipc/message_queue.hpp>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

namespace bench {

class boost_queue {
    using queue = boost::interprocess::message_queue;

public:
    static constexpr const char *name = "Boost.Interprocess";

    explicit boost_queue(const link_options &options) : options_(options), buffer_(options.size) {
        static int made = 0;
        const std::size_t messages = std::clamp<std::size_t>((1U << 20U) / options.size, 8, 8192);
        for (unsigned i = 0; i < options.receivers; ++i) {
            const std::string path =
                "zbq-bench-" + std::to_string(getpid()) + "-" + std::to_string(++made);
            queues_.push_back(std::make_unique<queue>(boost::interprocess::create_only,
                                                      path.c_str(), messages, options.size));
            queue::remove(path.c_str()); // what is mapped stays
        }
    }
    void become_sender() {}
    void become_receiver(unsigned index) { own_ = queues_.at(index).get(); }

    void send(std::size_t size, std::uint64_t number) {
        fill(buffer_.data(), size, number);
        for (const std::unique_ptr<queue> &to : queues_) {
            to->send(buffer_.data(), size, 0);
        }
    }
    void flush() {}

    template <typename Visit>
    void receive(const Visit &visit) {
        queue::size_type size = 0;
        unsigned priority = 0;
        if (options_.sleeping) {
            own_->receive(buffer_.data(), buffer_.size(), size, priority);
        } else if (!own_->try_receive(buffer_.data(), buffer_.size(), size, priority)) {
            return;
        }
        visit(std::span<const std::byte>(buffer_.data(), size));
    }

private:
    link_options options_;
    std::vector<std::byte> buffer_;
    std::vector<std::unique_ptr<queue>> queues_;
    queue *own_ = nullptr;
};

} // namespace bench
