// SPDX-License-Identifier: MIT
#include <zbq.hpp>

void use(zbq::producer &ring, zbq::consumer &reader);
void use(zbq::producer &ring, zbq::consumer &reader) {
#if defined(WRONG)
    zbq::unique_fd first(0);
    const zbq::unique_fd second = first;
#else
    zbq::unique_fd first(0);
    const zbq::unique_fd second = std::move(first);
#endif
    static_cast<void>(ring);
    static_cast<void>(reader);
}
