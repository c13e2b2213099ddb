// SPDX-License-Identifier: MIT
//
// In the place of libFuzzer, which only clang has: runs inputs that are there. replay DIRECTORY...
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" {
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size);
}

namespace {

void replay(const std::filesystem::path &path) {
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    const std::vector<std::uint8_t> input(bytes.begin(), bytes.end());
    LLVMFuzzerTestOneInput(input.data(), input.size());
}

} // namespace

int main(int argc, char **argv) {
    LLVMFuzzerInitialize(&argc, &argv);
    unsigned count = 0;
    try {
        for (int i = 1; i < argc; ++i) {
            for (const auto &entry : std::filesystem::directory_iterator(argv[i])) {
                std::printf("%s\n", entry.path().c_str());
                std::fflush(stdout);
                replay(entry.path());
                ++count;
            }
        }
    } catch (const std::exception &failure) {
        std::fprintf(stderr, "replay: %s\n", failure.what());
        return 1;
    }
    std::printf("%u inputs\n", count);
    return count != 0 ? 0 : 1;
}
