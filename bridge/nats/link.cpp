// SPDX-License-Identifier: MIT
#include "link.hpp"

#include <algorithm>
#include <fmt/core.h>
#include <map>
#include <sys/eventfd.h>
#include <unistd.h>

namespace zbq::bridge::nats {

namespace {

using nlohmann::json;

constexpr int64_t write_time = 2000; // milliseconds that a write may take, and between pings
constexpr unsigned stream_not_found = 10059;

bool is_final(natsStatus result) {
    return result == NATS_CONNECTION_AUTH_FAILED || result == NATS_NOT_PERMITTED ||
           result == NATS_SSL_ERROR || result == NATS_INVALID_ARG;
}

// Mailboxes by their numbers. A number is never used again.
class mailboxes {
public:
    std::uintptr_t add(const std::shared_ptr<mailbox> &box) {
        const std::lock_guard lock(mutex_);
        known_[++last_] = box;
        return last_;
    }
    void remove(std::uintptr_t number) {
        const std::lock_guard lock(mutex_);
        known_.erase(number);
    }
    std::shared_ptr<mailbox> find(const void *closure) {
        const std::lock_guard lock(mutex_);
        const auto found = known_.find(reinterpret_cast<std::uintptr_t>(closure));
        return found != known_.end() ? found->second.lock() : nullptr;
    }

private:
    std::mutex mutex_;
    std::map<std::uintptr_t, std::weak_ptr<mailbox>> known_;
    std::uintptr_t last_ = 0;
};

// It outlives the library's threads.
mailboxes &all_mailboxes() {
    static auto *const all = new mailboxes;
    return *all;
}

void on_message(natsConnection * /*connection*/, natsSubscription * /*subscription*/,
                natsMsg *message, void *closure) {
    message_ptr got(message);
    if (const std::shared_ptr<mailbox> box = all_mailboxes().find(closure)) {
        box->put(std::move(got));
    }
}

void on_closed(natsConnection *connection, void *closure) {
    const char *why = nullptr;
    natsConnection_GetLastError(connection, &why);
    if (const std::shared_ptr<mailbox> box = all_mailboxes().find(closure)) {
        box->close(why != nullptr && *why != '\0' ? why : "the connection was closed");
    }
}

void *closure_of(std::uintptr_t number) {
    return reinterpret_cast<void *>(number); // NOLINT(performance-no-int-to-ptr)
}

// The library prints errors of subscriptions otherwise.
void on_error(natsConnection * /*connection*/, natsSubscription * /*subscription*/,
              natsStatus /*why*/, void * /*closure*/) {}

} // namespace

void require(natsStatus result, const std::string &tried) {
    if (result != NATS_OK) {
        natsStatus last = NATS_OK;
        const char *more = nats_GetLastError(&last);
        const bool has_more = last == result && more != nullptr && *more != '\0';
        throw trouble(fmt::format("{}: {}", tried, has_more ? more : natsStatus_GetText(result)),
                      is_final(result));
    }
}

// ---- the mailbox ----

mailbox::mailbox() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!event_) {
        throw trouble("making an event descriptor failed", true);
    }
}

void mailbox::ring() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(event_.get(), &one, sizeof one);
}

void mailbox::put(message_ptr what) {
    const std::lock_guard lock(mutex_);
    arrived_.push_back(std::move(what));
    if (arrived_.size() == 1) {
        ring();
    }
}

void mailbox::close(const std::string &why) {
    const std::lock_guard lock(mutex_);
    closed_ = why;
    ring();
}

message_ptr mailbox::take() {
    const std::lock_guard lock(mutex_);
    if (!arrived_.empty()) {
        message_ptr first = std::move(arrived_.front());
        arrived_.pop_front();
        return first;
    }
    if (!closed_.empty()) {
        throw trouble(closed_);
    }
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(event_.get(), &count, sizeof count);
    return nullptr;
}

// ---- the connection ----

link::link(const server_options &where)
    : box_(std::make_shared<mailbox>()), number_(all_mailboxes().add(box_)) {
    try {
        connect(where);
        subscribe();
    } catch (...) {
        end();
        throw;
    }
}

