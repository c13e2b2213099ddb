// SPDX-License-Identifier: MIT
//
// A plug-in with a ring of its own, compiled with the headers of one version: see
// versions_test.cpp.
#include <zbq.hpp>

#include <sys/socket.h>

namespace {

bool carries(std::string_view text) {
    int ends[2] = {};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return false;
    }
    const zbq::unique_fd near(ends[0]);
    const zbq::unique_fd far(ends[1]);
    zbq::producer ring({.capacity = 1U << 16U});
    ring.admit(near.get());
    zbq::consumer reader(far.get());
    for (int i = 0; i < 3; ++i) {
        zbq::reservation room = ring.try_reserve(text.size());
        std::ranges::copy(zbq::bytes_of(text), room.payload().begin());
        const zbq::status published = room.commit();
        const zbq::message got = reader.try_next();
        if (published != zbq::status::ok || !got || zbq::text_of(got.payload()) != text ||
            !got.intact()) {
            return false;
        }
    }
    std::size_t visited = 0;
    for (const zbq::message_view &message : reader.take_batch()) {
        visited += message.payload().size();
    }
    return visited == 0;
}

} // namespace

// Its name is PLUGIN, which the build defines.
extern "C" [[gnu::visibility("default")]] bool PLUGIN();
extern "C" bool PLUGIN() {
    return carries("hello");
}
