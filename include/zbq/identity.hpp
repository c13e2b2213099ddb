// SPDX-License-Identifier: MIT
/// @file
/// Who somebody is, by the kernel's numbers. Not part of the interface.
#pragma once

#include "descriptors.hpp"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace ZBQ_NAMESPACE::detail {

// The number that the kernel gives for a user, or a group, that this process's user namespace has
// no number for, also for this process itself: user_namespaces(7). Whoever has it may be anyone.
inline constexpr std::uint32_t usual_overflow_id = 65534;

inline std::uint32_t read_overflow_id(const char *file) noexcept {
    const unique_fd opened(::open(file, O_RDONLY | O_CLOEXEC));
    char text[16] = {};
    const bool is_read = opened && ::read(opened.get(), text, sizeof text - 1) > 0;
    return is_read ? static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10))
                   : usual_overflow_id;
}

// The usual one counts as nobody's in any case: the file cannot be read everywhere.
inline bool is_somebody(std::uint32_t id, std::uint32_t overflow_id) noexcept {
    return id != overflow_id && id != usual_overflow_id && id != UINT32_MAX;
}

inline bool is_user(uid_t uid) noexcept {
    static const std::uint32_t overflow_id = read_overflow_id("/proc/sys/kernel/overflowuid");
    return is_somebody(uid, overflow_id);
}

inline bool is_group(gid_t gid) noexcept {
    static const std::uint32_t overflow_id = read_overflow_id("/proc/sys/kernel/overflowgid");
    return is_somebody(gid, overflow_id);
}

// They are read when they are first asked for: better before a crowd takes all descriptors.
inline void read_overflow_ids() noexcept {
    is_user(0);
    is_group(0);
}

inline bool is_own_user(uid_t uid) noexcept {
    return uid == ::geteuid() && is_user(uid);
}

// Of whoever made the other end: for listen, or connect. Pid 0 when the kernel does not tell, or
// this process's pid namespace does not have it.
inline ucred credentials_of_peer(int socket) noexcept {
    ucred peer = {0, static_cast<uid_t>(-1), static_cast<gid_t>(-1)};
    socklen_t size = sizeof peer;
    ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    return peer;
}

// The supplementary groups of whoever made the other end.
inline std::vector<gid_t> groups_of_peer(int socket) {
    std::vector<gid_t> groups(64);
    auto size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    int got = ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size);
    if (got != 0 && errno == ERANGE) {
        groups.resize(size / sizeof(gid_t));
        got = ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size);
    }
    groups.resize(got == 0 ? size / sizeof(gid_t) : 0);
    return groups;
}

inline bool lists_user(const std::vector<uid_t> &list, uid_t uid) noexcept {
    return is_user(uid) && std::find(list.begin(), list.end(), uid) != list.end();
}

inline bool lists_group(const std::vector<gid_t> &list, gid_t gid) noexcept {
    return is_group(gid) && std::find(list.begin(), list.end(), gid) != list.end();
}

// Whether a peer is listed: by its user, its effective group, or a supplementary one.
inline bool is_one_of(const std::vector<uid_t> &users, const std::vector<gid_t> &groups, uid_t uid,
                      gid_t gid, int socket) {
    if (lists_user(users, uid) || lists_group(groups, gid)) {
        return true;
    }
    const std::vector<gid_t> more = groups.empty() ? std::vector<gid_t>() : groups_of_peer(socket);
    return std::any_of(more.begin(), more.end(),
                       [&groups](gid_t group) { return lists_group(groups, group); });
}

// For people.
inline std::string user_text(uid_t uid) {
    return "user " + std::to_string(uid) + (is_user(uid) ? "" : ", who may be anyone");
}

} // namespace ZBQ_NAMESPACE::detail
