// SPDX-License-Identifier: MIT
//
// A program and its plug-ins, compiled with different headers, in one process. The loader gives one
// definition of a function to all who have one by that name.
#include <gtest/gtest.h>

#include <string>
#include <typeinfo>
#include <zbq.hpp>

extern "C" bool of_this();
extern "C" bool of_other();

namespace {

TEST(Versions, PlugInsOfTwoVersionsWorkInOneProcess) {
    EXPECT_TRUE(of_this());
    EXPECT_TRUE(of_other());
    EXPECT_TRUE(of_this());
}

TEST(Versions, NamesSayTheVersion) {
    const std::string expected = "v" + std::to_string(ZBQ_VERSION_MAJOR) + "_" +
                                 std::to_string(ZBQ_VERSION_MINOR) + "_" +
                                 std::to_string(ZBQ_VERSION_PATCH);
    EXPECT_NE(std::string(typeid(zbq::producer).name()).find(expected), std::string::npos);
}

} // namespace
