// SPDX-License-Identifier: MIT
#include <zbq.hpp>

void use(zbq::producer &ring, zbq::consumer &reader);
void use(zbq::producer &ring, zbq::consumer &reader) {
#if defined(WRONG)
    zbq::reservation room = ring.try_reserve(1);
    room.commit();
#else
    zbq::reservation room = ring.try_reserve(1);
    if (room.commit() != zbq::status::ok) {
        return;
    }
#endif
    static_cast<void>(ring);
    static_cast<void>(reader);
}
