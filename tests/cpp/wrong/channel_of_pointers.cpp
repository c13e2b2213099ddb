// SPDX-License-Identifier: MIT
#include <string>
#include <zbq.hpp>

#if defined(WRONG)
using text = std::string; // its bytes are a pointer to this process's memory
#else
struct text {
    char bytes[16];
};
#endif

zbq::channel<text, "text">::producer make();
zbq::channel<text, "text">::producer make() {
    return zbq::channel<text, "text">::producer();
}
