// SPDX-License-Identifier: MIT
#include "intruder.hpp"

#include "event.hpp"
#include "scm.hpp"
#include "side.hpp"
#include "support/process.hpp"
#include "zbq/greeting.hpp"
#include "zbq/place.hpp"

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

namespace hostile {

namespace {

// So that a stream that has ended leaves nobody in a call for ever.
void set_patience(int socket) {
    const timeval second = {1, 0};
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
}

void take_all(int socket) {
    char bytes[64];
    while (recv(socket, bytes, sizeof bytes, MSG_DONTWAIT) > 0) { // descriptors are dropped
    }
}

zbq_parking *own_place(zbq_consumer_metadata *page, std::uint32_t slot) {
    return &page->parking[slot % ZBQ_PARKING_PLACES];
}

} // namespace

unique_fd intruder::dial() const {
    const zbq::detail::place there =
        zbq::detail::place_of(where_.name, zbq::detail::directory_use::look);
    unique_fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    CHILD_CHECK(socket);
    set_patience(socket.get());
    while (connect(socket.get(), there.get(), there.size) != 0) {
        if (errno == ECONNREFUSED) { // the stream has ended: whoever started this will kill it
            pause();
        }
        usleep(100);
    }
    return socket;
}

bool intruder::try_join() {
    const unique_fd socket = dial();
    zbq::detail::greeting answer = {};
    if (!zbq::detail::send_packet(
            socket.get(), zbq::detail::make_hello(observes ? ZBQ_OBSERVE_PUSH : ZBQ_WAKEUP_PUSH)) ||
        recv(socket.get(), answer.data(), answer.size(), 0) != 8 ||
        zbq::detail::answer_in(answer) != zbq::detail::answer::welcome) {
        return false;
    }
    zbq::core::ancillary with;
    if (zbq::core::receive_record(socket.get(), &payload, sizeof payload, 0, &with) !=
            sizeof payload ||
        with.fds.size() != fds.size()) {
        return false;
    }
    for (unsigned i = 0; i < fds.size(); ++i) {
        fds[i] = with.fds.take(i);
    }
    return true;
}

void intruder::map() {
    control = static_cast<const zbq_control_region *>(
        mmap(nullptr, sizeof *control, PROT_READ, MAP_SHARED, control_fd(), 0));
    page = static_cast<zbq_consumer_metadata *>(
        mmap(nullptr, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, page_fd(), 0));
    ring_ = mmap(nullptr, payload.ring_capacity, PROT_READ, MAP_SHARED, ring_fd(), 0);
    CHILD_CHECK(control != MAP_FAILED && page != MAP_FAILED && ring_ != MAP_FAILED);
    word_ = &own_place(page, payload.slot_index)->parked;
    bell_ = &control->broadcast_futex;
}

void intruder::unmap() {
    if (page != nullptr && !keeps_mappings) {
        munmap(const_cast<zbq_control_region *>(control), sizeof *control);
        munmap(page, sizeof *page);
        munmap(ring_, payload.ring_capacity);
    }
    page = nullptr;
}

void intruder::join(bool announces) {
    leave();
    while (!try_join()) {
        usleep(100);
    }
    map();
    if (announces) {
        announce();
    }
    tail_ = payload.initial_head;
}

void intruder::stay() {
    if (page == nullptr || is_evicted()) {
        join();
    }
}

void intruder::leave() {
    unmap();
    for (unique_fd &fd : fds) {
        fd.reset();
    }
}

bool intruder::is_evicted() const {
    pollfd channel = {event(), 0, 0};
    return poll(&channel, 1, 0) > 0 && (channel.revents & POLLHUP) != 0;
}

void intruder::keep_up() {
    set_tail(head());
    collect();
}

void intruder::collect() const {
    take_all(side());
    take_all(event());
}

void intruder::collect_one() const {
    char bytes[64];
    (void)recv(side(), bytes, sizeof bytes, MSG_DONTWAIT);
}

void intruder::announce() const {
    const zbq::core::announcement record = {zbq::core::announcement_magic, payload.slot_index, 0};
    (void)send(side(), &record, sizeof record, MSG_DONTWAIT | MSG_NOSIGNAL);
}

std::uint64_t intruder::head() const {
    return __atomic_load_n(&control->producer_head, __ATOMIC_ACQUIRE);
}

void intruder::set_tail(std::uint64_t tail) {
    const std::uint64_t before = tail_;
    set_tail_silently(tail);
    const std::uint64_t awaited = __atomic_load_n(&control->awaited_tail, __ATOMIC_SEQ_CST);
    if (awaited > before && awaited <= tail) {
        ring();
    }
}

void intruder::set_tail_silently(std::uint64_t tail) {
    __atomic_store_n(&page->tail_offset, tail, __ATOMIC_SEQ_CST);
    tail_ = tail;
}

void intruder::ring() const {
    zbq::core::event_ring(event());
}

useconds_t intruder::part_of_timeout(double part) const {
    return static_cast<useconds_t>(static_cast<double>(control->stall_timeout_ns) / 1000 * part);
}

const std::uint32_t *intruder::word_of_place(std::size_t place) const {
    const auto page_of_word = reinterpret_cast<std::uintptr_t>(word()) & ~std::uintptr_t{4095};
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the page that the word is in
    const auto *there = reinterpret_cast<const zbq_consumer_metadata *>(page_of_word);
    return &there->parking[place % ZBQ_PARKING_PLACES].parked;
}

} // namespace hostile
