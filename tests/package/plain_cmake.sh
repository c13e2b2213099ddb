#!/bin/bash
# SPDX-License-Identifier: MIT
# Plain CMake, without presets, tools or tests: the library alone needs a compiler alone. As a
# part of another project too, whose programs link both.
set -euo pipefail
source=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake -S "$source" -B "$work/alone" -DZBQ_BUILD_TOOLS=OFF -DZBQ_BUILD_TESTS=OFF \
    -DZBQ_BUILD_EXAMPLES=OFF -DZBQ_BUILD_MANUAL=OFF >/dev/null
cmake --build "$work/alone" >/dev/null
ls "$work/alone/libzbq.so.1" "$work/alone/libzbq.a"

cat >"$work/CMakeLists.txt" <<EOF
cmake_minimum_required(VERSION 3.22)
project(whole LANGUAGES C CXX)
add_subdirectory("$source" zbq)
add_executable(shared "$source/tests/package/user/main.c")
target_link_libraries(shared PRIVATE zbq::zbq)
add_executable(static "$source/tests/package/user/main.c")
target_link_libraries(static PRIVATE zbq::zbq-static)
EOF
cmake -S "$work" -B "$work/part" >/dev/null
cmake --build "$work/part" >/dev/null
"$work/part/shared"
"$work/part/static"
[ ! -e "$work/part/zbq/tools" ] || { echo "a part builds the tools"; exit 1; }
