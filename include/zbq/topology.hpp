// SPDX-License-Identifier: MIT
/// @file
/// How far apart processors are. Not part of the interface; docs/guide.md has the rule.
#pragma once

#include "descriptors.hpp"

#include <cstdint>
#include <fcntl.h>
#include <string>
#include <unistd.h>

namespace ZBQ_NAMESPACE::detail {

// The first line of a file; empty, where it cannot be read.
inline std::string line_of(const std::string &path) {
    const unique_fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::string text(4096, '\0'); // of a list of processors, more than there can be
    const ssize_t size = file ? ::read(file.get(), text.data(), text.size()) : -1;
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return text.substr(0, text.find('\n'));
}

// Whether some processors share no cache, by what sysfs says below cpu/ (sysfs-devices-system-cpu
// in the kernel's Documentation/ABI). Where it says nothing, all are near.
inline bool has_far_processors(const std::string &cpus) {
    const std::string online = line_of(cpus + "/online");
    const std::string first = online.substr(0, online.find_first_of(",-"));
    const std::string caches = cpus + "/cpu" + first + "/cache/index";
    std::string shared;
    for (const char *index : {"0", "1", "2", "3", "4", "5"}) { // the last one is the largest
        std::string list = caches;
        list.append(index).append("/shared_cpu_list");
        const std::string found = line_of(list);
        shared = found.empty() ? shared : found;
    }
    return !shared.empty() && shared != online;
}

// Of a ring: where lines go from cache to cache that is where it stays small; where they would go
// from processor to processor one by one they come from memory in streams instead.
inline std::uint64_t suitable_capacity() {
    constexpr std::uint64_t near = std::uint64_t{1} << 20U;
    constexpr std::uint64_t far = std::uint64_t{64} << 20U;
    static const std::uint64_t chosen = has_far_processors("/sys/devices/system/cpu") ? far : near;
    return chosen;
}

} // namespace ZBQ_NAMESPACE::detail
