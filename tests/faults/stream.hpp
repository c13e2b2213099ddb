// SPDX-License-Identifier: MIT
//
// What each message has to be, to the last byte: a function of the seed, its number and its
// place in the stream. Writers and checkers need nothing else from each other.
#pragma once

#include "support/rig.hpp"

#include <cstdint>
#include <vector>

namespace faults {

std::uint64_t now_ns();

// Well mixed numbers from an ordinary one.
std::uint64_t mixed(std::uint64_t number);

class stream {
public:
    stream(std::uint64_t seed, std::uint64_t capacity) : seed_(seed), capacity_(capacity) {}

    [[nodiscard]] std::uint64_t capacity() const { return capacity_; }
    [[nodiscard]] std::uint64_t size_of(std::uint64_t number, std::uint64_t offset) const;
    [[nodiscard]] std::uint8_t fd_count_of(std::uint64_t number) const;
    [[nodiscard]] bool descriptors_go_first(std::uint64_t number) const;

    void write(std::uint64_t number, std::uint64_t offset, bool is_last, void *at) const;
    [[nodiscard]] bool is_message(std::uint64_t number, const zbq_msg_view &view) const;

private:
    [[nodiscard]] std::uint64_t draw(std::uint64_t number) const;
    [[nodiscard]] std::uint32_t length_of(std::uint64_t number, std::uint64_t offset) const;
    [[nodiscard]] std::uint64_t key_of(std::uint64_t number, std::uint64_t offset) const;

    std::uint64_t seed_;
    std::uint64_t capacity_;
};

inline constexpr std::uint8_t last_of_round = 1; // a flag of the message

// A few descriptors that can be told apart; each record has some of them, by its number.
class descriptor_pool {
public:
    descriptor_pool();
    [[nodiscard]] std::vector<int> of_record(std::uint64_t number, std::uint8_t count) const;
    static bool is_descriptor(std::uint64_t record, unsigned place, int fd);

private:
    std::vector<test::unique_fd> fds_;
};

} // namespace faults
