// SPDX-License-Identifier: MIT
#include "web.hpp"

#include "errors.hpp"
#include "signals.hpp"

#include <zbq.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <string_view>
#include <sys/socket.h>

namespace zbq::tool {

namespace {

constexpr unsigned idle_time = 5; // seconds in which one who asks must move
constexpr unsigned most_connections = 64;

using page_maker = std::function<std::string()>;

// ---- where to listen ----

unique_fd listen_at(const addrinfo &address) {
    unique_fd socket(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int yes = 1;
    if (socket && setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
        bind(socket.get(), address.ai_addr, address.ai_addrlen) == 0 &&
        listen(socket.get(), SOMAXCONN) == 0) {
        return socket;
    }
    return {};
}

unique_fd listen_at(const std::string &host, uint16_t port) {
    addrinfo wanted = {};
    wanted.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    wanted.ai_socktype = SOCK_STREAM;
    addrinfo *found = nullptr;
    const std::string what = fmt::format("listening at {}:{}", host, port);
    const int failed = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &found);
    if (failed != 0) {
        throw failure(fmt::format("{}: {}", what, gai_strerror(failed)));
    }
    const std::unique_ptr<addrinfo, void (*)(addrinfo *)> all(found, freeaddrinfo);
    for (const addrinfo *each = found; each != nullptr; each = each->ai_next) {
        if (unique_fd socket = listen_at(*each)) {
            return socket;
        }
    }
    throw system_failure(what);
}

int port_of(int socket) {
    sockaddr_storage address = {};
    socklen_t size = sizeof address;
    std::array<char, NI_MAXSERV> port = {};
    if (getsockname(socket, reinterpret_cast<sockaddr *>(&address), &size) != 0 ||
        getnameinfo(reinterpret_cast<sockaddr *>(&address), size, nullptr, 0, port.data(),
                    port.size(), NI_NUMERICSERV) != 0) {
        throw system_failure("the port");
    }
    return std::stoi(port.data());
}

// ---- an answer ----

MHD_Result answer(MHD_Connection *connection, unsigned status, std::string text, const char *type) {
    MHD_Response *response =
        MHD_create_response_from_buffer(text.size(), text.data(), MHD_RESPMEM_MUST_COPY);
    if (response == nullptr) {
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    const MHD_Result queued = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return queued;
}

// What whoever calls is C, and knows no exceptions.
MHD_Result handle(void *make, MHD_Connection *connection, const char *url, const char *method,
                  const char * /*version*/, const char * /*upload*/, size_t * /*upload_size*/,
                  void ** /*of_this_request*/) {
    constexpr const char *plain = "text/plain; charset=utf-8";
    try {
        if (method != std::string_view(MHD_HTTP_METHOD_GET) &&
            method != std::string_view(MHD_HTTP_METHOD_HEAD)) {
            return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET alone\n", plain);
        }
        if (url != std::string_view("/metrics")) {
            return answer(connection, MHD_HTTP_NOT_FOUND, "there is /metrics\n", plain);
        }
        return answer(connection, MHD_HTTP_OK, (*static_cast<const page_maker *>(make))(),
                      "text/plain; version=0.0.4; charset=utf-8");
    } catch (const std::exception &failed) {
        return answer(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, failed.what(), plain);
    }
}

} // namespace

void serve_metrics(const std::string &host, uint16_t port, const page_maker &make,
                   const std::function<void(int port)> &listens) {
    unique_fd socket = listen_at(host, port);
    const int bound = port_of(socket.get());
    // The library wants a closure without const, and only hands it back.
    void *const closure = const_cast<page_maker *>(&make);
    const std::unique_ptr<MHD_Daemon, void (*)(MHD_Daemon *)> server(
        MHD_start_daemon(MHD_USE_EPOLL, 0, nullptr, nullptr, handle, closure,
                         MHD_OPTION_LISTEN_SOCKET, socket.get(), MHD_OPTION_CONNECTION_TIMEOUT,
                         idle_time, MHD_OPTION_CONNECTION_LIMIT, most_connections, MHD_OPTION_END),
        MHD_stop_daemon);
    if (!server) {
        throw failure(fmt::format("listening at {}:{}: the HTTP library refuses", host, bound));
    }
    std::ignore = socket.release(); // it is the server's
    listens(bound);
    const int events = MHD_get_daemon_info(server.get(), MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    while (stop_signal() == 0) {
        unsigned long long left = 0;
        const bool has_limit = MHD_get_timeout(server.get(), &left) == MHD_YES;
        constexpr auto longest = 1000ULL * idle_time;
        pollfd polled = {events, POLLIN, 0};
        poll(&polled, 1, has_limit ? static_cast<int>(std::min(left, longest)) : -1);
        MHD_run(server.get());
    }
}

} // namespace zbq::tool
