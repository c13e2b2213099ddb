// SPDX-License-Identifier: MIT
#include "support/kernel.hpp"

#include "support/process.hpp"

#include <cstddef>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <vector>

namespace test {

void answer_with(const call_pattern &call, int error) {
    const auto argument = static_cast<std::uint32_t>(offsetof(seccomp_data, args) +
                                                     call.argument * sizeof(std::uint64_t));
    const auto answer = SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error);
    std::vector<sock_filter> program = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call.number), 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument), // the low half: little-endian
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, call.mask),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call.value, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, answer),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog filter = {static_cast<unsigned short>(program.size()), program.data()};
    CHILD_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHILD_CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
}

} // namespace test
