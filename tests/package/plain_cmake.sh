#!/bin/bash
# SPDX-License-Identifier: MIT
# Plain CMake, without presets and options. Where there is nothing but a compiler it builds the library,
# tells of each part that it leaves out, and has tests that run. As a part of another project it is the
# library alone, and that project's programs link both of its kinds.
set -euo pipefail
source=$1
# shellcheck source=tests/package/user.sh
source "$(dirname "$0")/user.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

without=()
for package in CLI11 GTest OpenSSL Python3 fmt nlohmann_json; do
    without+=("-DCMAKE_DISABLE_FIND_PACKAGE_$package=ON")
done
cmake -S "$source" -B "$work/alone" "${without[@]}" -DRELACY_INCLUDE_DIR= \
    -DZBQ_LIBDEFLATE_INCLUDE= -DZBQ_HAS_SDT= -DZBQ_NATS_INCLUDE= -DZBQ_PYTHON= \
    -DZBQ_BUILD_EXAMPLES=OFF >"$work/said"
sed -n 's/^-- zbq: //p' "$work/said" >"$work/left_out"
diff - "$work/left_out" <<'EOF'
no sys/sdt.h: without probes for bpftrace and the like
no libdeflate: without zbq record, info and replay
no fmt, CLI11, OpenSSL, nlohmann_json: without the command-line tool
no libnats, fmt, CLI11, nlohmann_json: without the bridge
no fmt, CLI11, nlohmann_json: without the benchmark
no Python.h of 3.11: without the Python package
no Python3: without the manual pages and completions
no fmt, CLI11, Relacy: without the library under a model checker
no GTest: without most of the tests
EOF
quietly cmake --build "$work/alone"
ls "$work/alone/libzbq.so.1" "$work/alone/libzbq.a"
quietly ctest --test-dir "$work/alone" --no-tests=error -R "^abi\.(calls|layout)"

cat >"$work/CMakeLists.txt" <<EOF
cmake_minimum_required(VERSION 3.22)
project(whole LANGUAGES C CXX)
add_subdirectory("$source" zbq)
add_executable(shared "$source/tests/package/user/main.c")
target_link_libraries(shared PRIVATE zbq::zbq)
add_executable(static "$source/tests/package/user/main.c")
target_link_libraries(static PRIVATE zbq::zbq-static)
EOF
quietly cmake -S "$work" -B "$work/part"
quietly cmake --build "$work/part"
runs shared "$work/part/shared"
runs static "$work/part/static"
[ ! -e "$work/part/zbq/tools" ] || { echo "a part builds the tools"; exit 1; }
