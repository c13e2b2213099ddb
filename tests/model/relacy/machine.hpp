// SPDX-License-Identifier: MIT
//
// The kernel and the machine, as far as the library asks for them: in the place of src/os.cpp,
// src/region.cpp and src/scm.cpp. What a lock of the kernel orders, a lock of the model orders;
// nothing else here orders anything.
//
// Time passes with each look at the clock, and with naps: short sleeps end, and it is as late then
// as it has to be. A longer sleep ends by time only where the scenario says so. So a lost wake-up
// is a deadlock, which the model checker tells.
#pragma once

// The processor's own clock: it is the machine's here.
#define ticks_now ticks_of_the_processor
#include "os.hpp"
#undef ticks_now
namespace zbq::core {
uint64_t ticks_now();
}

#include "fd_list.hpp"
#include "layout.hpp"
#include "region.hpp"
#include "scm.hpp"
#include "wake.hpp"

namespace model {

struct sleepers {};

class machine {
public:
    machine() {
        current_ = this;
        for (futex_queue &each : futex_queues_) {
            each.sleepers.init(false, RL_INFO);
        }
        poll_queue_.init(false, RL_INFO);
    }
    ~machine() {
        for (futex_queue &each : futex_queues_) {
            each.sleepers.deinit(RL_INFO);
        }
        poll_queue_.deinit(RL_INFO);
    }
    static machine &current() { return *current_; }

    static constexpr unsigned most_records = 8;

    bool slices_end = false;                   // long sleeps may time out
    unsigned records_in_flight = most_records; // in one direction of a socket pair

    // ---- memory ----

    int make_memory(std::size_t size, bool mirrored, void **base) {
        *base = memory_.allocate(mirrored ? 2 * size : size);
        if (mirrored) {
            memory_.mirror(*base, size);
        }
        return add(object_kind::memory, *base);
    }
    [[nodiscard]] void *memory_of(int fd) const { return objects_[fd].base; }

    // ---- sockets ----
    //
    // The queue has a lock. What a sender may have under way is counted apart from it, as the
    // kernel does: the receiver frees a record after it has let go of the lock (sock_wfree).

    int make_pair(int *first, int *second) {
        *first = add(object_kind::end);
        *second = add(object_kind::end);
        objects_[*first].peer = *second;
        objects_[*second].peer = *first;
        return 0;
    }

    ssize_t send(int end, const void *bytes, std::size_t size, const int *fds, unsigned count) {
        queue &to = queue_of(objects_[end].peer);
        if (to.charged.load(rl::mo_relaxed, RL_INFO) >= records_in_flight) {
            return -EAGAIN;
        }
        to.charged.fetch_add(1, rl::mo_relaxed, RL_INFO);
        to.lock.lock(RL_INFO);
        RL_VERIFY(to.count < most_records);
        record &last = to.records[to.count++];
        last.size = size;
        memcpy(last.bytes, bytes, size);
        last.fd_count = count;
        for (unsigned i = 0; i < count; ++i) {
            last.fds[i] = fds[i];
            ++objects_[fds[i]].owners;
        }
        to.lock.unlock(RL_INFO);
        notify_pollers();
        return static_cast<ssize_t>(size);
    }

    ssize_t receive(int end, void *bytes, std::size_t room, zbq::core::ancillary *with) {
        queue &from = queue_of(end);
        from.lock.lock(RL_INFO);
        ssize_t result = from.peer_closed ? 0 : -EAGAIN;
        const bool found = from.count != 0;
        if (found) {
            const record &first = from.records[0];
            result = static_cast<ssize_t>(first.size < room ? first.size : room);
            memcpy(bytes, first.bytes, static_cast<std::size_t>(result));
            for (unsigned i = 0; i < first.fd_count; ++i) {
                with->fds.add(first.fds[i]);
            }
            --from.count;
            memmove(&from.records[0], &from.records[1], from.count * sizeof(record));
        }
        from.lock.unlock(RL_INFO);
        if (found) {
            const std::uint32_t left = from.charged.fetch_sub(1, rl::mo_release, RL_INFO) - 1;
            tell_of_room(objects_[end].peer, left);
        }
        return result;
    }

    [[nodiscard]] std::uint32_t unread_by_peer(int end) {
        return queue_of(objects_[end].peer).charged.load(rl::mo_relaxed, RL_INFO);
    }

    // Descriptors have the number of their object, in every process.
    void close(int fd) {
        if (--objects_[fd].owners == 0 && objects_[fd].kind == object_kind::end) {
            queue &other = queue_of(objects_[fd].peer);
            rl::atomic_thread_fence(rl::mo_seq_cst, RL_INFO); // for who sees it in a poll
            other.lock.lock(RL_INFO);
            other.peer_closed = true;
            other.lock.unlock(RL_INFO);
            notify_pollers();
        }
    }

