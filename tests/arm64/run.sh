#!/bin/bash
# SPDX-License-Identifier: MIT
# Builds the library and its unit and API tests for arm64 and runs them under qemu-aarch64.
# Options go to ctest.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$root/build/arm64
toolchain=$root/cmake/arm64.cmake

configure() { # source, build, options
    cmake -G Ninja -S "$1" -B "$2" -DCMAKE_TOOLCHAIN_FILE="$toolchain" "${@:3}" >/dev/null
}

googletest() {
    configure /usr/src/googletest "$build/googletest" -DBUILD_GMOCK=OFF \
        -DCMAKE_INSTALL_PREFIX="$build/installed"
    cmake --build "$build/googletest" --target install >/dev/null
}

subjects=(create handshake query commit reserve broadcast scan join peek publish recv_fds wait
    info event room)
programs=(ring_test "${subjects[@]/%/_test}")

googletest
configure "$root" "$build/zbq" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DZBQ_BUILD_TOOLS=OFF \
    -DZBQ_BUILD_EXAMPLES=OFF -DGTest_DIR="$build/installed/lib/cmake/GTest"
cmake --build "$build/zbq" --target "${programs[@]}"

# What the emulation cannot do (QEMU 7.2). It does not apply a limit of address space, which would
# be its own; and it lets SO_PASSRIGHTS be asked for, but not set.
excluded='^create_test\.Create\.ShortOfAddressSpaceIsNoMemory$'
excluded+='|^event_test\.Refusal\.DescriptorsTowardsTheProducer$'
ctest --test-dir "$build/zbq" --output-on-failure -j 2 \
    -E "$excluded" -R "^($(IFS='|' && echo "${programs[*]}"))\\." "$@"
