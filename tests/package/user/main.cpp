// SPDX-License-Identifier: MIT
#include <zbq.hpp>

int main() {
    zbq::producer ring;
    return ring.try_publish({}) == zbq::status::ok ? 0 : 1;
}
