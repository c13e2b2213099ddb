// SPDX-License-Identifier: MIT
#include "interposer.hpp"

#include "support/leaks.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sockios.h>
#include <map>
#include <poll.h>
#include <set>
#include <stdexcept>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <utility>

namespace inject {

namespace {

// ---- what is to fail ----

struct chosen_call {
    std::string name;
    unsigned nth = 0;
    int failure = 0;
};

struct state {
    bool active = false;
    chosen_call chosen;
    bool failed = false;
    std::vector<std::string> calls;
    std::map<std::string, int> standing;
    // Mappings whose unmapping was made to fail: for when the operation is over.
    std::vector<std::pair<void *, std::size_t>> kept;
};

// ---- what is held ----

struct ledger {
    std::set<void *> allocations;
    std::map<char *, std::size_t> mappings;
    unsigned misuses = 0;
};

state now;      // NOLINT(cppcoreguidelines-avoid-non-const-global-variables): one program, one
ledger account; // libc

bool is_chosen(const std::string &name) {
    if (name != now.chosen.name || now.chosen.nth == 0) {
        return false;
    }
    return --now.chosen.nth == 0;
}

// How this call is to fail; 0: it is made.
int failure_of(const std::string &name) {
    const auto standing = now.standing.find(name);
    if (standing != now.standing.end()) {
        return standing->second;
    }
    if (!now.active) {
        return 0;
    }
    now.calls.push_back(name);
    if (!is_chosen(name)) {
        return 0;
    }
    now.failed = true;
    return now.chosen.failure;
}

template <typename Result>
Result failed(int error, Result result) {
    errno = error;
    return result;
}

template <typename Result, typename Call>
Result made_or_failed(const std::string &name, Result failure, const Call &call) {
    const int error = failure_of(name);
    return error != 0 ? failed(error, failure) : call();
}

// ---- accounts ----

bool lies_in_a_mapping(const char *base, std::size_t size) {
    auto next = account.mappings.upper_bound(const_cast<char *>(base));
    if (next == account.mappings.begin()) {
        return false;
    }
    --next;
    return base + size <= next->first + next->second;
}

void note_mapping(char *base, std::size_t size, int flags) {
    if ((flags & MAP_FIXED) == 0) {
        account.mappings[base] = size;
    } else if (!lies_in_a_mapping(base, size)) {
        ++account.misuses;
    }
}

void note_unmapping(char *base, std::size_t size) {
    const auto found = account.mappings.find(base);
    if (found == account.mappings.end() || found->second != size) {
        ++account.misuses;
    } else {
        account.mappings.erase(found);
    }
}

// ---- names ----

std::string with(const char *function, const char *what) {
    return std::string(function) + "/" + what;
}

std::string with(const char *function, long number) {
    return with(function, std::to_string(number).c_str());
}

std::string fcntl_name(int command) {
    switch (command) {
    case F_ADD_SEALS:
        return "fcntl/F_ADD_SEALS";
    case F_GET_SEALS:
        return "fcntl/F_GET_SEALS";
    case F_GETFD:
        return "fcntl/F_GETFD";
    case F_DUPFD_CLOEXEC:
        return "fcntl/F_DUPFD_CLOEXEC";
    default:
        return with("fcntl", command);
    }
}

std::string option_name(const char *function, int option) {
    constexpr int passpidfd = 76;  // SO_PASSPIDFD, Linux 6.5
    constexpr int passrights = 83; // SO_PASSRIGHTS, Linux 6.16
    switch (option) {
    case SO_DOMAIN:
        return with(function, "SO_DOMAIN");
    case SO_TYPE:
        return with(function, "SO_TYPE");
    case SO_PASSCRED:
        return with(function, "SO_PASSCRED");
    case SO_PEERCRED:
        return with(function, "SO_PEERCRED");
    case SO_SNDBUF:
        return with(function, "SO_SNDBUF");
    case SO_LOCK_FILTER:
        return with(function, "SO_LOCK_FILTER");
    case passpidfd:
        return with(function, "SO_PASSPIDFD");
    case passrights:
        return with(function, "SO_PASSRIGHTS");
    default:
        return with(function, option);
    }
}

std::string epoll_name(int operation) {
    switch (operation) {
    case EPOLL_CTL_ADD:
        return "epoll_ctl/ADD";
    case EPOLL_CTL_MOD:
        return "epoll_ctl/MOD";
    case EPOLL_CTL_DEL:
        return "epoll_ctl/DEL";
    default:
        return with("epoll_ctl", operation);
    }
}

// By their sizes, and whether descriptors may come with them: join message, record on a side
// socket, bell. A byte with descriptors is a goodbye to them, and one received without room for any
// a look at a record, or an end of it.
std::string packet_name(const char *function, const msghdr *message) {
    switch (message->msg_iov[0].iov_len) {
    case 64:
        return with(function, "join");
    case 16:
        return with(function, message->msg_control != nullptr ? "record" : "plain");
    case 1:
        return with(function, "bell");
    default:
        return with(function, static_cast<long>(message->msg_iov[0].iov_len));
    }
}

std::string sent_name(const msghdr *message) {
    const bool goodbye = message->msg_iov[0].iov_len == 1 && message->msg_control != nullptr;
    return goodbye ? "sendmsg/goodbye" : packet_name("sendmsg", message);
}

std::string received_name(const msghdr *message, int flags) {
    if (message->msg_iov[0].iov_len == 1 && message->msg_control == nullptr) {
        return (flags & MSG_PEEK) != 0 ? "recvmsg/look" : "recvmsg/discard";
    }
    return packet_name("recvmsg", message);
}

std::string madvise_name(int advice) {
    switch (advice) {
    case MADV_DONTFORK:
        return "madvise/DONTFORK";
    case MADV_WIPEONFORK:
        return "madvise/WIPEONFORK";
    default:
        return with("madvise", advice);
    }
}

std::string futex_name(long operation) {
    switch (operation & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
        return "futex/wait";
    case FUTEX_WAKE:
        return "futex/wake";
    default:
        return with("futex", operation);
    }
}

std::string syscall_name(long number, long second) {
    switch (number) {
    case SYS_pidfd_open:
        return "pidfd_open";
    case SYS_pidfd_send_signal:
        return "pidfd_send_signal";
    case SYS_futex:
        return futex_name(second);
    default:
        return with("syscall", number);
    }
}

} // namespace

} // namespace inject

