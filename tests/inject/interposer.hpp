// SPDX-License-Identifier: MIT
//
// Between the library and libc: the linker sends each of its calls through here (--wrap). They are
// written down, one of them can be made to fail, and what they take and give back is counted. For
// one thread.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace inject {

// A call's name is the function's, and where one function does several things what it was asked
// for: "fcntl/F_ADD_SEALS".
std::string failure_name(int failure);

// An errno, or something else that can go wrong with a call that does not fail. 0: no such name.
int failure_from(const std::string &name);

// Failures that are no errno.
enum : int {
    cut_control = 1000,   // recvmsg: room for so many descriptors only (MSG_CTRUNC); up to +9
    short_write = 1100,   // sendmsg: only a part was taken
    not_populated = 1200, // mmap: MAP_POPULATE did nothing, which the kernel does not tell
};

// While it lives, calls are written down and the chosen one fails.
class session {
public:
    session(); // none fails
    session(std::string call, unsigned nth, int failure);
    session(const session &) = delete;
    session &operator=(const session &) = delete;
    ~session();

    [[nodiscard]] const std::vector<std::string> &calls() const;
    [[nodiscard]] bool has_failed() const; // the chosen call was made
};

// While it lives, every call of that name gets this errno: another kernel. No name: the same one.
class standing_answer {
public:
    standing_answer(const std::string &call, int error);
    standing_answer(const standing_answer &) = delete;
    standing_answer &operator=(const standing_answer &) = delete;
    ~standing_answer();
};

// What was taken and not given back, since the start of the program.
struct holdings {
    std::size_t allocations = 0;
    std::size_t mappings = 0;
    std::size_t descriptors = 0; // as /proc has them

    bool operator==(const holdings &) const = default;
};
holdings held_now();
std::string describe(const holdings &what);

// Closes of what was not open, and unmappings of what was not mapped so, since the last time that
// this was asked.
unsigned misuses();

} // namespace inject
