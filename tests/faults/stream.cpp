// SPDX-License-Identifier: MIT
#include "stream.hpp"

#include "ring.hpp"
#include "support/descriptors.hpp"

#include <algorithm>
#include <cstring>

namespace faults {

namespace {

constexpr std::uint64_t golden = 0x9e3779b97f4a7c15U; // 2^64 / the golden ratio: spreads well
constexpr std::size_t pool_size = 8;
constexpr std::uint64_t pool_mark = 0x7a627100; // in each descriptor of the pool, plus its place

std::uint64_t word_of(std::uint64_t key, std::uint64_t place) {
    return key + place * golden;
}

} // namespace

std::uint64_t now_ns() {
    return zbq::core::monotonic_ns();
}

std::uint64_t mixed(std::uint64_t number) {
    number = (number ^ (number >> 31)) * golden;
    number = (number ^ (number >> 29)) * golden;
    return number ^ (number >> 32);
}

std::uint64_t stream::draw(std::uint64_t number) const {
    return mixed(number + seed_);
}

std::uint64_t stream::key_of(std::uint64_t number, std::uint64_t offset) const {
    return mixed(draw(number) ^ offset);
}

// Of all kinds: nothing, up to the physical end of the ring, all of the ring.
std::uint32_t stream::length_of(std::uint64_t number, std::uint64_t offset) const {
    const std::uint64_t drawn = draw(number);
    const std::uint64_t more = drawn >> 16;
    const std::uint64_t most = capacity_ - sizeof(zbq_msg_header);
    switch (drawn % 64) {
    case 0:
    case 1:
    case 2:
        return 0;
    case 3:
    case 4: // exactly to the end
        return static_cast<std::uint32_t>(most - offset % capacity_);
    case 5: // a little past it
        return static_cast<std::uint32_t>(
            std::min(most, most - offset % capacity_ + 1 + more % 64));
    case 6:
        return static_cast<std::uint32_t>(more % (most / 2));
    case 7:
        return static_cast<std::uint32_t>(more % 16 == 0 ? most : more % most / 4);
    default:
        return static_cast<std::uint32_t>(more % 1500);
    }
}

std::uint64_t stream::size_of(std::uint64_t number, std::uint64_t offset) const {
    return zbq::core::round_up(sizeof(zbq_msg_header) + length_of(number, offset));
}

std::uint8_t stream::fd_count_of(std::uint64_t number) const {
    const std::uint64_t drawn = draw(number) >> 8;
    if (drawn % 16 != 0) {
        return 0;
    }
    const std::uint64_t more = drawn >> 8;
    return static_cast<std::uint8_t>(more % 64 == 0 ? ZBQ_MAX_FD_PER_MSG : 1 + more % 4);
}

bool stream::descriptors_go_first(std::uint64_t number) const {
    return (draw(number) >> 40) % 2 == 0;
}

void stream::write(std::uint64_t number, std::uint64_t offset, bool is_last, void *at) const {
    const std::uint32_t length = length_of(number, offset);
    *static_cast<zbq_msg_header *>(at) = {length, fd_count_of(number),
                                          is_last ? last_of_round : std::uint8_t{0}, 0, number};
    char *bytes = static_cast<char *>(at) + sizeof(zbq_msg_header);
    const std::uint64_t key = key_of(number, offset);
    for (std::uint64_t place = 0; place < length; place += sizeof place) {
        const std::uint64_t word = word_of(key, place);
        std::memcpy(bytes + place, &word, std::min<std::size_t>(sizeof word, length - place));
    }
}

bool stream::is_message(std::uint64_t number, const zbq_msg_view &view) const {
    const std::uint32_t length = length_of(number, view.logical_offset);
    if (view.payload_len != length || view.header->seq_id != number ||
        view.header->fd_count != fd_count_of(number)) {
        return false;
    }
    const char *bytes = static_cast<const char *>(view.payload);
    const std::uint64_t key = key_of(number, view.logical_offset);
    std::uint64_t wrong = 0;
    std::uint64_t place = 0;
    for (; place + sizeof place <= length; place += sizeof place) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes + place, sizeof word);
        wrong |= word ^ word_of(key, place);
    }
    const std::uint64_t word = word_of(key, place);
    return wrong == 0 && std::memcmp(bytes + place, &word, length - place) == 0;
}

descriptor_pool::descriptor_pool() {
    for (std::size_t i = 0; i < pool_size; ++i) {
        fds_.push_back(test::numbered(pool_mark + i));
    }
}

std::vector<int> descriptor_pool::of_record(std::uint64_t number, std::uint8_t count) const {
    std::vector<int> fds;
    for (unsigned i = 0; i < count; ++i) {
        fds.push_back(fds_[(number + i) % pool_size].get());
    }
    return fds;
}

bool descriptor_pool::is_descriptor(std::uint64_t record, unsigned place, int fd) {
    return test::number_of(fd) == pool_mark + (record + place) % pool_size;
}

} // namespace faults
