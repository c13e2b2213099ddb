// SPDX-License-Identifier: MIT
#include "identities.hpp"

#include "errors.hpp"

#include <charconv>
#include <cstdint>
#include <fstream>
#include <grp.h>
#include <optional>
#include <pwd.h>

namespace zbq::tool {

namespace {

struct kind {
    std::string_view noun;
    std::optional<uint32_t> (*of_name)(const char *name);
    const char *overflow_file;
};

std::optional<uint32_t> user_of_name(const char *name) {
    const passwd *entry = getpwnam(name);
    return entry != nullptr ? std::optional<uint32_t>(entry->pw_uid) : std::nullopt;
}

std::optional<uint32_t> group_of_name(const char *name) {
    const group *entry = getgrnam(name);
    return entry != nullptr ? std::optional<uint32_t>(entry->gr_gid) : std::nullopt;
}

// A number that is an id. The largest is none: it means "no change" to system calls.
std::optional<uint32_t> id_of_number(std::string_view text) {
    uint32_t id = 0;
    const char *end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, id);
    return error == std::errc() && rest == end && id != UINT32_MAX ? std::optional(id)
                                                                   : std::nullopt;
}

// What the kernel calls all those whom a user namespace does not know.
uint32_t overflow_id(const kind &what) {
    uint32_t id = 0;
    return std::ifstream(what.overflow_file) >> id ? id : 65534;
}

uint32_t parse(const kind &what, std::string_view option, const std::string &text) {
    const std::optional<uint32_t> named = what.of_name(text.c_str());
    const std::optional<uint32_t> id = named ? named : id_of_number(text);
    if (!id) {
        throw usage_error(fmt::format("{}: there is no {} '{}', and it is no number of one", option,
                                      what.noun, text));
    }
    if (*id == overflow_id(what)) {
        throw usage_error(
            fmt::format("{}: '{}' is {} {}, which stands for everyone whom the kernel "
                        "cannot name ({}): that is nobody who could be let in",
                        option, text, what.noun, *id, what.overflow_file));
    }
    return *id;
}

} // namespace

uid_t parse_user(std::string_view option, const std::string &text) {
    return parse({"user", user_of_name, "/proc/sys/kernel/overflowuid"}, option, text);
}

gid_t parse_group(std::string_view option, const std::string &text) {
    return parse({"group", group_of_name, "/proc/sys/kernel/overflowgid"}, option, text);
}

} // namespace zbq::tool
