// SPDX-License-Identifier: MIT
#include <zbq.hpp>

void use(zbq::producer &ring, zbq::consumer &reader);
void use(zbq::producer &ring, zbq::consumer &reader) {
#if defined(WRONG)
    zbq::message first = reader.try_next();
    const zbq::message second = first;
#else
    zbq::message first = reader.try_next();
    const zbq::message second = std::move(first);
#endif
    static_cast<void>(ring);
    static_cast<void>(reader);
}
