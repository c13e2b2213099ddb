// SPDX-License-Identifier: MIT
#include "position.hpp"

#include "tools/zbq/errors.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace zbq::bridge {

namespace {

constexpr char magic[8] = {'z', 'b', 'q', 'p', 'o', 's', '0', '1'};

// In the order of the program: a process that is killed leaves what it has stored until then.
void store(std::uint64_t &to, std::uint64_t value) {
    std::atomic_ref(to).store(value, std::memory_order_release);
}

} // namespace

position::position(const std::string &path, const std::string &stream) {
    if (!path.empty()) {
        open(path);
        map(path, stream);
    }
}

position::~position() {
    if (here_ != &own_) {
        munmap(here_, sizeof *here_);
    }
}

void position::open(const std::string &path) {
    file_ = unique_fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600));
    if (!file_) {
        throw tool::system_failure("opening " + path);
    }
    if (flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
        throw tool::failure(path + ": another importer uses it");
    }
}

void position::map(const std::string &path, const std::string &stream) {
    struct stat file = {};
    if (fstat(file_.get(), &file) != 0) {
        throw tool::system_failure("looking at " + path);
    }
    std::memcpy(own_.magic, magic, sizeof magic);
    stream.copy(own_.stream, most_text - 1);
    const bool is_new = file.st_size == 0;
    if (is_new && (pwrite(file_.get(), &own_, sizeof own_, 0) != sizeof own_)) {
        throw tool::system_failure("writing " + path);
    }
    contents there;
    if (pread(file_.get(), &there, sizeof there, 0) != sizeof there ||
        std::memcmp(there.magic, magic, sizeof magic) != 0) {
        throw tool::failure(path + ": no position of an importer");
    }
    there.stream[most_text - 1] = '\0';
    if (std::strcmp(there.stream, own_.stream) != 0) {
        throw tool::failure(path + ": a position in the stream " + there.stream);
    }
    void *const at = mmap(nullptr, sizeof own_, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
    if (at == MAP_FAILED) { // NOLINT(*-int-to-ptr): the system's own
        throw tool::system_failure("mapping " + path);
    }
    here_ = static_cast<contents *>(at);
}

ring_id position::ring() const {
    ring_id id = {};
    std::copy_n(now().ring, id.size(), id.begin());
    return id;
}

std::string position::identity() const {
    return {now().identity, strnlen(now().identity, most_text)};
}

void position::set_offset(std::uint64_t offset) {
    store(here_->halves[here_->which & 1U].offset, offset);
}

void position::set_number(std::uint64_t number) {
    store(here_->halves[here_->which & 1U].number, number);
}

void position::begin_stream(const std::string &identity, std::uint64_t number) {
    half next = now();
    next.known = 1;
    next.number = number;
    std::fill(std::begin(next.identity), std::end(next.identity), '\0');
    identity.copy(next.identity, most_text - 1);
    replace(next);
}

void position::begin_ring(const ring_id &ring, std::uint64_t offset) {
    half next = now();
    std::copy(ring.begin(), ring.end(), next.ring);
    next.offset = offset;
    replace(next);
}

void position::replace(const half &with) {
    const std::uint64_t other = (here_->which & 1U) ^ 1U;
    here_->halves[other] = with;
    store(here_->which, other);
}

} // namespace zbq::bridge
