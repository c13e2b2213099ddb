// SPDX-License-Identifier: MIT
//
// A connection to a NATS server, for one writer or reader: requests to JetStream, and a mailbox
// for what comes by itself. The client library calls back on threads of its own, and may do so for
// a while after a connection was given up: it knows the mailbox by a number alone.
#pragma once

#include "bridge/carrier.hpp"

#include <zbq.hpp>

#include <deque>
#include <memory>
#include <mutex>
#include <nats/nats.h>
#include <nlohmann/json.hpp>
#include <string>

namespace zbq::bridge::nats {

struct delete_message {
    void operator()(natsMsg *message) const { natsMsg_Destroy(message); }
};
using message_ptr = std::unique_ptr<natsMsg, delete_message>;

// What has come, and whether the connection is gone.
class mailbox {
public:
    mailbox();
    void put(message_ptr what);
    void close(const std::string &why);
    // The next one; empty where there is none. @throws trouble once all were taken of a connection
    // that is gone
    message_ptr take();
    [[nodiscard]] int event_fd() const { return event_.get(); }

private:
    void ring() const;
    unique_fd event_;
    std::mutex mutex_; // of what follows
    std::deque<message_ptr> arrived_;
    std::string closed_;
};

class link {
public:
    explicit link(const server_options &where); // connects. @throws trouble
    link(const link &) = delete;
    link &operator=(const link &) = delete;
    link(link &&) = delete;
    link &operator=(link &&) = delete;
    ~link();

    [[nodiscard]] natsConnection *get() const { return connection_; }
    [[nodiscard]] mailbox &box() const { return *box_; }
    // A subject below which all comes to the mailbox.
    [[nodiscard]] const std::string &inbox() const { return inbox_; }
    [[nodiscard]] std::size_t largest() const; // bytes of a message, with its head

    // What JetStream answers; where that is an error, it is in there. @throws trouble
    nlohmann::json ask(const std::string &subject, const nlohmann::json &what = nullptr);

private:
    void connect(const server_options &where);
    void subscribe();
    void end();

    std::shared_ptr<mailbox> box_;
    std::uintptr_t number_; // of the mailbox
    natsOptions *options_ = nullptr;
    natsConnection *connection_ = nullptr;
    natsSubscription *subscription_ = nullptr;
    std::string inbox_;
};

// Which error this is, by JetStream's own numbers; 0: none.
[[nodiscard]] unsigned error_of(const nlohmann::json &reply);
[[nodiscard]] std::string text_of(const nlohmann::json &reply);

// The stream as it is, its messages' subject checked. @throws trouble
stream_state find_stream(link *to, const std::string &name);
stream_state find_or_make_stream(link *to, const stream_options &what);
[[nodiscard]] std::string subject_of(const std::string &stream);

void require(natsStatus result, const std::string &tried);

} // namespace zbq::bridge::nats
