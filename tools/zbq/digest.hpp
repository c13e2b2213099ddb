// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <string>

struct evp_md_ctx_st;

namespace zbq::tool {

// SHA-256 of everything added.
class digest {
public:
    digest();
    void add(const void *bytes, size_t size);
    std::string hex(); // ends it

private:
    struct release {
        void operator()(evp_md_ctx_st *context) const;
    };
    std::unique_ptr<evp_md_ctx_st, release> context_;
};

} // namespace zbq::tool
