// SPDX-License-Identifier: MIT
//
// Activated: systemd has the socket, and starts this once somebody comes to read. In a unit it is
// ListenSequentialPacket=/run/app/numbers; by hand:
//
//   systemd-socket-activate --seqpacket -l ./numbers example_activated
//   zbq sub ./numbers
#include "child.hpp"

#include <zbq.hpp>

#include <string>
#include <tuple>

namespace {

int run() {
    zbq::listener door = zbq::listener::from_systemd();
    zbq::producer ring;
    ring.attach(door);
    std::ignore = ring.serve_until(zbq::never, [&] { return ring.statistics().consumers != 0; });
    for (int number = 1; number <= 1000; ++number) {
        const std::string line = std::to_string(number) + "\n";
        if (ring.publish(zbq::bytes_of(line), zbq::never) != zbq::status::ok) {
            return 1;
        }
    }
    return 0;
} // the end of the stream

} // namespace

int main() {
    return guarded(run);
}
