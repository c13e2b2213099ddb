// SPDX-License-Identifier: MIT
#include <zbq.hpp>

#if defined(WRONG)
struct alignas(64) value {
#else
struct alignas(16) value {
#endif
    int number;
};

zbq::channel<value, "value">::producer make();
zbq::channel<value, "value">::producer make() {
    return zbq::channel<value, "value">::producer();
}
