// SPDX-License-Identifier: MIT
#include "attack.hpp"

#include <unistd.h>

namespace hostile {

// Reads nothing and collects nothing.
void stops(intruder &in, unsigned /*amount*/) {
    in.join();
    for (;;) {
        in.count_step();
        usleep(1000);
    }
}

void stalls(intruder &in, unsigned /*amount*/) {
    for (;;) {
        in.join();
        in.count_step();
        while (!in.is_evicted()) {
            usleep(1000);
        }
    }
}

// Releases 16 bytes each time that it would be evicted soon.
void trickles(intruder &in, unsigned /*amount*/) {
    for (;;) {
        in.stay();
        while (in.behind() < in.payload.ring_capacity / 2 && !in.is_evicted()) {
            usleep(100); // nobody waits yet
        }
        in.count_step();
        usleep(in.part_of_timeout(0.8));
        in.set_tail(in.tail() + ZBQ_MSG_ALIGN);
    }
}

void reads_slowly(intruder &in, unsigned bytes_each_ms) {
    for (;;) {
        in.stay();
        in.set_tail(in.tail() + std::min<std::uint64_t>(bytes_each_ms, in.behind()));
        in.collect();
        in.count_step();
        usleep(1000);
    }
}

// Reads every message, and the records as late as it may.
void collects_slowly(intruder &in, unsigned /*amount*/) {
    for (;;) {
        in.stay();
        in.count_step();
        for (useconds_t left = in.part_of_timeout(0.8); left > 0;) {
            const useconds_t nap = std::min<useconds_t>(left, 1000);
            usleep(nap);
            left -= nap;
            in.set_tail(in.head());
        }
        in.collect_one();
    }
}

// Reads every message and collects no descriptor. Its sockets stay open, as long as it may have
// more.
void hoards_descriptors(intruder &in, unsigned /*amount*/) {
    constexpr std::size_t many = 800;
    std::vector<unique_fd> kept;
    for (;;) {
        in.join();
        in.count_step();
        while (!in.is_evicted()) {
            in.set_tail(in.head());
            usleep(1000);
        }
        kept.push_back(std::move(in.fds[side_place]));
        kept.push_back(std::move(in.fds[event_place]));
        if (kept.size() == many) {
            kept.clear();
        }
    }
}

} // namespace hostile
