// SPDX-License-Identifier: MIT
//
// What all fuzzers use: how to fail, and the account of what an input leaves behind.
#pragma once

#include "support/pretender.hpp"

#include <cstddef>
#include <cstdint>
#include <fuzzer/FuzzedDataProvider.h>

namespace fuzz {

[[noreturn]] void fail(const char *file, int line, const char *condition);

// Descriptors and mapped bytes of this process. Fails if it goes out of scope with others than
// at its start.
class balance {
public:
    balance();
    balance(const balance &) = delete;
    balance &operator=(const balance &) = delete;
    ~balance();

    [[nodiscard]] bool holds() const; // as at the start

private:
    unsigned descriptors_;
    std::uint64_t mapped_;
};

// Reads from every page: a mapping or view that is not all there ends the process.
void touch(const void *bytes, std::uint64_t size);

// As it was when it was made: what a consumer has sent, taken or written, and what an input has.
void make_as_new(test::pretender *producer);

// One of a list. The first, where the input has ended: so let that be the ordinary one.
template <typename T, std::size_t count>
const T &one_of(FuzzedDataProvider &input, const T (&list)[count]) {
    return list[input.ConsumeIntegralInRange<std::size_t>(0, count - 1)];
}

} // namespace fuzz

// Not an exception and not a test's failure: the fuzzer keeps the input of a process that ends so.
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fuzz::fail(__FILE__, __LINE__, #condition);                                            \
        }                                                                                          \
    } while (false)
