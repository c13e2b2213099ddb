// SPDX-License-Identifier: MIT
//
// A test of operations that are run an instruction at a time.
#pragma once

#include "support/sanitizer.hpp"
#include "support/stepper.hpp"

#include <gtest/gtest.h>

namespace test {

template <class fixture>
class stepped : public fixture {
protected:
    void SetUp() override {
        if (sanitized) {
            GTEST_SKIP() << "a sanitizer's own instructions would be stepped through";
        }
        if (!can_trace()) {
            GTEST_SKIP() << "no process can be traced here";
        }
    }
};

} // namespace test
