// SPDX-License-Identifier: MIT
#include <zbq.hpp>

void use(zbq::producer &ring, zbq::consumer &reader);
void use(zbq::producer &ring, zbq::consumer &reader) {
#if defined(WRONG)
    ring.try_publish({});
#else
    if (ring.try_publish({}) != zbq::status::ok) {
        return;
    }
#endif
    static_cast<void>(ring);
    static_cast<void>(reader);
}