    // ---- waiting ----

    int make_timer() { return add(object_kind::timer); }
    int make_epoll() { return add(object_kind::epoll); }
    int make_process() { return add(object_kind::process); }

    void set_timer(int timer, std::uint64_t due) {
        objects_[timer].due = due;
        notify_pollers();
    }
    void watch(int epoll, int fd, std::uint32_t events, std::uint32_t tag) {
        objects_[fd].watched_by = epoll;
        objects_[fd].events = events;
        objects_[fd].tag = tag;
        objects_[fd].told = (events & EPOLLOUT) != 0 && has_room_again(unread_by_peer(fd));
    }
    void unwatch(int fd) { objects_[fd].watched_by = 0; }

    int ready(int epoll, std::uint32_t *tags, unsigned most) {
        rl::ctx().sched();
        unsigned count = 0;
        for (int fd = 1; fd < object_count_ && count < most; ++fd) {
            if (objects_[fd].watched_by == epoll && fires(fd)) {
                tags[count++] = objects_[fd].tag;
                objects_[fd].told = false; // EPOLLET
            }
        }
        return static_cast<int>(count);
    }

    bool is_ready(int fd) {
        const object &what = objects_[fd];
        switch (what.kind) {
        case object_kind::end:
            return queue_of(fd).count != 0 || queue_of(fd).peer_closed;
        case object_kind::timer:
            return what.due != 0 && what.due <= now_;
        case object_kind::process:
            return what.dead;
        default:
            return false;
        }
    }
    [[nodiscard]] bool has_hung_up(int fd) {
        return objects_[fd].kind == object_kind::end && queue_of(fd).peer_closed;
    }

    // What an application does with the descriptor that the library gave it. A timer that is set
    // for longer than `nap` does not go off.
    void poll(int epoll, std::uint64_t nap) {
        rl::ctx().sched();
        poll_lock_.lock(RL_INFO);
        while (!anything_fires(epoll)) {
            const std::uint64_t due = next_timer(epoll);
            const bool naps = due != 0 && due <= now_ + nap;
            const bool passed = poll_queue_.wait(poll_lock_, naps || slices_end, RL_INFO) ==
                                rl::sema_wakeup_reason_timeout;
            if (passed && !naps) {
                break;
            }
            if (passed) {
                pass_time(due);
            }
        }
        poll_lock_.unlock(RL_INFO);
    }

    // The kernel compares under the lock that a waker takes too.
    int futex_wait(const std::uint32_t *word, std::uint32_t expected, std::uint64_t timeout_ns) {
        const bool naps = timeout_ns <= longest_nap;
        const std::uint64_t end = now_ + timeout_ns;
        futex_lock_.lock(RL_INFO);
        int result = -EAGAIN;
        if (load(word, __ATOMIC_RELAXED, MODEL_HERE) == expected) {
            result = queue_for(word).wait(futex_lock_, naps || slices_end, RL_INFO) ==
                             rl::sema_wakeup_reason_timeout
                         ? -ETIMEDOUT
                         : 0;
        }
        if (result == -ETIMEDOUT && naps) {
            pass_time(end);
        }
        futex_lock_.unlock(RL_INFO);
        return result;
    }
    void futex_wake_one(const std::uint32_t *word) {
        futex_lock_.lock(RL_INFO);
        queue_for(word).notify_one(RL_INFO);
        futex_lock_.unlock(RL_INFO);
    }

    std::uint64_t now() { return ++now_; }

    // The producer's process ends: what it wrote is written.
    void kill_producer() {
        rl::atomic_thread_fence(rl::mo_seq_cst, RL_INFO);
        for (object &each : objects_) {
            each.dead |= each.kind == object_kind::process;
        }
        notify_pollers();
    }
    // Who was seen to have ended, or to have closed, has done before what it did before.
    void after_end(int fd) {
        if (objects_[fd].dead || has_hung_up(fd)) {
            rl::atomic_thread_fence(rl::mo_seq_cst, RL_INFO);
        }
    }

    // Naps that the library takes are far below, what is to outlast them above.
    static constexpr std::uint64_t longest_nap = ZBQ_WAIT_SLICE_NS / 2;

    shared_memory &memory() { return memory_; }

private:
    enum class object_kind { none, memory, end, timer, epoll, process };
    struct object {
        object_kind kind = object_kind::none;
        void *base = nullptr;
        int peer = 0;
        int owners = 1;
        int watched_by = 0;
        std::uint32_t events = 0;
        std::uint32_t tag = 0;
        bool told = false; // that there is room to send: once for each time
        std::uint64_t due = 0;
        bool dead = false;
    };
    static constexpr int most_objects = 40;

