// SPDX-License-Identifier: MIT
#include "board.hpp"

#include <memory>
#include <stdexcept>
#include <sys/mman.h>
#include <unistd.h>

namespace faults {

board *map_board(int fd) {
    void *memory = mmap(nullptr, sizeof(board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return memory == MAP_FAILED ? nullptr : static_cast<board *>(memory);
}

shared_board::shared_board() : fd_(memfd_create("board", MFD_CLOEXEC)) {
    if (fd_ < 0 || ftruncate(fd_, sizeof(board)) != 0 || (board_ = map_board(fd_)) == nullptr) {
        throw std::runtime_error("no board");
    }
    clear();
}

shared_board::~shared_board() {
    munmap(board_, sizeof(board));
    close(fd_);
}

void shared_board::clear() {
    std::construct_at(board_);
}

} // namespace faults
