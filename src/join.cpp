// SPDX-License-Identifier: MIT
//
// The join: both ends of one message. The producer prepares a slot and sends the payload
// with six descriptors; the consumer checks them as a stranger's and answers with an
// announcement on its new side socket.
#include "consumer.hpp"
#include "probes.hpp"
#include "producer.hpp"

#include <cstdlib>
#include <cstring>
#include <new>
#include <sys/socket.h>

// Linux 6.5, newer than Debian 12's headers; include/uapi/asm-generic/socket.h.
#if !defined(SO_PASSPIDFD)
#define SO_PASSPIDFD 76
#endif

namespace zbq::core {

namespace {

// The order of the descriptors in the join message.
enum join_descriptor : unsigned {
    join_control,
    join_ring,
    join_page,
    join_side,
    join_pidfd,
    join_event,
    join_retained, // where something is
};
static_assert(join_event + 1 == join_descriptors);

bool mode_is_valid(zbq_wakeup_mode mode) {
    return mode >= ZBQ_WAKEUP_PUSH && mode <= ZBQ_OBSERVE_PULL;
}

// ---- the producer's end ----

// Many joins that nobody has answered would fill the kernel's account of descriptors in flight, and
// those of one user the place of others. Dear wake-ups are paid for before there are more. Our own
// user's processes can do worse to us.
bool may_join(zbq_producer *prod, uid_t uid) {
    take_back_leftovers(prod);
    return uid == own_user() || (!owes_much(prod, uid) && may_leave_unanswered(prod, uid));
}

// The better to be used, the less: what is to be taken back takes time, and a debt is forgotten.
uint32_t reluctance(const slot &of, uint64_t now) {
    return of.is_leftover() ? 2 : of.wakes.quiet_until > now ? 1 : 0;
}

slot *best_free_slot(const zbq_producer *prod) {
    const uint64_t now = monotonic_ns();
    slot *best = nullptr;
    for (uint32_t i = 0; i < prod->max_consumers; ++i) {
        slot *one = &prod->slots[i];
        if (!one->taken && (best == nullptr || reluctance(*one, now) < reluctance(*best, now))) {
            best = one;
        }
    }
    return best;
}

slot *find_free_slot(zbq_producer *prod) {
    if (prod->active_count == prod->max_consumers) {
        scan(prod); // some may be dead
        if (prod->active_count == prod->max_consumers) {
            evict_unanswered(prod);
        }
    }
    slot *free_slot = best_free_slot(prod);
    while (free_slot != nullptr && free_slot->is_leftover()) {
        prod->leftovers -= take_back_some(free_slot) ? 1 : 0;
    }
    return free_slot;
}

int make_side_channel(unique_fd *ours, unique_fd *theirs, flight *in_flight) {
    int result = socket_pair_seqpacket(ours, theirs);
    if (result < 0) {
        return result;
    }
    result = socket_set(ours->get(), SO_PASSCRED, 1);
    if (result < 0) {
        return result;
    }
    // Before 6.5 there is no such option (ENOPROTOOPT) and the announcement's pid has to do.
    socket_set(ours->get(), SO_PASSPIDFD, 1);
    socket_refuse_descriptors(ours->get());
    socket_lock_filter(theirs->get());
    return in_flight->calibrate(ours->get(), theirs->get());
}

// What the consumer gets beside the ring's own descriptors. Closed here once it is sent.
struct consumer_ends {
    unique_fd page;
    unique_fd pidfd; // of ours: each has its own, since epoll limits what one file is watched by
    unique_fd event;
};

int prepare_slot(const zbq_producer *prod, zbq_wakeup_mode mode, uint64_t start, slot *fresh,
                 consumer_ends *ends) {
    region page;
    int result = region_create("zbq-consumer", metadata_size, false, sharing::writable, &page);
    if (result < 0) {
        return result;
    }
    result = make_side_channel(&fresh->side, &fresh->side_peer, &fresh->in_flight);
    if (result < 0) {
        return result;
    }
    result = pidfd_of(process_id());
    if (result < 0) {
        return result;
    }
    ends->pidfd.reset(result);
    result = event_make(&fresh->event, &ends->event);
    if (result < 0) {
        return result;
    }
    fresh->mode = static_cast<uint32_t>(mode);
    fresh->tail_seen = start;
    fresh->newest_record = prod->newest_seq;
    fresh->joined_at = monotonic_ns();
    fresh->wakes.at = fresh->joined_at;
    fresh->waited = prod->patience;
    fresh->waited.at = fresh->joined_at;
    fresh->page_memory = static_cast<mapping &&>(page.memory);
    ends->page = static_cast<unique_fd &&>(page.fd);
    if (fresh->is_push()) {
        result = send_retained(prod->retained, fresh->side.get(), &fresh->in_flight);
        if (result < 0) {
            return result;
        }
    }
    // Nobody else has the page yet: plain stores.
    fresh->page()->tail_offset = start;
    fresh->page()->join_baseline = monotonic_coarse_ns();
    take_over_debt(prod, fresh);
    return 0;
}

// ---- where it starts ----

bool is_of(const zbq_producer *prod, const uint8_t (&ring_id)[16]) {
    const uint8_t whichever[16] = {};
    return memcmp(ring_id, whichever, sizeof ring_id) == 0 ||
           memcmp(ring_id, prod->control->ring_id, sizeof ring_id) == 0;
}

// What lies between the last mark and the offset is the consumer's to go through.
int start_at_offset(const zbq_producer *prod, const zbq_start &wanted, uint64_t *start) {
    const uint64_t head = prod->window.head;
    const uint64_t floor = prod->history.floor();
    if (!is_of(prod, wanted.ring_id)) {
        *start = floor;
        return 0;
    }
    *start = wanted.offset == head ? head : prod->history.last_until(wanted.offset);
    return wanted.offset <= head ? 0 : -EINVAL;
}

// A logical offset at which a message starts: 0, or -EINVAL.
int find_start(const zbq_producer *prod, const zbq_start &wanted, uint64_t *start) {
    const uint64_t head = prod->window.head;
    switch (wanted.at) {
    case ZBQ_START_HEAD:
        *start = head;
        return 0;
    case ZBQ_START_OLDEST:
        *start = prod->history.floor();
        return 0;
    case ZBQ_START_LAST:
        *start = wanted.offset == 0     ? head
                 : wanted.offset < head ? prod->history.last_until(head - wanted.offset)
                                        : prod->history.floor();
        return 0;
    case ZBQ_START_WITHIN:
        *start = prod->history.first_from(wanted.offset < head ? head - wanted.offset : 0, head);
        return 0;
    case ZBQ_START_OFFSET:
        return start_at_offset(prod, wanted, start);
    default:
        return -EINVAL;
    }
}

zbq_join_payload payload_for(const zbq_producer *prod, const slot &fresh) {
    zbq_join_payload payload = {};
    payload.ring_capacity = prod->capacity;
    payload.join_baseline = fresh.page()->join_baseline;
    payload.initial_head = fresh.tail_seen;
    payload.producer_pid = prod->control->producer_pid;
    payload.slot_index = fresh.index;
    payload.wakeup_mode = fresh.mode;
    payload.protocol_version = ZBQ_PROTOCOL_VERSION;
    payload.seq_floor = fresh.newest_record;
    payload.type_hash = prod->type.hash;
    payload.type_size = prod->type.size;
    payload.type_align = prod->type.align;
    return payload;
}

int send_join(const zbq_producer *prod, int socket, const slot &fresh, const consumer_ends &ends) {
    const zbq_join_payload payload = payload_for(prod, fresh);
    int fds[join_descriptors + 1];
    fds[join_control] = prod->control_region.fd.get();
    fds[join_ring] = prod->ring_region.fd.get();
    fds[join_page] = ends.page.get();
    fds[join_side] = fresh.side_peer.get();
    fds[join_pidfd] = ends.pidfd.get();
    fds[join_event] = ends.event.get();
    fds[join_retained] = prod->retained.memory.fd.get();
    const unsigned count = join_descriptors + (prod->retained.count != 0 ? 1 : 0);
    const ssize_t sent = send_record(socket, &payload, sizeof payload, fds, count);
    if (sent < 0) {
        return static_cast<int>(sent);
    }
    return sent == sizeof payload ? 0 : -EMSGSIZE;
}

void replace(slot *old, slot &&fresh) {
    const zbq_consumer_info last = old->last;
    *old = static_cast<slot &&>(fresh);
    old->last = last;
}

// ---- the consumer's end ----

struct join_message {
    zbq_join_payload payload = {};
    ancillary with;
};

int receive_join(int socket, join_message *message) {
    const ssize_t received =
        receive_record(socket, &message->payload, sizeof message->payload, 0, &message->with);
    if (received == -EAGAIN || received == -EINTR) {
        return ZBQ_ERROR_AGAIN;
    }
    if (received < 0) {
        return error_from(static_cast<int>(received));
    }
    if (received == 0 && message->with.fds.size() == 0) {
        return error_from(-ECONNRESET); // the peer is gone
    }
    if (message->with.truncated && message->with.fds.size() < join_descriptors) {
        return error_from(-EMFILE); // the kernel could install no more here
    }
    const unsigned count = message->with.fds.size();
    const bool whole = received == sizeof message->payload && !message->with.truncated &&
                       (count == join_descriptors || count == join_descriptors + 1);
    return whole ? ZBQ_OK : ZBQ_ERROR_PROTOCOL;
}

bool payload_is_valid(const zbq_join_payload &payload, zbq_wakeup_mode mode) {
    return payload.protocol_version == ZBQ_PROTOCOL_VERSION &&
           payload.wakeup_mode == static_cast<uint32_t>(mode) &&
           capacity_is_valid(payload.ring_capacity, page_size()) &&
           is_aligned(payload.initial_head);
}

bool is_channel(int fd) {
    int type = 0;
    return is_unix_socket(fd, &type) && type == SOCK_SEQPACKET;
}

// No descriptors through it from now on, where the kernel can refuse them; nor before.
bool has_none_waiting(int channel) {
    socket_refuse_descriptors(channel);
    return !has_descriptors_waiting(channel);
}

// Descriptors are for those alone who read with them: one that waits in a socket would be closed
// here, and that can take as long as its sender likes.
bool channels_are_valid(const fd_list &fds, bool push) {
    return is_channel(fds.at(join_side)) && is_channel(fds.at(join_event)) &&
           has_none_waiting(fds.at(join_event)) && (push || has_none_waiting(fds.at(join_side)));
}

int map_retained(int fd, zbq_consumer *cons) {
    uint64_t size = 0;
    const int result = region_size(fd, sharing::read_only, &size);
    const bool is_allowed = size != 0 && size % page_size() == 0 && size <= most_retained_bytes;
    if (result < 0 || !is_allowed) {
        return result < 0 ? result : -EPROTO;
    }
    return region_open(fd, size, false, sharing::read_only, &cons->retained);
}

int map_all(const join_message &message, zbq_consumer *cons) {
    const fd_list &fds = message.with.fds;
    int result = region_open(fds.at(join_control), control_size, false, sharing::read_only,
                             &cons->control_memory);
    if (result < 0) {
        return result;
    }
    result = region_open(fds.at(join_ring), message.payload.ring_capacity, true, sharing::read_only,
                         &cons->ring_memory);
    if (result < 0) {
        return result;
    }
    result =
        region_open(fds.at(join_page), metadata_size, false, sharing::writable, &cons->page_memory);
    return result == 0 && fds.size() > join_retained ? map_retained(fds.at(join_retained), cons)
                                                     : result;
}

void start_at(const zbq_join_payload &payload, zbq_consumer *cons) {
    const auto *ring = static_cast<const char *>(cons->ring_memory.get());
    const uint64_t start = payload.initial_head;
    cons->window = {start,
                    start,
                    start,
                    ring + start % payload.ring_capacity,
                    ring,
                    payload.ring_capacity,
                    static_cast<const zbq_control_region *>(cons->control_memory.get()),
                    static_cast<zbq_consumer_metadata *>(cons->page_memory.get()),
                    cons,
                    0,
                    observes(payload.wakeup_mode) ? 1U : 0U};
    cons->noted_tail = cons->spun_to = start;
    cons->parking.page = cons->page();
    cons->parking.place = parking_of(cons->page(), payload.slot_index);
    cons->baseline = payload.join_baseline;
    cons->record_floor = payload.seq_floor;
    cons->newest_record = cons->retained.get() == nullptr ? payload.seq_floor : 0;
    cons->push = !pulls(payload.wakeup_mode);
    cons->type = {payload.type_hash, payload.type_size, payload.type_align};
}

// A failure is no error: a producer that has ended the stream or evicted us since the
// handshake is told of by the shared memory, which may still hold messages to read.
void announce_to_producer(const zbq_consumer *cons, uint32_t slot_index) {
    const announcement record = {announcement_magic, slot_index, 0};
    send_record(cons->side.get(), &record, sizeof record, nullptr, 0);
}

int adopt(join_message *message, zbq_consumer *cons) {
    fd_list &fds = message->with.fds;
    if (!channels_are_valid(fds, !pulls(message->payload.wakeup_mode)) ||
        !is_pidfd(fds.at(join_pidfd))) {
        return ZBQ_ERROR_PROTOCOL;
    }
    const int mapped = map_all(*message, cons);
    if (mapped < 0) {
        return mapped == -EPROTO ? ZBQ_ERROR_PROTOCOL : error_from(mapped);
    }
    cons->side = fds.take(join_side);
    cons->producer = fds.take(join_pidfd);
    cons->event = fds.take(join_event);
    start_at(message->payload, cons);
    if (cons->control()->ring_capacity != message->payload.ring_capacity) {
        return ZBQ_ERROR_PROTOCOL;
    }
    announce_to_producer(cons, message->payload.slot_index);
    return ZBQ_OK;
}

int join(int socket, zbq_wakeup_mode mode, zbq_consumer *cons) {
    join_message message;
    const int received = receive_join(socket, &message);
    if (received != ZBQ_OK) {
        message.with.fds.close_all_elsewhere();
        return received;
    }
    const int result =
        payload_is_valid(message.payload, mode) ? adopt(&message, cons) : ZBQ_ERROR_PROTOCOL;
    if (result != ZBQ_OK) {
        message.with.fds.close_all_elsewhere();
    }
    return result;
}

} // namespace

} // namespace zbq::core

