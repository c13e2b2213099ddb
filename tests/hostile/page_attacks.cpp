// SPDX-License-Identifier: MIT
#include "attack.hpp"

#include "support/process.hpp"

#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <random>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace hostile {

namespace {

constexpr int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

// Some of its page's words, but for the first `spared`.
void scribble(const intruder &in, std::mt19937_64 *random, std::size_t spared) {
    auto *words = reinterpret_cast<std::uint64_t *>(in.page);
    constexpr std::size_t many = sizeof *in.page / sizeof *words;
    for (int i = 0; i < 512; ++i) {
        __atomic_store_n(words + spared + (*random)() % (many - spared), (*random)(),
                         __ATOMIC_RELAXED);
    }
}

std::vector<std::uint64_t> tails_near(std::uint64_t head, std::uint64_t capacity) {
    const std::uint64_t top = std::uint64_t{1} << 63U;
    return {head + 16,
            head - 16,
            head + 1,
            head - 1,
            head + capacity,
            head - capacity,
            0,
            head + capacity + 16,
            top,
            UINT64_MAX,
            UINT64_MAX - 15,
            head + 8,
            16,
            head};
}

// The kernel's refusals are read_only_test's business. Here: all of it at once, again and again,
// while others work.
void ask_of_memory(int fd) {
    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_FUTURE_WRITE);
    (void)!ftruncate(fd, 0);
    (void)!ftruncate(fd, std::int64_t{1} << 40);
    fallocate(fd, punch, 0, 4096);
    fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 4096);
    fallocate(fd, 0, 0, std::int64_t{1} << 40);
    (void)!pwrite(fd, "x", 1, 0);
    (void)!fchmod(fd, 0);
    fsetxattr(fd, "user.zbq", "x", 1, 0);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    void *map = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED) {
        munmap(map, 4096);
    }
    map = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED) {
        mprotect(map, 4096, PROT_READ | PROT_WRITE);
        madvise(map, 4096, MADV_REMOVE);
        madvise(map, 4096, MADV_PAGEOUT);
        mlock(map, 4096);
        munmap(map, 4096);
    }
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    for (const int flags : {O_RDWR, O_RDWR | O_TRUNC, O_RDONLY}) {
        const unique_fd again(open(path.c_str(), flags | O_CLOEXEC));
        if (again) {
            fcntl(again.get(), F_SETLEASE, F_RDLCK);
            fcntl(again.get(), F_SETLEASE, F_WRLCK);
            fallocate(again.get(), punch, 0, 4096);
        }
    }
}

// The open file descriptions of control region, ring and pidfd are the producer's own, and every
// consumer's.
void ask_of_description(int fd, pid_t producer) {
    fcntl(fd, F_SETFL, O_NONBLOCK | O_APPEND | O_ASYNC | O_NOATIME);
    fcntl(fd, F_SETLEASE, F_RDLCK);
    fcntl(fd, F_NOTIFY, DN_MODIFY | DN_ACCESS | DN_MULTISHOT);
    fcntl(fd, F_SETOWN, producer);
    fcntl(fd, F_SETSIG, SIGKILL);
    flock(fd, LOCK_EX | LOCK_NB);
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    fcntl(fd, F_OFD_SETLK, &lock);
    fcntl(fd, F_SETLK, &lock);
    lseek(fd, 0, SEEK_END);
    fcntl(fd, F_SETFL, 0);
}

} // namespace

void writes_random_page(intruder &in, unsigned /*amount*/) {
    std::mt19937_64 random(1);
    for (;;) {
        in.join();
        while (!in.is_evicted()) {
            scribble(in, &random, 0);
        }
        in.count_step();
    }
}

// For one whose tail counts for nothing.
void scribbles(intruder &in, unsigned /*amount*/) {
    std::mt19937_64 random(3);
    for (;;) {
        in.stay();
        scribble(in, &random, 0);
        in.count_step();
    }
}

void forges_marks(intruder &in, unsigned /*amount*/) {
    std::mt19937_64 random(2);
    for (;;) {
        in.stay();
        scribble(in, &random, 1);
        in.keep_up();
        in.count_step();
    }
}

void chooses_tails(intruder &in, unsigned /*amount*/) {
    constexpr int tries = 64; // some are allowed
    for (std::size_t next = 0;; ++next) {
        in.join();
        const auto tails = tails_near(in.head(), in.payload.ring_capacity);
        for (int i = 0; i < tries && !in.is_evicted(); ++i) {
            in.set_tail(tails[next % tails.size()]);
        }
        in.count_step();
    }
}

void flips_tail(intruder &in, unsigned /*amount*/) {
    for (;;) {
        in.join();
        while (!in.is_evicted()) {
            for (int i = 0; i < 256; ++i) {
                in.set_tail(in.head());
                in.set_tail(in.payload.initial_head);
            }
        }
        in.count_step();
    }
}

void punches_holes(intruder &in, unsigned /*amount*/) {
    for (;;) {
        in.join();
        while (!in.is_evicted()) {
            in.set_tail(in.head());
            fallocate(in.page_fd(), punch, 0, sizeof *in.page);
            in.set_tail(in.head());
            madvise(in.page, sizeof *in.page, MADV_REMOVE);
        }
        in.count_step();
    }
}

// Keeps the page of each join that it ever had, until it has many.
void pins_memory(intruder &in, unsigned /*amount*/) {
    constexpr std::size_t many = 1000;
    std::vector<unique_fd> kept;
    for (;;) {
        in.join();
        kept.push_back(std::move(in.fds[page_place]));
        in.count_step();
        if (kept.size() == many) {
            kept.clear();
        }
    }
}

void asks_for_everything(intruder &in, unsigned /*amount*/) {
    for (;;) {
        in.stay(); // a hole is a tail of 0
        for (const int fd : {in.control_fd(), in.ring_fd(), in.page_fd()}) {
            ask_of_memory(fd);
            in.keep_up();
        }
        for (const unique_fd &fd : in.fds) {
            ask_of_description(fd.get(), in.payload.producer_pid);
        }
        in.keep_up();
        in.count_step();
    }
}

} // namespace hostile
