// SPDX-License-Identifier: MIT
//
// A reader in a sandbox: it joins, gives up every privilege, enters a seccomp filter that
// allows only what a reader needs and kills for the rest, and reads to the end of the stream.
// Then the proof that the filter is real: a second reader tries to open a file and is killed.
//
//   example_sandbox
#include "child.hpp"

#include <zbq.hpp>

#include <cstddef>
#include <cstdio>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <optional>
#include <string>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace {

// ---- the filter ----

#if defined(__x86_64__)
constexpr std::uint32_t native_architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t native_architecture = AUDIT_ARCH_AARCH64;
#endif

constexpr long needed_calls[] = {
    SYS_futex,         // wait, in push mode
    SYS_ppoll,         // after 100 ms without a message: does the producer's process live?
    SYS_recvmsg,       // descriptors of messages; clearing the event descriptor
    SYS_sendmsg,       // ringing a producer that waits for room
    SYS_clock_gettime, // where there is no vDSO
    SYS_munmap,        // leaving
    SYS_close,         // leaving
    SYS_exit_group,    // the end
    SYS_write,         // this program's own: its report
    SYS_brk,           // this program's own: memory for the report
#if defined(__x86_64__)
    SYS_poll, // as ppoll, which is all that arm64 has
#endif
};

std::vector<sock_filter> make_filter() {
    const auto word_at = [](std::size_t offset) -> sock_filter {
        return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
    };
    const auto skip_unless = [](std::uint32_t value) -> sock_filter {
        return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    };
    const auto answer = [](std::uint32_t action) -> sock_filter {
        return BPF_STMT(BPF_RET | BPF_K, action);
    };
    std::vector<sock_filter> filter = {
        word_at(offsetof(seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, native_architecture, 1, 0),
        answer(SECCOMP_RET_KILL_PROCESS), // the same numbers mean other calls there
        word_at(offsetof(seccomp_data, nr)),
    };
    for (const long call : needed_calls) {
        filter.push_back(skip_unless(static_cast<std::uint32_t>(call)));
        filter.push_back(answer(SECCOMP_RET_ALLOW));
    }
    filter.push_back(answer(SECCOMP_RET_KILL_PROCESS));
    return filter;
}

// ---- the way in ----

void drop_privileges() {
    constexpr uid_t nobody = 65534;
    if (geteuid() == 0) {
        require(setgroups(0, nullptr) == 0, "setgroups");
        require(setresgid(nobody, nobody, nobody) == 0, "setresgid");
        require(setresuid(nobody, nobody, nobody) == 0, "setresuid");
    }
    const rlimit no_more = {0, 0}; // descriptors that are open stay usable
    require(setrlimit(RLIMIT_NOFILE, &no_more) == 0, "setrlimit");
    require(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "PR_SET_NO_NEW_PRIVS");
}

void enter_filter() {
    std::vector<sock_filter> filter = make_filter();
    const sock_fprog program = {static_cast<unsigned short>(filter.size()), filter.data()};
    require(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0, "seccomp");
}

// ---- the reader ----

constexpr std::uint64_t messages = 100'000;

// Every message is its own number, so often as the number says, up to 64 times.
bool is_right(std::span<const std::byte> payload, std::uint64_t number) {
    std::uint64_t value = 0;
    bool right = payload.size() == sizeof value * (number % 64 + 1);
    for (std::size_t at = 0; right && at < payload.size(); at += sizeof value) {
        std::memcpy(&value, payload.data() + at, sizeof value);
        right = value == number;
    }
    return right;
}

// How many came before the first that was wrong.
std::uint64_t read_to_the_end(zbq::consumer &reader) {
    std::uint64_t number = 0;
    while (reader.wait(zbq::never) == zbq::status::ok) {
        zbq::message_batch batch = reader.take_batch();
        for (const zbq::message_view &message : batch) {
            if (!is_right(message.payload(), number)) {
                return number;
            }
            ++number;
        }
        if (!batch.intact()) {
            break;
        }
    }
    return number;
}

int read_in_sandbox(int socket, bool misbehave) {
    zbq::consumer reader(socket);
    std::printf("reader %d joined as user %u\n", getpid(), geteuid());
    std::fflush(stdout);
    drop_privileges();
    enter_filter();
    if (misbehave) {
        open("/etc/passwd", O_RDONLY | O_CLOEXEC); // does not return
    }
    const std::uint64_t right = read_to_the_end(reader);
    std::printf("the reader in the sandbox read %lu messages\n", static_cast<unsigned long>(right));
    return right == messages && reader.ending() == zbq::ending::closed ? 0 : 1;
}

// ---- the host ----

bool publish_all(zbq::producer &ring) {
    std::vector<std::uint64_t> payload;
    for (std::uint64_t number = 0; number < messages; ++number) {
        payload.assign(number % 64 + 1, number);
        if (ring.publish(std::as_bytes(std::span(payload)), zbq::never) != zbq::status::ok) {
            return false;
        }
    }
    return true;
}

int run() {
    const child good([](int socket) { return read_in_sandbox(socket, false); });
    const child bad([](int socket) { return read_in_sandbox(socket, true); });
    zbq::producer_options options;
    options.stall_timeout = std::chrono::seconds(60); // of a machine that may be busy
    std::optional<zbq::producer> ring(options);
    ring->admit(good.socket());
    ring->admit(bad.socket());
    const bool published = publish_all(*ring);
    ring.reset(); // the end of the stream
    const int good_status = good.wait();
    const int bad_status = bad.wait();
    const bool killed = WIFSIGNALED(bad_status) && WTERMSIG(bad_status) == SIGSYS;
    std::printf("the reader that tried to open a file was %s\n",
                killed ? "killed by the filter" : "not killed");
    return published && good_status == 0 && killed ? 0 : 1;
}

} // namespace

// A sanitizer's run time makes system calls of its own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#elif defined(__has_feature)
constexpr bool sanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool sanitized = false;
#endif

int main() {
    if (sanitized) {
        std::puts("skipped: the filter would kill a sanitizer's run time");
        return 77;
    }
    return guarded(run);
}