    struct record {
        std::size_t size = 0;
        char bytes[sizeof(zbq_join_payload)] = {};
        unsigned fd_count = 0;
        int fds[8] = {};
    };
    struct queue {
        rl::mutex lock;
        rl::atomic<std::uint32_t> charged{0}; // to the sender: records until they are freed
        unsigned count = 0;
        bool peer_closed = false;
        record records[most_records];
    };

    int add(object_kind kind, void *base = nullptr) {
        RL_VERIFY(object_count_ < most_objects);
        objects_[object_count_].kind = kind;
        objects_[object_count_].base = base;
        if (kind == object_kind::end) {
            RL_VERIFY(queue_count_ < most_queues);
            queue_index_[object_count_] = queue_count_++;
        }
        return object_count_++;
    }
    queue &queue_of(int end) { return queues_[queue_index_[end]]; }

    // As unix_writable in net/unix/af_unix.c.
    [[nodiscard]] bool has_room_again(std::uint32_t charged) const {
        return charged * 4 <= records_in_flight;
    }
    void tell_of_room(int sender, std::uint32_t charged) {
        if ((objects_[sender].events & EPOLLOUT) != 0 && has_room_again(charged)) {
            objects_[sender].told = true;
            notify_pollers();
        }
    }
    bool fires(int fd) {
        return objects_[fd].told || has_hung_up(fd) ||
               ((objects_[fd].events & EPOLLIN) != 0 && is_ready(fd));
    }
    bool anything_fires(int epoll) {
        for (int fd = 1; fd < object_count_; ++fd) {
            if (objects_[fd].watched_by == epoll && fires(fd)) {
                return true;
            }
        }
        return false;
    }
    [[nodiscard]] std::uint64_t next_timer(int epoll) const {
        for (const object &each : objects_) {
            if (each.watched_by == epoll && each.kind == object_kind::timer) {
                return each.due;
            }
        }
        return 0;
    }

    // So late it is at least, and what was stored before has arrived.
    void pass_time(std::uint64_t until) {
        now_ = until > now_ ? until : now_;
        memory_.drain_store_buffers();
    }

    struct futex_queue {
        const std::uint32_t *word = nullptr;
        rl::condvar<model::sleepers> sleepers;
    };
    rl::condvar<sleepers> &queue_for(const std::uint32_t *word) {
        futex_queue *found = futex_queues_;
        while (found->word != nullptr && found->word != word) {
            ++found;
        }
        RL_VERIFY(found < futex_queues_ + most_futexes);
        found->word = word;
        return found->sleepers;
    }

    void notify_pollers() {
        poll_lock_.lock(RL_INFO);
        poll_queue_.notify_all(RL_INFO);
        poll_lock_.unlock(RL_INFO);
    }

    static inline machine *current_;
    static constexpr unsigned most_queues = 20;
    static constexpr unsigned most_futexes = 4;

    shared_memory memory_;
    object objects_[most_objects];
    int object_count_ = 1; // 0 is no descriptor of the model
    queue queues_[most_queues];
    unsigned queue_index_[most_objects] = {};
    unsigned queue_count_ = 0;
    rl::mutex futex_lock_;
    futex_queue futex_queues_[most_futexes];
    rl::mutex poll_lock_;
    rl::condvar<sleepers> poll_queue_;
    std::uint64_t now_ = 1000;
};

// The words of a page that have an atomic, from when it is shared.
inline void declare_page(const zbq_join_payload &join, const int *fds) {
    machine &kernel = machine::current();
    shared_memory &memory = kernel.memory();
    auto *page = static_cast<zbq_consumer_metadata *>(kernel.memory_of(fds[2]));
    rl::preemption_disabler alone(rl::ctx());
    memory.declare(&page->tail_offset, sizeof page->tail_offset);
    memory.declare(&page->eviction, sizeof page->eviction);
    memory.declare(&page->quiet_until, sizeof page->quiet_until);
    memory.declare(&zbq::core::parking_of(page, join.slot_index)->parked, sizeof(std::uint32_t));
}

} // namespace model