// NOLINTBEGIN(bugprone-reserved-identifier, cert-dcl37-c, cert-dcl51-cpp,
// readability-identifier-naming): the linker's names
extern "C" {

void *__real_calloc(size_t count, size_t size);
void __real_free(void *memory);
int __real_memfd_create(const char *name, unsigned flags);
int __real_ftruncate(int fd, off_t size);
ssize_t __real_getrandom(void *out, size_t size, unsigned flags);
int __real_fallocate(int fd, int mode, off_t offset, off_t size);
void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *base, size_t size);
int __real_madvise(void *base, size_t size, int advice);
int __real_fcntl(int fd, int command, long argument);
int __real_fstat(int fd, struct stat *out);
int __real_fstatfs(int fd, struct statfs *out);
int __real_socketpair(int domain, int type, int protocol, int *ends);
int __real_getsockopt(int fd, int level, int option, void *value, socklen_t *length);
int __real_setsockopt(int fd, int level, int option, const void *value, socklen_t length);
int __real_ioctl(int fd, unsigned long request, void *argument);
ssize_t __real_sendmsg(int fd, const msghdr *message, int flags);
ssize_t __real_recvmsg(int fd, msghdr *message, int flags);
int __real_epoll_create1(int flags);
int __real_epoll_ctl(int epoll, int operation, int fd, epoll_event *event);
int __real_epoll_wait(int epoll, epoll_event *events, int most, int timeout);
int __real_timerfd_create(int clock, int flags);
int __real_timerfd_settime(int fd, int flags, const itimerspec *when, itimerspec *before);
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
int __real_poll(pollfd *fds, nfds_t count, int timeout);
int __real_close(int fd);
off_t __real_lseek(int fd, off_t offset, int whence);

using inject::account;
using inject::failed;
using inject::failure_of;
using inject::made_or_failed;
using inject::now;

void *__wrap_calloc(size_t count, size_t size) {
    void *memory =
        made_or_failed<void *>("calloc", nullptr, [&] { return __real_calloc(count, size); });
    if (memory != nullptr) {
        account.allocations.insert(memory);
    }
    return memory;
}

void __wrap_free(void *memory) {
    account.allocations.erase(memory);
    __real_free(memory);
}

ssize_t __wrap_getrandom(void *out, size_t size, unsigned flags) {
    return made_or_failed<ssize_t>("getrandom", -1,
                                   [&] { return __real_getrandom(out, size, flags); });
}

int __wrap_memfd_create(const char *name, unsigned flags) {
    return made_or_failed("memfd_create", -1, [&] { return __real_memfd_create(name, flags); });
}

