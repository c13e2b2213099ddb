// SPDX-License-Identifier: MIT
#include <zbq.hpp>

void use(zbq::producer &ring, zbq::consumer &reader);
void use(zbq::producer &ring, zbq::consumer &reader) {
#if defined(WRONG)
    const zbq::message message = reader.try_next();
    message.payload()[0] = std::byte{1};
#else
    const zbq::message message = reader.try_next();
    const std::byte first = message.payload()[0];
    static_cast<void>(first);
#endif
    static_cast<void>(ring);
    static_cast<void>(reader);
}
