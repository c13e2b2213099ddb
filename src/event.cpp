// SPDX-License-Identifier: MIT
#include "event.hpp"

#include "scm.hpp"

#include <sys/socket.h>

namespace zbq::core {

int event_make(unique_fd *producer_end, unique_fd *consumer_end) {
    const int result = socket_pair_seqpacket(producer_end, consumer_end);
    if (result < 0) {
        return result;
    }
    socket_refuse_descriptors(producer_end->get());
    socket_lock_filter(consumer_end->get());
    return event_ring(producer_end->get()) ? 0 : -ENOMEM;
}

bool event_ring(int end) {
    const char bell = 1; // of a byte: an empty record would read as the end
    const ssize_t sent = send_record(end, &bell, sizeof bell, nullptr, 0);
    return sent != -ENOBUFS && sent != -ENOMEM;
}

event_state event_take(int end) {
    char bell = 0;
    ancillary with; // a hostile peer may attach descriptors: closed here
    const ssize_t received = receive_record(end, &bell, sizeof bell, MSG_DONTWAIT, &with);
    if (received > 0) {
        return event_state::rung;
    }
    // Another error (memory) tells nothing of the other side.
    return received == 0 || received == -ECONNRESET ? event_state::closed : event_state::quiet;
}

} // namespace zbq::core
