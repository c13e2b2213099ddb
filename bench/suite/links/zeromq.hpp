// SPDX-License-Identifier: MIT
//
// ZeroMQ: PUB and SUB over a Unix socket, made to wait instead of dropping.
#pragma once

#include "../link.hpp"
#include "../unpinned.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <zmq.h>

namespace bench {

class zeromq {
public:
    static constexpr const char *name = "ZeroMQ";

    explicit zeromq(const link_options &options) : options_(options) {
        static int made = 0;
        address_ = "ipc://@zbq-bench-" + std::to_string(getpid()) + "-" + std::to_string(++made);
    }
    void become_sender() {
        open(ZMQ_XPUB);
        const int on = 1;
        require(zmq_setsockopt(socket_.get(), ZMQ_XPUB_NODROP, &on, sizeof on));
        require(zmq_setsockopt(socket_.get(), ZMQ_XPUB_VERBOSE, &on, sizeof on));
        require(zmq_bind(socket_.get(), address_.c_str()));
        for (unsigned i = 0; i < options_.receivers; ++i) {
            char subscription = 0;
            require(zmq_recv(socket_.get(), &subscription, 1, 0));
        }
    }
    void become_receiver(unsigned /*index*/) {
        open(ZMQ_SUB);
        require(zmq_setsockopt(socket_.get(), ZMQ_SUBSCRIBE, "", 0));
        require(zmq_connect(socket_.get(), address_.c_str()));
    }

    void send(std::size_t size, std::uint64_t number) {
        zmq_msg_t message;
        require(zmq_msg_init_size(&message, size));
        fill(static_cast<std::byte *>(zmq_msg_data(&message)), size, number);
        require(zmq_msg_send(&message, socket_.get(), 0));
    }
    void flush() {}

    template <typename Visit>
    void receive(const Visit &visit) {
        zmq_msg_t message;
        zmq_msg_init(&message);
        const int size =
            zmq_msg_recv(&message, socket_.get(), options_.sleeping ? 0 : ZMQ_DONTWAIT);
        if (size >= 0) {
            visit(std::span<const std::byte>(static_cast<const std::byte *>(zmq_msg_data(&message)),
                                             static_cast<std::size_t>(size)));
        }
        zmq_msg_close(&message);
    }

private:
    static void require(int result) {
        if (result < 0) {
            throw std::runtime_error(zmq_strerror(zmq_errno()));
        }
    }
    void open(int type) {
        const unpinned threads;
        context_.reset(zmq_ctx_new());
        socket_.reset(zmq_socket(context_.get(), type));
        if (!socket_) {
            require(-1);
        }
        const int none = 0;
        zmq_setsockopt(socket_.get(), ZMQ_LINGER, &none, sizeof none);
    }
    struct end_context {
        void operator()(void *context) const { zmq_ctx_term(context); }
    };
    struct close_socket {
        void operator()(void *socket) const { zmq_close(socket); }
    };

    link_options options_;
    std::string address_;
    std::unique_ptr<void, end_context> context_;
    std::unique_ptr<void, close_socket> socket_;
};

} // namespace bench
