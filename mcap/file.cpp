// SPDX-License-Identifier: MIT
#include "file.hpp"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

namespace zbq::mcap {

namespace {

[[noreturn]] void fail(const std::string &what, const std::string &path) {
    throw io_error(errno, what + ' ' + path);
}

// A name survives a power cut with its directory. One that cannot be opened or does not know how to
// sync is left as it is: the file itself was told to.
void sync_directory(const std::string &path) {
    std::filesystem::path directory = std::filesystem::path(path).parent_path();
    if (directory.empty()) {
        directory = ".";
    }
    const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        ::fsync(fd);
        ::close(fd);
    }
}

} // namespace

file_sink::file_sink(const std::string &path, bool replace)
    : path_(path),
      fd_(::open(path.c_str(),
                 O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | (replace ? O_TRUNC : O_EXCL), 0666)) {
    if (fd_ < 0) {
        fail("making", path);
    }
    sync_directory(path_);
}

file_sink::~file_sink() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

void file_sink::write(bytes data) {
    while (!data.empty()) {
        const ssize_t written = ::write(fd_, data.data(), data.size());
        if (written < 0 && errno != EINTR) {
            fail("writing", path_);
        }
        data = data.subspan(written > 0 ? static_cast<std::size_t>(written) : 0);
    }
}

void file_sink::rewind(std::uint64_t size) {
    const auto end = static_cast<off_t>(size);
    if (::ftruncate(fd_, end) != 0 || ::lseek(fd_, end, SEEK_SET) != end) {
        fail("cutting off", path_);
    }
}

void file_sink::sync() {
    // EINVAL: a pipe, a terminal and the like, which keep nothing.
    if (::fdatasync(fd_) != 0 && errno != EINVAL && errno != EROFS) {
        fail("syncing", path_);
    }
}

void file_sink::close() {
    if (::close(std::exchange(fd_, -1)) != 0 && errno != EINTR) {
        fail("closing", path_);
    }
}

std::size_t memory_source::read(std::uint64_t offset, std::span<std::byte> to) {
    if (offset >= from_.size()) {
        return 0;
    }
    const bytes found =
        from_.subspan(offset, std::min<std::uint64_t>(to.size(), from_.size() - offset));
    std::ranges::copy(found, to.begin());
    return found.size();
}

file_source::file_source(const std::string &path)
    // Non-blocking: a FIFO that nobody writes to shall not hold this up.
    : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)) {
    struct stat status = {};
    if (fd_ < 0 || ::fstat(fd_, &status) != 0) {
        const int error = errno;
        if (fd_ >= 0) {
            ::close(fd_);
        }
        errno = error;
        fail("opening", path);
    }
    if (!S_ISREG(status.st_mode)) {
        ::close(fd_);
        errno = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
        fail("reading what is no file:", path);
    }
    size_ = static_cast<std::uint64_t>(status.st_size);
}

file_source::~file_source() {
    ::close(fd_);
}

std::size_t file_source::read(std::uint64_t offset, std::span<std::byte> to) {
    std::size_t done = 0;
    while (done < to.size()) {
        const ssize_t got =
            ::pread(fd_, to.data() + done, to.size() - done, static_cast<off_t>(offset + done));
        if (got < 0 && errno != EINTR) {
            fail("reading", path_);
        }
        if (got == 0) {
            break;
        }
        done += got > 0 ? static_cast<std::size_t>(got) : 0;
    }
    return done;
}

} // namespace zbq::mcap
