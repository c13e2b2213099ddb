// SPDX-License-Identifier: MIT
//
// Both ends of a ring in one process, for tests of the C++ interface.
#pragma once

#include "support/rig.hpp"

#include <string>
#include <string_view>
#include <zbq.hpp>

namespace test {

using zbq::text_of;

inline std::span<const std::byte> bytes(std::string_view text) {
    return zbq::bytes_of(text);
}

inline void write_text(std::span<std::byte> to, std::string_view text) {
    ASSERT_EQ(to.size(), text.size());
    std::memcpy(to.data(), text.data(), text.size());
}

inline zbq::consumer join(zbq::producer &ring, zbq::wakeup mode = zbq::wakeup::push,
                          zbq::flow how = zbq::flow::lossless, const zbq::start &from = {}) {
    const socket_pair sockets = make_sockets();
    ring.admit(sockets.producer_end.get(), mode, how, from);
    return zbq::consumer(sockets.consumer_end.get(), mode, how);
}

// The status of the error that this throws; ok when it throws none.
template <typename Call>
zbq::status thrown_by(const Call &call) {
    try {
        call();
    } catch (const zbq::error &failure) {
        EXPECT_EQ(failure.code().category(), zbq::category());
        EXPECT_NE(std::string(failure.what()), "");
        return static_cast<zbq::status>(failure.code().value());
    }
    return zbq::status::ok;
}

} // namespace test
