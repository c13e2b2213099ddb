// SPDX-License-Identifier: MIT
#include "rendezvous.hpp"

#include <stdexcept>
#include <sys/socket.h>
#include <utility>

namespace faults {

using test::unique_fd;

listener listen_somewhere() {
    listener made = {unique_fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)),
                     {}};
    made.where.name.sun_family = AF_UNIX;
    made.where.length = sizeof made.where.name;
    auto *name = reinterpret_cast<sockaddr *>(&made.where.name);
    // A name of the family alone: the kernel finds one that is free.
    if (bind(made.socket.get(), name, sizeof made.where.name.sun_family) != 0 ||
        getsockname(made.socket.get(), name, &made.where.length) != 0 ||
        listen(made.socket.get(), 64) != 0) {
        throw std::runtime_error("no rendezvous");
    }
    return made;
}

unique_fd connect_to(const address &where, const hello &what) {
    unique_fd made(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    const auto *name = reinterpret_cast<const sockaddr *>(&where.name);
    if (connect(made.get(), name, where.length) != 0 ||
        send(made.get(), &what, sizeof what, MSG_NOSIGNAL) != sizeof what) {
        made.reset();
    }
    return made;
}

} // namespace faults