namespace zbq::core {

void unique_fd::reset(int fd) {
    if (fd_ > 0) {
        model::machine::current().close(fd_);
    }
    fd_ = fd;
}

int error_from(int) {
    return ZBQ_ERROR_INVALID;
}

uint64_t page_size() {
    return capacity_unit;
}
uint64_t physical_memory() {
    return uint64_t{1} << 40;
}
pid_t process_id() {
    return 1;
}
uint64_t monotonic_ns() {
    return model::machine::current().now();
}
uint64_t monotonic_coarse_ns() {
    return 0;
}
uint64_t thread_time_ns() {
    return model::machine::current().now();
}
uint64_t ticks_now() {
    return model::machine::current().now();
}
uint64_t ticks_in(uint64_t nanoseconds) {
    return nanoseconds;
}
uint64_t descriptor_limit() {
    return uint64_t{1} << 20U;
}
int random_bytes(void *, size_t) {
    return 0;
}
int duplicate(int) {
    return -EMFILE; // nothing is retained
}
uid_t own_user() {
    return 0;
}

uid_t peer_user(int) {
    return 0;
}

int birthmark::make() {
    return 0;
}
bool birthmark::is_own() const {
    return true;
}

void mapping::reset() {
    base_ = nullptr;
}
void mapping::swap(mapping &other) {
    std::swap(base_, other.base_);
    std::swap(size_, other.size_);
}

int region_create(const char *, uint64_t size, bool mirrored, sharing, region *out) {
    void *base = nullptr;
    out->fd.reset(model::machine::current().make_memory(size, mirrored, &base));
    out->memory = mapping(base, size);
    return 0;
}
int region_size(int, sharing, uint64_t *) {
    return -EBADF;
}
int region_open(int fd, uint64_t size, bool, sharing, mapping *out) {
    *out = mapping(model::machine::current().memory_of(fd), size);
    return 0;
}

bool is_unix_socket(int, int *type) {
    *type = SOCK_SEQPACKET;
    return true;
}
int socket_pair_seqpacket(unique_fd *first, unique_fd *second) {
    int ends[2] = {};
    const int result = model::machine::current().make_pair(&ends[0], &ends[1]);
    first->reset(ends[0]);
    second->reset(ends[1]);
    return result;
}
int socket_set(int, int, int) {
    return 0;
}
void socket_refuse_descriptors(int) {}
void socket_lock_filter(int) {}
int socket_send_room(int, uint32_t *bytes) {
    *bytes = model::machine::current().records_in_flight;
    return 0;
}
int socket_unread_by_peer(int fd, uint32_t *bytes) {
    *bytes = model::machine::current().unread_by_peer(fd);
    return 0;
}
bool descriptor_is_open(int) {
    return true;
}

ssize_t send_record(int socket, const void *bytes, size_t size, const int *fds, unsigned fd_count) {
    if (size == sizeof(zbq_join_payload)) {
        model::declare_page(*static_cast<const zbq_join_payload *>(bytes), fds);
    }
    return model::machine::current().send(socket, bytes, size, fds, fd_count);
}
ssize_t receive_record(int socket, void *bytes, size_t size, int, ancillary *with) {
    return model::machine::current().receive(socket, bytes, size, with);
}
bool discard_record(int socket) {
    char bytes[sizeof(zbq_join_payload)] = {};
    ancillary with;
    return model::machine::current().receive(socket, bytes, sizeof bytes, &with) > 0;
}
bool has_descriptors_waiting(int) {
    return false;
}
void close_elsewhere(int *fds, unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
        unique_fd(fds[i]).reset();
        fds[i] = -1;
    }
}
void fd_list::close_all_elsewhere() {
    close_all();
}

int epoll_make(unique_fd *out) {
    out->reset(model::machine::current().make_epoll());
    return 0;
}
int epoll_add(int epoll, int fd, uint32_t events, uint32_t tag) {
    model::machine::current().watch(epoll, fd, events, tag);
    return 0;
}
void epoll_change(int epoll, int fd, uint32_t events, uint32_t tag) {
    model::machine::current().watch(epoll, fd, events, tag);
}
void epoll_remove(int, int fd) {
    model::machine::current().unwatch(fd);
}
int epoll_ready(int epoll, uint32_t (&tags)[events_at_once]) {
    return model::machine::current().ready(epoll, tags, events_at_once);
}
int timer_make(unique_fd *out) {
    out->reset(model::machine::current().make_timer());
    return 0;
}
void timer_set(int timer, uint64_t due) {
    model::machine::current().set_timer(timer, due);
}

int pidfd_of(pid_t) {
    return model::machine::current().make_process();
}
bool is_pidfd(int) {
    return true;
}
int poll_now(pollfd *fds, nfds_t count) {
    rl::ctx().sched();
    model::machine &kernel = model::machine::current();
    int ready = 0;
    for (nfds_t i = 0; i < count; ++i) {
        fds[i].revents = 0;
        if (fds[i].fd > 0 && kernel.is_ready(fds[i].fd)) {
            fds[i].revents = fds[i].events;
        }
        if (fds[i].fd > 0 && kernel.has_hung_up(fds[i].fd)) {
            fds[i].revents |= POLLHUP;
        }
        kernel.after_end(fds[i].fd > 0 ? fds[i].fd : 0);
        ready += fds[i].revents != 0 ? 1 : 0;
    }
    return ready;
}

int futex_wait(const uint32_t *word, uint32_t expected, uint64_t timeout_ns) {
    return model::machine::current().futex_wait(word, expected, timeout_ns);
}
int futex_wake_one(const uint32_t *word) {
    model::machine::current().futex_wake_one(word);
    return 0;
}

} // namespace zbq::core
