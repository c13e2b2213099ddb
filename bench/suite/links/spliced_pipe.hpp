// SPDX-License-Identifier: MIT
//
// A pipe that takes the sender's pages instead of copying them (vmsplice). One receiver, whole
// pages, one size: a pipe knows no messages.
#pragma once

#include "../link.hpp"
#include "../shared.hpp"
#include "sockets.hpp"

#include <algorithm>
#include <fcntl.h>
#include <stdexcept>
#include <sys/uio.h>
#include <unistd.h>

namespace bench {

class spliced_pipe {
public:
    static constexpr const char *name = "pipe, vmsplice";

    explicit spliced_pipe(const link_options &options)
        : options_(options), buffer_(options.size),
          // More than the pipe holds, so that nothing is written over before it was read.
          pages_(options.size * buffers_for(options.size)) {
        if (options.receivers != 1 || options.size % 4096 != 0) {
            throw std::runtime_error("for one receiver and whole pages");
        }
        std::array<int, 2> ends = {-1, -1};
        if (pipe2(ends.data(), O_CLOEXEC) != 0) {
            fail("pipe2");
        }
        out_ = zbq::unique_fd(ends[0]);
        in_ = zbq::unique_fd(ends[1]);
        if (fcntl(in_.get(), F_SETPIPE_SZ, pipe_size) < 0) {
            fail("F_SETPIPE_SZ");
        }
    }
    void become_sender() {}
    void become_receiver(unsigned /*index*/) {}

    void send(std::size_t size, std::uint64_t number) {
        std::byte *at = pages_.get() + size * next_;
        next_ = (next_ + 1) % buffers_for(size);
        fill(at, size, number);
        for (std::size_t done = 0; done < size;) {
            iovec part = {at + done, size - done};
            const ssize_t taken = vmsplice(in_.get(), &part, 1, 0);
            if (taken <= 0) {
                fail("vmsplice");
            }
            done += static_cast<std::size_t>(taken);
        }
    }
    void flush() {}

    template <typename Visit>
    void receive(const Visit &visit) {
        for (std::size_t done = 0; done < buffer_.size();) {
            const ssize_t got = read(out_.get(), buffer_.data() + done, buffer_.size() - done);
            if (got <= 0) {
                fail("read");
            }
            done += static_cast<std::size_t>(got);
        }
        visit(std::span<const std::byte>(buffer_));
    }

private:
    static constexpr int pipe_size = 1 << 20;
    static std::size_t buffers_for(std::size_t size) {
        return 2 + 2 * static_cast<std::size_t>(pipe_size) / std::max<std::size_t>(size, 1);
    }

    link_options options_;
    std::vector<std::byte> buffer_;
    shared<std::byte> pages_;
    std::size_t next_ = 0;
    zbq::unique_fd out_;
    zbq::unique_fd in_;
};

} // namespace bench
