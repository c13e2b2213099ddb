// SPDX-License-Identifier: MIT
#include "places.hpp"

#include <zbq.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace zbq::tool {

namespace {

namespace fs = std::filesystem;

// The one in which the library looks for a bare name; empty: there is none.
std::string default_directory() {
    try {
        const std::string place = inspecting("x").place();
        return place.substr(0, place.size() - 2);
    } catch (const error &) {
        return "";
    }
}

// Whatever the session says: rings of another one are this user's, too.
std::set<std::string> directories() {
    const std::string user = std::to_string(geteuid());
    std::set<std::string> all = {"/run/user/" + user + "/zbq", "/tmp/zbq-" + user};
    const char *runtime = std::getenv("XDG_RUNTIME_DIR");
    if (runtime != nullptr && *runtime == '/') {
        all.insert(std::string(runtime) + "/zbq");
    }
    return all;
}

bool is_private(const std::string &directory) {
    struct stat status_of = {};
    return lstat(directory.c_str(), &status_of) == 0 && S_ISDIR(status_of.st_mode) &&
           status_of.st_uid == geteuid() && (status_of.st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

void add_sockets_in(const std::string &directory, const std::string &own,
                    std::set<std::string> *names) {
    std::error_code failed;
    for (fs::directory_iterator at(directory, failed), end; !failed && at != end;
         at.increment(failed)) {
        const std::string name = at->path().filename();
        std::error_code unknown;
        if (!name.starts_with('.') && at->is_socket(unknown)) {
            names->insert(directory == own ? name : at->path().string());
        }
    }
}

// A socket of a listener keeps the path that it was bound to: DIR/.NAME.new for DIR/NAME. Others'
// are no rings.
std::string name_of_bound(const std::string &path) {
    constexpr std::string_view ending = ".new";
    const fs::path bound(path);
    const std::string file = bound.filename();
    if (!file.starts_with('.') || !file.ends_with(ending) || file.size() <= ending.size() + 1) {
        return "";
    }
    return bound.parent_path() / file.substr(1, file.size() - 1 - ending.size());
}

// Of packets, and listening, by the flags and the type of a line of /proc/net/unix.
bool listens(const std::string &flags, const std::string &type) {
    return flags == "00010000" && type == "0005";
}

void add_bound(const std::string &path, const std::string &own, std::set<std::string> *names) {
    if (path.starts_with('@')) {
        names->insert(path);
    } else if (const std::string name = name_of_bound(path); !name.empty()) {
        const fs::path whole(name);
        names->insert(whole.parent_path() == own ? whole.filename().string() : name);
    }
}

void add_bound_sockets(const std::string &own, std::set<std::string> *names) {
    std::ifstream file("/proc/net/unix");
    std::string line;
    while (std::getline(file, line)) {
        std::istringstream words(line);
        std::array<std::string, 7> word; // number, references, protocol, flags, type, state, inode
        for (std::string &each : word) {
            words >> each;
        }
        std::string path;
        if (listens(word[3], word[4]) && words.get() == ' ' && std::getline(words, path)) {
            add_bound(path, own, names);
        }
    }
}

} // namespace

std::vector<std::string> listening_names() {
    std::set<std::string> names;
    const std::string own = default_directory();
    for (const std::string &directory : directories()) {
        if (is_private(directory)) {
            add_sockets_in(directory, own, &names);
        }
    }
    add_bound_sockets(own, &names);
    std::vector<std::string> ordered(names.begin(), names.end());
    std::ranges::stable_sort(ordered, {}, [](const std::string &name) {
        return name.starts_with('@') ? 2 : name.find('/') != std::string::npos ? 1 : 0;
    });
    return ordered;
}

} // namespace zbq::tool