int __wrap_ftruncate(int fd, off_t size) {
    return made_or_failed("ftruncate", -1, [&] { return __real_ftruncate(fd, size); });
}

int __wrap_fallocate(int fd, int mode, off_t offset, off_t size) {
    return made_or_failed("fallocate", -1,
                          [&] { return __real_fallocate(fd, mode, offset, size); });
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
    const bool sealed =
        fd >= 0 && (__real_fcntl(fd, F_GET_SEALS, 0) & F_SEAL_FUTURE_WRITE) == F_SEAL_FUTURE_WRITE;
    const char *what = "read";
    if (protection == PROT_NONE) {
        what = "reserve";
    } else if (fd < 0) {
        what = "page";
    } else if ((protection & PROT_WRITE) != 0) {
        what = sealed ? "sealed" : "write";
    }
    const int error = failure_of(inject::with("mmap", what));
    if (error != 0 && error != inject::not_populated) {
        return failed(error, MAP_FAILED);
    }
    const int kept = error == inject::not_populated ? flags & ~MAP_POPULATE : flags;
    void *base = __real_mmap(at, size, protection, kept, fd, offset);
    if (base != MAP_FAILED) {
        inject::note_mapping(static_cast<char *>(base), size, flags);
    }
    return base;
}

int __wrap_munmap(void *base, size_t size) {
    const int error = failure_of("munmap");
    if (error != 0) {
        now.kept.emplace_back(base, size);
        return failed(error, -1);
    }
    inject::note_unmapping(static_cast<char *>(base), size);
    return __real_munmap(base, size);
}

int __wrap_madvise(void *base, size_t size, int advice) {
    return made_or_failed(inject::madvise_name(advice), -1,
                          [&] { return __real_madvise(base, size, advice); });
}

int __wrap_fcntl(int fd, int command, long argument) {
    return made_or_failed(inject::fcntl_name(command), -1,
                          [&] { return __real_fcntl(fd, command, argument); });
}

int __wrap_fstat(int fd, struct stat *out) {
    return made_or_failed("fstat", -1, [&] { return __real_fstat(fd, out); });
}

int __wrap_fstatfs(int fd, struct statfs *out) {
    return made_or_failed("fstatfs", -1, [&] { return __real_fstatfs(fd, out); });
}

int __wrap_socketpair(int domain, int type, int protocol, int *ends) {
    return made_or_failed("socketpair", -1,
                          [&] { return __real_socketpair(domain, type, protocol, ends); });
}

int __wrap_getsockopt(int fd, int level, int option, void *value, socklen_t *length) {
    return made_or_failed(inject::option_name("getsockopt", option), -1,
                          [&] { return __real_getsockopt(fd, level, option, value, length); });
}

int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t length) {
    return made_or_failed(inject::option_name("setsockopt", option), -1,
                          [&] { return __real_setsockopt(fd, level, option, value, length); });
}

int __wrap_ioctl(int fd, unsigned long request, void *argument) {
    const std::string name = request == SIOCOUTQ
                                 ? std::string("ioctl/SIOCOUTQ")
                                 : inject::with("ioctl", static_cast<long>(request));
    return made_or_failed(name, -1, [&] { return __real_ioctl(fd, request, argument); });
}

ssize_t __wrap_sendmsg(int fd, const msghdr *message, int flags) {
    const std::string name = inject::sent_name(message);
    const int error = failure_of(name);
    if (error == inject::short_write) {
        iovec half = {message->msg_iov[0].iov_base, message->msg_iov[0].iov_len / 2};
        msghdr shorter = *message;
        shorter.msg_iov = &half;
        return __real_sendmsg(fd, &shorter, flags);
    }
    if (error == EAGAIN && name == "sendmsg/bell") {
        // There is no room because there are bells: so there shall be one.
        __real_sendmsg(fd, message, flags);
    }
    return error != 0 ? failed(error, ssize_t{-1}) : __real_sendmsg(fd, message, flags);
}

ssize_t __wrap_recvmsg(int fd, msghdr *message, int flags) {
    const int error = failure_of(inject::received_name(message, flags));
    if (error >= inject::cut_control && error < inject::short_write) {
        const auto count = static_cast<size_t>(error - inject::cut_control);
        message->msg_controllen = count != 0 ? CMSG_LEN(count * sizeof(int)) : 0;
    } else if (error != 0) {
        return failed(error, ssize_t{-1});
    }
    return __real_recvmsg(fd, message, flags);
}

