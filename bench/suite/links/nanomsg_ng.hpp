// SPDX-License-Identifier: MIT
//
// nng: PUSH and PULL over a Unix socket for each receiver, since its PUB drops what does not fit.
#pragma once

#include "../link.hpp"
#include "../unpinned.hpp"

#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>

namespace bench {

class nanomsg_ng {
public:
    static constexpr const char *name = "nng";

    explicit nanomsg_ng(const link_options &options) : options_(options) {
        static int made = 0;
        address_ =
            "abstract://zbq-bench-" + std::to_string(getpid()) + "-" + std::to_string(++made) + "-";
    }
    void become_sender() {
        const unpinned threads;
        for (unsigned i = 0; i < options_.receivers; ++i) {
            nng_socket socket = NNG_SOCKET_INITIALIZER;
            require(nng_push0_open(&socket));
            require(nng_socket_set_int(socket, NNG_OPT_SENDBUF, most_waiting));
            require(nng_listen(socket, (address_ + std::to_string(i)).c_str(), nullptr, 0));
            sockets_.push_back(socket);
        }
    }
    void become_receiver(unsigned index) {
        const unpinned threads;
        nng_socket socket = NNG_SOCKET_INITIALIZER;
        require(nng_pull0_open(&socket));
        nng_socket_set_int(socket, NNG_OPT_RECVBUF, most_waiting);
        require(nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, 0));
        // The sender may not listen yet: tried again in the background.
        require(nng_dial(socket, (address_ + std::to_string(index)).c_str(), nullptr,
                         NNG_FLAG_NONBLOCK));
        sockets_.push_back(socket);
    }

    void send(std::size_t size, std::uint64_t number) {
        for (const nng_socket socket : sockets_) {
            nng_msg *message = nullptr;
            require(nng_msg_alloc(&message, size));
            fill(static_cast<std::byte *>(nng_msg_body(message)), size, number);
            require(nng_sendmsg(socket, message, 0));
        }
    }
    void flush() {}

    template <typename Visit>
    void receive(const Visit &visit) {
        nng_msg *message = nullptr;
        // Asking again and again keeps its own threads from the processor: it is slower.
        if (nng_recvmsg(sockets_.front(), &message, 0) == 0) {
            visit(std::span<const std::byte>(static_cast<const std::byte *>(nng_msg_body(message)),
                                             nng_msg_len(message)));
            nng_msg_free(message);
        }
    }

private:
    static constexpr int most_waiting = 1024; // messages

    static void require(int result) {
        if (result != 0) {
            throw std::runtime_error(nng_strerror(result));
        }
    }

    link_options options_;
    std::string address_;
    std::vector<nng_socket> sockets_;
};

} // namespace bench
