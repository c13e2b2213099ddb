// SPDX-License-Identifier: MIT
#include "event.hpp"

#include "scm.hpp"

#include <sys/socket.h>

namespace zbq::core {

int event_make(unique_fd *producer_end, unique_fd *consumer_end) {
    const int result = socket_pair_seqpacket(producer_end, consumer_end);
    if (result == 0) {
        socket_refuse_descriptors(producer_end->get());
        event_ring(producer_end->get());
    }
    return result;
}

void event_ring(int end) {
    const char bell = 1; // of a byte: an empty record would read as the end
    send_record(end, &bell, sizeof bell, nullptr, 0);
}

event_state event_take(int end) {
    char bell = 0;
    ancillary with; // a hostile peer may attach descriptors: closed here
    const ssize_t received = receive_record(end, &bell, sizeof bell, MSG_DONTWAIT, &with);
    if (received == -EAGAIN || received == -EINTR) {
        return event_state::quiet;
    }
    return received > 0 ? event_state::rung : event_state::closed;
}

} // namespace zbq::core
