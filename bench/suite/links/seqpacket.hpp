// SPDX-License-Identifier: MIT
//
// A Unix socket of packets for each receiver.
#pragma once

#include "../link.hpp"
#include "sockets.hpp"

#include <unistd.h>

namespace bench {

class seqpacket {
public:
    static constexpr const char *name = "Unix socket";

    explicit seqpacket(const link_options &options)
        : options_(options), ends_(options.receivers, SOCK_SEQPACKET), buffer_(options.size) {
        const int size = 4 << 20;
        for (const zbq::unique_fd &end : ends_.sender) {
            setsockopt(end.get(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        }
        int granted = 0;
        socklen_t length = sizeof granted;
        getsockopt(ends_.sender.front().get(), SOL_SOCKET, SO_SNDBUF, &granted, &length);
        if (options.size + 1024 > static_cast<std::size_t>(granted)) {
            throw std::runtime_error("larger than a packet can be here");
        }
    }
    void become_sender() {}
    void become_receiver(unsigned index) { own_ = ends_.receiver.at(index).get(); }

    void send(std::size_t size, std::uint64_t number) {
        fill(buffer_.data(), size, number);
        for (const zbq::unique_fd &end : ends_.sender) {
            if (::send(end.get(), buffer_.data(), size, 0) != static_cast<ssize_t>(size)) {
                fail("send");
            }
        }
    }
    void flush() {}

    template <typename Visit>
    void receive(const Visit &visit) {
        const ssize_t size =
            recv(own_, buffer_.data(), buffer_.size(), options_.sleeping ? 0 : MSG_DONTWAIT);
        if (size > 0) {
            visit(std::span<const std::byte>(buffer_.data(), static_cast<std::size_t>(size)));
        }
    }

private:
    link_options options_;
    socket_pairs ends_;
    std::vector<std::byte> buffer_;
    int own_ = -1;
};

} // namespace bench