link::~link() {
    end();
}

void link::end() {
    all_mailboxes().remove(number_);
    natsSubscription_Destroy(subscription_);
    natsConnection_Destroy(connection_);
    natsOptions_Destroy(options_);
}

void link::connect(const server_options &where) {
    const auto must = [](natsStatus result) { require(result, "the connection's options"); };
    std::vector<const char *> urls;
    urls.reserve(where.urls.size());
    std::string all;
    for (const std::string &each : where.urls) {
        urls.push_back(each.c_str());
        all += (all.empty() ? "" : ", ") + each.substr(each.rfind('@') + 1); // no password
    }
    must(natsOptions_Create(&options_));
    must(natsOptions_SetServers(options_, urls.data(), static_cast<int>(urls.size())));
    must(natsOptions_SetTimeout(options_, answer_time.count()));
    must(natsOptions_SetWriteDeadline(options_, write_time));
    must(natsOptions_SetPingInterval(options_, write_time));
    must(natsOptions_SetMaxPingsOut(options_, 2));
    must(natsOptions_SetAllowReconnect(options_, false)); // who resumes makes a new one
    must(natsOptions_SetSendAsap(options_, true));        // what is sent is packed already
    must(natsOptions_SetErrorHandler(options_, on_error, nullptr));
    must(natsOptions_SetName(options_, where.name.c_str()));
    if (!where.credentials.empty()) {
        must(natsOptions_SetUserCredentialsFromFiles(options_, where.credentials.c_str(), nullptr));
    }
    if (!where.user.empty()) {
        must(natsOptions_SetUserInfo(options_, where.user.c_str(), where.password.c_str()));
    }
    if (!where.token.empty()) {
        must(natsOptions_SetToken(options_, where.token.c_str()));
    }
    if (!where.ca.empty()) {
        require(natsOptions_LoadCATrustedCertificates(options_, where.ca.c_str()), where.ca);
    }
    if (!where.certificate.empty()) {
        require(natsOptions_LoadCertificatesChain(options_, where.certificate.c_str(),
                                                  where.key.c_str()),
                where.certificate);
    }
    if (!where.host.empty()) {
        must(natsOptions_SetExpectedHostname(options_, where.host.c_str()));
    }
    must(natsOptions_SetClosedCB(options_, on_closed, closure_of(number_)));
    require(natsConnection_Connect(&connection_, options_), "connecting to " + all);
    if (natsConnection_HasHeaderSupport(connection_) != NATS_OK) {
        throw trouble(all + ": a server that knows no headers", true);
    }
}

void link::subscribe() {
    natsInbox *inbox = nullptr;
    require(natsInbox_Create(&inbox), "making an inbox");
    inbox_ = inbox;
    natsInbox_Destroy(inbox);
    require(natsConnection_Subscribe(&subscription_, connection_, (inbox_ + ".*").c_str(),
                                     on_message, closure_of(number_)),
            "subscribing");
    natsSubscription_SetPendingLimits(subscription_, -1, -1);
}

std::size_t link::largest() const {
    return static_cast<std::size_t>(natsConnection_GetMaxPayload(connection_));
}

json link::ask(const std::string &subject, const json &what) {
    const std::string body = what.is_null() ? "" : what.dump();
    natsMsg *got = nullptr;
    const natsStatus result =
        natsConnection_Request(&got, connection_, subject.c_str(), body.data(),
                               static_cast<int>(body.size()), answer_time.count());
    const message_ptr reply(got);
    if (result == NATS_NO_RESPONDERS) {
        throw trouble("the server has no JetStream for this account, or none yet");
    }
    if (result == NATS_TIMEOUT) {
        throw trouble(fmt::format("no answer from the server within {} s to {}",
                                  answer_time.count() / 1000, subject));
    }
    require(result, subject);
    const char *text = natsMsg_GetData(reply.get());
    json found = json::parse(text, text + natsMsg_GetDataLength(reply.get()), nullptr, false);
    if (!found.is_object()) {
        throw trouble("an answer of the server that is not JSON to " + subject);
    }
    return found;
}

