// SPDX-License-Identifier: MIT
#include "support/remote.hpp"

#include "producer.hpp"

#include <csignal>
#include <gtest/gtest.h>
#include <sched.h>

namespace test {

namespace {

int run(int socket, zbq_wakeup_mode mode, const std::function<int(zbq_consumer *)> &body) {
    zbq_consumer *cons = nullptr;
    CHILD_CHECK(zbq_consumer_join(socket, mode, &cons) == ZBQ_OK);
    const int status = body(cons);
    zbq_consumer_destroy(cons);
    return status;
}

} // namespace

remote_consumer::remote_consumer(const producer_ptr &prod, zbq_wakeup_mode mode,
                                 const std::function<int(zbq_consumer *)> &body) {
    socket_pair sockets = make_sockets();
    EXPECT_EQ(zbq_producer_handshake(prod.get(), sockets.producer_end.get(), mode, &slot_), ZBQ_OK);
    process_ = std::make_unique<child>([&] {
        zbq_producer_destroy(prod.get());
        sockets.producer_end.reset();
        return run(sockets.consumer_end.get(), mode, body);
    });
}

bool is_parked(zbq_producer *prod, std::uint32_t slot) {
    return prod->slots[slot].taken && zbq::core::parked_seen(prod->slots[slot].parking()) != 0;
}

void wait_until_parked(zbq_producer *prod, std::uint32_t slot) {
    while (!is_parked(prod, slot)) {
        sched_yield();
    }
}

void stop_parked(zbq_producer *prod, remote_consumer *consumer) {
    wait_until_parked(prod, consumer->slot());
    consumer->process().stop();
    while (!is_parked(prod, consumer->slot())) { // stopped between two sleeps
        consumer->process().signal(SIGCONT);
        wait_until_parked(prod, consumer->slot());
        consumer->process().stop();
    }
    forget_wakes(prod, consumer->slot());
}

int wait_and_read(zbq_consumer *cons, std::string *payload) {
    while (true) {
        const std::uint32_t token = zbq_consumer_get_futex_token(cons);
        const int result = read_one(cons, payload);
        if (result != ZBQ_ERROR_AGAIN) {
            return result;
        }
        const int woken = zbq_consumer_wait_broadcast(cons, token);
        if (woken != ZBQ_OK && woken != ZBQ_ERROR_AGAIN) {
            return woken;
        }
    }
}

} // namespace test
