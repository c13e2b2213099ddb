// SPDX-License-Identifier: MIT
//
// Each class and each struct of options in use, for the compiler's warnings.
#include <zbq.hpp>
#include <zbq/inline.h>

#include <cstdio>

namespace {

struct quote {
    std::uint64_t price = 0;
};
using quotes = zbq::channel<quote, "quote/1">;

void produce() {
    zbq::producer ring({.capacity = 1U << 16U});
    zbq::listener door("name", {.users = {1000}});
    zbq::listener patient("name", {.max_strangers = 3});
    zbq::listener asking("name", {.accept = [](const zbq::peer &who, zbq::terms & /*given*/) {
                             return who.pid != 0;
                         }});
    door.serve(ring, [](const zbq::newcomer &who) { std::puts(to_string(who.result)); });
    zbq::reservation room = ring.reserve(5, zbq::never);
    if (room && room.commit() != zbq::status::ok) {
        return;
    }
    zbq::batch several = ring.try_batch(zbq::producer::size_of(5));
    if (several.add(5).data() != nullptr) {
        std::ignore = several.commit();
    }
    std::ignore = ring.publish(zbq::bytes_of("x"), std::span<const int>(), zbq::now);
}

void consume() {
    zbq::consumer reader = zbq::connect("name", zbq::never, {.mode = zbq::wakeup::pull});
    zbq::consumer other = zbq::connect("name", zbq::now, {.wait_for_producer = false});
    while (reader.wait(zbq::in(std::chrono::seconds(1))) == zbq::status::ok) {
        for (const zbq::message_view &message : reader.take_batch()) {
            std::printf("%zu\n", message.payload().size());
        }
        const zbq::message one = other.try_next();
        std::puts(one.intact() ? "whole" : to_string(other.eviction()));
    }
}

void trade() {
    quotes::producer out({.max_consumers = 2});
    quotes::consumer in(zbq::connect("quotes", zbq::never, {.producers = {0}}));
    std::ignore = out.send({.price = 1}, zbq::never);
    const auto got = in.try_next();
    std::printf("%d\n", static_cast<int>(got->price) + static_cast<int>((*got).price));
}

} // namespace

int main() {
    try {
        produce();
        consume();
        trade();
    } catch (const zbq::error &failure) {
        return failure.code() == zbq::status::io ? failure.os_error() : 1;
    }
    const zbq::peer who = {.pid = 1};
    const zbq::newcomer came = {.slot = 1};
    return who.pid + static_cast<int>(came.slot);
}
