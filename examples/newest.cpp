// SPDX-License-Identifier: MIT
//
// Newest: positions come faster than anybody can draw them. Who draws observes, and sees at each
// look the one that is newest then; nobody waits for it.
//
//   example_newest
#include "child.hpp"

#include <zbq.hpp>

#include <cstdint>
#include <cstdio>

namespace {

struct position {
    std::uint64_t number;
    double x;
    double y;
};
using positions = zbq::channel<position, "position/1">;

constexpr std::uint64_t moves = 500'000;

// Each is later than the one before, and the last one is seen.
int draw(int socket) {
    positions::consumer reader(zbq::consumer(socket, zbq::wakeup::push, zbq::flow::newest));
    std::uint64_t drawn = 0;
    std::uint64_t next = 0;
    while (reader.wait(zbq::never) == zbq::status::ok) {
        const auto newest = reader.try_next();
        const position seen = *newest;
        if (!newest.intact()) { // overwritten while it was copied
            continue;
        }
        if (seen.number < next) {
            return 1;
        }
        next = seen.number + 1;
        ++drawn;
        usleep(1000); // a picture of it
    }
    std::printf("drew %llu of %llu positions, and the last of them\n",
                static_cast<unsigned long long>(drawn), static_cast<unsigned long long>(moves));
    return next == moves ? 0 : 1;
}

// Whether there was room at once for each.
bool publish_all(positions::producer &source) {
    bool had_room = true;
    for (std::uint64_t number = 0; number < moves; ++number) {
        const auto along = static_cast<double>(number);
        had_room = source.try_send({number, along, -along}) == zbq::status::ok && had_room;
    }
    return had_room;
}

int run() {
    const child display(draw);
    bool had_room = false;
    {
        positions::producer source;
        source.ring().admit(display.socket(), zbq::wakeup::push, zbq::flow::newest);
        had_room = publish_all(source);
    } // the end of the stream
    return display.wait() == 0 && had_room ? 0 : 1;
}

} // namespace

int main() {
    return guarded(run);
}
