// SPDX-License-Identifier: MIT
#include <zbq.hpp>

void use(zbq::producer &ring, zbq::consumer &reader);
void use(zbq::producer &ring, zbq::consumer &reader) {
#if defined(WRONG)
    const zbq::consumer second = reader;
#else
    const zbq::consumer second = std::move(reader);
#endif
    static_cast<void>(ring);
    static_cast<void>(reader);
}