unsigned error_of(const json &reply) {
    const auto found = reply.find("error");
    return found != reply.end() && found->is_object() ? found->value("err_code", 1U) : 0;
}

std::string text_of(const json &reply) {
    const auto found = reply.find("error");
    return found != reply.end() && found->is_object() ? found->value("description", "an error")
                                                      : "";
}

// ---- streams ----

std::string subject_of(const std::string &stream) {
    return "zbq." + stream;
}

namespace {

json ask_for_stream(link *to, const std::string &name) {
    return to->ask("$JS.API.STREAM.INFO." + name);
}

void check_stream(const std::string &name, const json &config) {
    const auto refuse = [&name](const std::string &why) {
        throw trouble(fmt::format("the stream {} is there, but {}", name, why), true);
    };
    const json subjects = config.value("subjects", json::array());
    if (subjects.size() != 1 || subjects[0] != subject_of(name)) {
        refuse(fmt::format("its subjects are {}, not \"{}\" alone", subjects.dump(),
                           subject_of(name)));
    }
    if (config.value("retention", "limits") != "limits") {
        refuse("it removes what was read (retention \"" + config.value("retention", "") + "\")");
    }
    if (config.value("no_ack", false)) {
        refuse("it acknowledges nothing (no_ack)");
    }
    if (config.value("max_msgs_per_subject", std::int64_t{-1}) > 0) {
        refuse("it has a limit of messages for a subject (max_msgs_per_subject)");
    }
}

// The head of a message: its id, and where it goes.
constexpr std::size_t head_size = 512;

stream_state state_in(const link &from, const std::string &name, const json &info) {
    try {
        const json &config = info.at("config");
        check_stream(name, config);
        stream_state found;
        found.identity = info.at("created").get<std::string>();
        found.first = info.at("state").at("first_seq").get<std::uint64_t>();
        found.last = info.at("state").at("last_seq").get<std::uint64_t>();
        found.largest = from.largest();
        const auto most = config.value("max_msg_size", std::int64_t{-1});
        if (most > 0) {
            found.largest = std::min(found.largest, static_cast<std::size_t>(most));
        }
        if (found.largest < 2 * head_size + 512) {
            throw trouble(fmt::format("the stream {} takes messages of {} bytes, which is too few",
                                      name, found.largest),
                          true);
        }
        found.largest -= head_size;
        return found;
    } catch (const json::exception &) {
        throw trouble("an answer of the server about the stream that is malformed");
    }
}

} // namespace

stream_state find_stream(link *to, const std::string &name) {
    const json info = ask_for_stream(to, name);
    if (const unsigned error = error_of(info); error != 0) {
        throw trouble(fmt::format("the stream {}: {}", name, text_of(info)));
    }
    return state_in(*to, name, info);
}

stream_state find_or_make_stream(link *to, const stream_options &what) {
    json info = ask_for_stream(to, what.name);
    if (error_of(info) == stream_not_found && what.create) {
        json wanted = {{"name", what.name},
                       {"subjects", {subject_of(what.name)}},
                       {"storage", what.in_memory ? "memory" : "file"},
                       {"retention", "limits"},
                       {"discard", "old"},
                       {"num_replicas", what.replicas}};
        if (what.max_bytes != 0) {
            wanted["max_bytes"] = what.max_bytes;
        }
        if (what.max_age != 0) {
            wanted["max_age"] = what.max_age;
        }
        const json made = to->ask("$JS.API.STREAM.CREATE." + what.name, wanted);
        if (error_of(made) != 0) {
            throw trouble(fmt::format("making the stream {}: {}", what.name, text_of(made)));
        }
        info = ask_for_stream(to, what.name);
    }
    if (error_of(info) != 0) {
        throw trouble(fmt::format("the stream {}: {}", what.name, text_of(info)));
    }
    return state_in(*to, what.name, info);
}

} // namespace zbq::bridge::nats
