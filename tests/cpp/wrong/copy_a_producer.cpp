// SPDX-License-Identifier: MIT
#include <zbq.hpp>

void use(zbq::producer &ring, zbq::consumer &reader);
void use(zbq::producer &ring, zbq::consumer &reader) {
#if defined(WRONG)
    const zbq::producer second = ring;
#else
    const zbq::producer second = std::move(ring);
#endif
    static_cast<void>(ring);
    static_cast<void>(reader);
}
