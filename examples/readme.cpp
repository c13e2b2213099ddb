// SPDX-License-Identifier: MIT
//
// The C++ example of README.md, whole: a producer, and a consumer in a process of its own.
//
//   c++ -std=c++20 -Iinclude examples/readme.cpp -lzbq
#include <zbq.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <sys/wait.h>
#include <tuple>
#include <unistd.h>

namespace {

// README: begin
void produce() {
    zbq::listener door("greetings"); // a socket that only this user can reach
    zbq::producer ring;              // a megabyte, for 16 consumers
    ring.attach(door);               // newcomers come in whenever the ring waits
    std::ignore = ring.serve_until(zbq::never, [&] { return ring.statistics().consumers != 0; });
    zbq::reservation room = ring.reserve(5, zbq::never);
    std::ranges::copy(zbq::bytes_of("hello"), room.payload().begin()); // into the ring itself
    std::ignore = room.commit();
} // the end of the stream

void consume() {
    zbq::consumer reader = zbq::connect("greetings", zbq::never);
    while (reader.wait(zbq::never) == zbq::status::ok) {
        const zbq::message message = reader.try_next();
        const std::string text(zbq::text_of(message.payload())); // from where it lies
        if (message.intact()) {                                  // and that was whole
            std::cout << text << std::endl;
        }
    }
}
// README: end

} // namespace

int main() {
    const pid_t child = fork();
    try {
        child == 0 ? consume() : produce();
    } catch (const std::exception &failure) {
        std::fprintf(stderr, "%s\n", failure.what());
        return 1;
    }
    int status = 0;
    return child != 0 && (waitpid(child, &status, 0) != child || status != 0) ? 1 : 0;
}