int __wrap_epoll_create1(int flags) {
    return made_or_failed("epoll_create1", -1, [&] { return __real_epoll_create1(flags); });
}

int __wrap_epoll_ctl(int epoll, int operation, int fd, epoll_event *event) {
    return made_or_failed(inject::epoll_name(operation), -1,
                          [&] { return __real_epoll_ctl(epoll, operation, fd, event); });
}

int __wrap_epoll_wait(int epoll, epoll_event *events, int most, int timeout) {
    return made_or_failed("epoll_wait", -1,
                          [&] { return __real_epoll_wait(epoll, events, most, timeout); });
}

int __wrap_timerfd_create(int clock, int flags) {
    return made_or_failed("timerfd_create", -1,
                          [&] { return __real_timerfd_create(clock, flags); });
}

int __wrap_timerfd_settime(int fd, int flags, const itimerspec *when, itimerspec *before) {
    return made_or_failed("timerfd_settime", -1,
                          [&] { return __real_timerfd_settime(fd, flags, when, before); });
}

// All six whatever the call takes: the rest is not looked at.
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f) {
    return made_or_failed(inject::syscall_name(number, b), -1L,
                          [&] { return __real_syscall(number, a, b, c, d, e, f); });
}

int __wrap_poll(pollfd *fds, nfds_t count, int timeout) {
    return made_or_failed("poll", -1, [&] { return __real_poll(fds, count, timeout); });
}

// The descriptor is gone whatever close says.
int __wrap_close(int fd) {
    const int error = failure_of("close");
    const int result = __real_close(fd);
    if (result < 0 && errno == EBADF) {
        ++account.misuses;
    }
    return error != 0 ? failed(error, -1) : result;
}

off_t __wrap_lseek(int fd, off_t offset, int whence) {
    const std::string name =
        whence == SEEK_HOLE ? std::string("lseek/SEEK_HOLE") : inject::with("lseek", whence);
    return made_or_failed(name, off_t{-1}, [&] { return __real_lseek(fd, offset, whence); });
}

} // extern "C"
// NOLINTEND(bugprone-reserved-identifier, cert-dcl37-c, cert-dcl51-cpp,
// readability-identifier-naming)

namespace inject {

session::session() {
    now.active = true;
}

session::session(std::string call, unsigned nth, int failure) {
    now.chosen = {std::move(call), nth, failure};
    now.active = true;
}

session::~session() {
    for (const auto &[base, size] : now.kept) {
        note_unmapping(static_cast<char *>(base), size);
        __real_munmap(base, size);
    }
    std::map<std::string, int> standing = std::move(now.standing);
    now = {};
    now.standing = std::move(standing);
}

// There is one session at a time.
// NOLINTBEGIN(readability-convert-member-functions-to-static)
const std::vector<std::string> &session::calls() const {
    return now.calls;
}

bool session::has_failed() const {
    return now.failed;
}
// NOLINTEND(readability-convert-member-functions-to-static)

standing_answer::standing_answer(const std::string &call, int error) {
    if (!call.empty()) {
        now.standing[call] = error;
    }
}

standing_answer::~standing_answer() {
    now.standing.clear();
}

holdings held_now() {
    return {account.allocations.size(), account.mappings.size(), test::open_descriptors()};
}

std::string describe(const holdings &what) {
    return std::to_string(what.allocations) + " allocations, " + std::to_string(what.mappings) +
           " mappings, " + std::to_string(what.descriptors) + " descriptors";
}

unsigned misuses() {
    return std::exchange(account.misuses, 0U);
}

int failure_from(const std::string &name) {
    static const std::map<std::string, int> by_name = [] {
        std::map<std::string, int> all = {{"SHORT", short_write}, {"UNPOPULATED", not_populated}};
        for (int count = 0; count < 10; ++count) {
            all["CTRUNC" + std::to_string(count)] = cut_control + count;
        }
        for (int error = 1; error < 134; ++error) {
            const char *known = strerrorname_np(error);
            if (known != nullptr) {
                all[known] = error;
            }
        }
        return all;
    }();
    const auto found = by_name.find(name);
    return found == by_name.end() ? 0 : found->second;
}

std::string failure_name(int failure) {
    if (failure == short_write) {
        return "SHORT";
    }
    if (failure == not_populated) {
        return "UNPOPULATED";
    }
    if (failure >= cut_control) {
        return "CTRUNC" + std::to_string(failure - cut_control);
    }
    return strerrorname_np(failure);
}

} // namespace inject
