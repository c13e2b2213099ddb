// SPDX-License-Identifier: MIT
#include "side.hpp"

#include <sys/socket.h>

namespace zbq::core {

int flight::calibrate(int producer_end, int consumer_end) {
    const side_record probe = {};
    ssize_t moved = send_record(producer_end, &probe, sizeof probe, nullptr, 0);
    if (moved < 0) {
        return static_cast<int>(moved);
    }
    const int result = socket_unread_by_peer(producer_end, &record_weight_);
    if (result < 0) {
        return result;
    }
    side_record back = {};
    ancillary with;
    moved = receive_record(consumer_end, &back, sizeof back, MSG_DONTWAIT, &with);
    if (moved < 0) {
        return static_cast<int>(moved);
    }
    uint32_t room = 0;
    const int known = socket_send_room(producer_end, &room);
    if (known < 0) {
        return known;
    }
    most_records_ = record_weight_ != 0 ? room / record_weight_ : 0;
    return most_records_ != 0 ? 0 : -ENOTSUP;
}

void flight::sent(uint8_t fd_count) {
    records_[sent_++ % ZBQ_MAX_FD_IN_FLIGHT] = {fd_count, false};
    fds_ += fd_count;
}

void flight::forget_oldest() {
    const in_flight_record &oldest = records_[collected_++ % ZBQ_MAX_FD_IN_FLIGHT];
    fds_ -= oldest.fd_count;
    orphaned_fds_ -= oldest.orphaned ? oldest.fd_count : 0;
    collected_fds_ += oldest.fd_count;
}

int flight::refresh(int producer_end) {
    uint32_t weight = 0;
    const int result = socket_unread_by_peer(producer_end, &weight);
    if (result < 0) {
        return result;
    }
    const uint64_t waiting = (uint64_t{weight} + record_weight_ - 1) / record_weight_;
    while (sent_ - collected_ > waiting) {
        forget_oldest();
    }
    return 0;
}

bool flight::has_room(uint8_t fd_count) const {
    return fds_ + fd_count <= ZBQ_MAX_FD_IN_FLIGHT && sent_ - collected_ < most_records_;
}

void flight::orphan_last() {
    if (sent_ == collected_) { // it was received
        return;
    }
    in_flight_record &last = records_[(sent_ - 1) % ZBQ_MAX_FD_IN_FLIGHT];
    orphaned_fds_ += last.fd_count;
    last.orphaned = true;
}

void flight::oldest_taken_back() {
    if (sent_ != collected_) {
        forget_oldest();
    }
}

void flight::all_taken_back() {
    while (sent_ != collected_) {
        forget_oldest();
    }
}

int side_send(int producer_end, flight *in_flight, uint64_t seq_id, const int *fds,
              uint8_t fd_count) {
    const side_record record = {seq_id, fd_count, 0};
    const ssize_t sent = send_record(producer_end, &record, sizeof record, fds, fd_count);
    if (sent < 0) {
        return static_cast<int>(sent);
    }
    in_flight->sent(fd_count);
    return 0;
}

bool side_take_back(int consumer_end, flight *in_flight) {
    for (uint32_t i = 0; i < most_taken_back; ++i) {
        if (!discard_record(consumer_end)) {
            in_flight->all_taken_back();
            return true;
        }
        in_flight->oldest_taken_back();
    }
    return false;
}

int side_receive(int consumer_end, uint64_t *seq_id, fd_list *fds) {
    side_record record = {};
    ancillary with;
    ssize_t received = receive_record(consumer_end, &record, sizeof record, MSG_DONTWAIT, &with);
    if (received == -ECONNRESET) {
        // The producer closed its end with our announcement unread. Told once, before what is
        // still queued (unix_release_sock and sock_error in the kernel).
        received = receive_record(consumer_end, &record, sizeof record, MSG_DONTWAIT, &with);
    }
    if (received < 0) {
        return received == -ECONNRESET ? -EPIPE : static_cast<int>(received);
    }
    if (received == 0 && with.fds.size() == 0) {
        return -EPIPE;
    }
    if (received != sizeof record || with.truncated || record.fd_count == 0 ||
        record.fd_count != with.fds.size()) {
        return -EPROTO;
    }
    *seq_id = record.seq_id;
    fds->take_all(with.fds);
    return 0;
}

} // namespace zbq::core
