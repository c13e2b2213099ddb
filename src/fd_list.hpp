// SPDX-License-Identifier: MIT
//
// Descriptors received, owned until they are taken out.
#pragma once

#include "os.hpp"

#include <cstring>

namespace zbq::core {

class fd_list {
public:
    fd_list() = default;
    fd_list(const fd_list &) = delete;
    fd_list &operator=(const fd_list &) = delete;
    ~fd_list() { close_all(); }

    [[nodiscard]] unsigned size() const { return count_; }
    [[nodiscard]] int at(unsigned index) const { return fds_[index]; }

    // Closes it when the list is full.
    void add(int fd) {
        if (count_ == ZBQ_MAX_FD_PER_MSG) {
            unique_fd(fd).reset();
            return;
        }
        fds_[count_++] = fd;
    }

    unique_fd take(unsigned index) {
        unique_fd taken(fds_[index]);
        fds_[index] = -1;
        return taken;
    }

    // Hands over all.
    void move_to(int *fds) {
        memcpy(fds, fds_, count_ * sizeof fds_[0]);
        count_ = 0;
    }

    void take_all(fd_list &other) {
        close_all();
        count_ = other.count_;
        other.move_to(fds_);
    }

    // As close_elsewhere of scm.hpp: without waiting for whoever made them.
    void close_all_elsewhere();

    void close_all() {
        while (count_ != 0) {
            unique_fd(fds_[--count_]).reset();
        }
    }

private:
    unsigned count_ = 0;
    int fds_[ZBQ_MAX_FD_PER_MSG] = {};
};

} // namespace zbq::core
