#!/bin/bash
# SPDX-License-Identifier: MIT
# Builds the fuzzers, in build/fuzz. Says 77 where clang or its run time is not there.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! command -v clang++ >/dev/null ||
    ! echo 'extern "C" int LLVMFuzzerTestOneInput() { return 0; }' |
        clang++ -fsanitize=fuzzer,address -x c++ - -o /dev/null 2>/dev/null; then
    echo "skipped: no clang++ that links fuzzers"
    exit 77
fi
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz
