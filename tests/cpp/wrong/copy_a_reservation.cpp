// SPDX-License-Identifier: MIT
#include <zbq.hpp>

void use(zbq::producer &ring, zbq::consumer &reader);
void use(zbq::producer &ring, zbq::consumer &reader) {
#if defined(WRONG)
    zbq::reservation first = ring.try_reserve(1);
    const zbq::reservation second = first;
#else
    zbq::reservation first = ring.try_reserve(1);
    const zbq::reservation second = std::move(first);
#endif
    static_cast<void>(ring);
    static_cast<void>(reader);
}