using namespace zbq::core;

int zbq_producer_handshake(zbq_producer *prod, int conn_fd, zbq_wakeup_mode mode,
                           uint32_t *out_slot_id) {
    return zbq_producer_admit(prod, conn_fd, mode, nullptr, out_slot_id);
}

int zbq_producer_find_start(const zbq_producer *prod, const zbq_start *start,
                            uint64_t *out_offset) {
    if (prod == nullptr || start == nullptr || out_offset == nullptr || !is_owner(prod)) {
        return ZBQ_ERROR_INVALID;
    }
    return find_start(prod, *start, out_offset) < 0 ? ZBQ_ERROR_INVALID : ZBQ_OK;
}

int zbq_producer_admit(zbq_producer *prod, int conn_fd, zbq_wakeup_mode mode,
                       const zbq_start *start, uint32_t *out_slot_id) {
    int type = 0;
    if (prod == nullptr || out_slot_id == nullptr || !mode_is_valid(mode) ||
        !is_unix_socket(conn_fd, &type) || !is_owner(prod)) {
        return ZBQ_ERROR_INVALID;
    }
    uint64_t offset = prod->window.head;
    if (start != nullptr && find_start(prod, *start, &offset) < 0) {
        return ZBQ_ERROR_INVALID;
    }
    const uid_t uid = peer_user(conn_fd);
    const bool may = may_join(prod, uid) && (pulls(static_cast<uint32_t>(mode)) ||
                                             may_be_in_flight(prod, prod->retained.fds.size()));
    slot *free_slot = may ? find_free_slot(prod) : nullptr;
    if (free_slot == nullptr) {
        return ZBQ_ERROR_NOENT;
    }
    slot fresh;
    fresh.index = free_slot->index;
    fresh.uid = uid;
    consumer_ends ends;
    int result = prepare_slot(prod, mode, offset, &fresh, &ends);
    if (result == 0) {
        result = watch_consumer(prod, &fresh);
    }
    if (result == 0) {
        result = send_join(prod, conn_fd, fresh, ends);
    }
    if (result < 0) {
        unwatch_consumer(prod, &fresh); // a forked child may keep the sockets open
        return error_from(result);
    }
    replace(free_slot, static_cast<slot &&>(fresh));
    activate(prod, free_slot);
    if (!free_slot->observes() && offset < prod->slowest_tail) {
        prod->slowest_tail = offset;
    }
    ZBQ_PROBE(join, prod->name, free_slot->index, free_slot->mode, offset);
    tell(prod);
    *out_slot_id = free_slot->index;
    return ZBQ_OK;
}

int zbq_consumer_join(int rendezvous_fd, zbq_wakeup_mode mode, zbq_consumer **out) {
    if (out == nullptr) {
        return ZBQ_ERROR_INVALID;
    }
    *out = nullptr;
    int type = 0;
    if (!mode_is_valid(mode) || !is_unix_socket(rendezvous_fd, &type)) {
        return ZBQ_ERROR_INVALID;
    }
    void *memory = calloc(1, sizeof(zbq_consumer));
    if (memory == nullptr) {
        return ZBQ_ERROR_NOMEM;
    }
    auto *cons = new (memory) zbq_consumer;
    const int born = cons->birth.make();
    const int result = born < 0 ? error_from(born) : join(rendezvous_fd, mode, cons);
    if (result != ZBQ_OK) {
        zbq_consumer_destroy(cons);
        return result;
    }
    *out = cons;
    return ZBQ_OK;
}
