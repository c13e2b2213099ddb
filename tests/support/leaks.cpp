// SPDX-License-Identifier: MIT
#include "support/leaks.hpp"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <string>
#include <unistd.h>

namespace test {

std::size_t open_descriptors() {
    const std::filesystem::directory_iterator entries("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(entries), end(entries))) - 1; // its own
}

std::size_t zbq_mappings() {
    std::ifstream maps("/proc/self/maps");
    std::size_t count = 0;
    for (std::string line; std::getline(maps, line);) {
        count += line.find("memfd:zbq-") != std::string::npos ? 1U : 0U;
    }
    return count;
}

std::size_t resident_bytes() {
    std::ifstream status("/proc/self/status");
    std::size_t kilobytes = 0;
    for (std::string name; status >> name;) {
        if (name == "RssAnon:" || name == "RssShmem:") {
            std::size_t part = 0;
            status >> part;
            kilobytes += part;
        }
    }
    return kilobytes * 1024;
}

leak_check::leak_check() : descriptors_(open_descriptors()), mappings_(zbq_mappings()) {}

leak_check::~leak_check() {
    EXPECT_EQ(open_descriptors(), descriptors_) << "descriptors leaked";
    EXPECT_EQ(zbq_mappings(), mappings_) << "mappings leaked";
}

descriptor_shortage::descriptor_shortage(unsigned spare) {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit tight = {256, before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &tight);
    for (int fd = dup(0); fd >= 0; fd = dup(0)) {
        fillers_.push_back(fd);
    }
    for (; spare != 0; --spare) {
        close(fillers_.back());
        fillers_.pop_back();
    }
}

descriptor_shortage::~descriptor_shortage() {
    for (const int fd : fillers_) {
        close(fd);
    }
    setrlimit(RLIMIT_NOFILE, &before_);
}

} // namespace test
