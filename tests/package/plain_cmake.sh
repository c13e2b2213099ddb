#!/bin/bash
# SPDX-License-Identifier: MIT
# Plain CMake, without presets, tools or tests: the library alone needs a compiler alone.
set -euo pipefail
source=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake -S "$source" -B "$work" -DZBQ_BUILD_TOOLS=OFF -DZBQ_BUILD_TESTS=OFF >/dev/null
cmake --build "$work" >/dev/null
ls "$work/libzbq.so.1" "$work/libzbq.a"
