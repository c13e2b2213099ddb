// SPDX-License-Identifier: MIT
#include "digest.hpp"

#include "errors.hpp"

#include <array>
#include <openssl/evp.h>

namespace zbq::tool {

namespace {

void check(bool worked) {
    if (!worked) {
        throw failure("SHA-256 is not to be had from OpenSSL");
    }
}

} // namespace

digest::digest() : context_(EVP_MD_CTX_new()) {
    check(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
}

void digest::add(const void *bytes, size_t size) {
    check(EVP_DigestUpdate(context_.get(), bytes, size) == 1);
}

std::string digest::hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> raw = {};
    unsigned size = 0;
    check(EVP_DigestFinal_ex(context_.get(), raw.data(), &size) == 1);
    std::string text;
    for (unsigned i = 0; i < size; ++i) {
        text += fmt::format("{:02x}", raw[i]);
    }
    return text;
}

void digest::release::operator()(evp_md_ctx_st *context) const {
    EVP_MD_CTX_free(context);
}

} // namespace zbq::tool
