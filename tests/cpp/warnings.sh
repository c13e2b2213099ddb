#!/bin/bash
# SPDX-License-Identifier: MIT
# A program as users write it, with all of their warnings, as C++ and as C, and what they are told
# whose C++ is too old. warnings.sh CXX CC INCLUDE DIRECTORY
set -euo pipefail
cxx=$1 cc=$2 include=$3 programs=$4
for compiler in "$cxx" "$cc"; do
    command -v "$compiler" >/dev/null || { echo "skipped: no $compiler"; exit 77; }
done
warnings=(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wswitch-enum -Werror -fsyntax-only -I"$include")

"$cxx" -std=c++20 -Wold-style-cast "${warnings[@]}" "$programs/user.cpp"
"$cc" -std=c11 "${warnings[@]}" "$programs/user.c"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if "$cxx" -std=c++17 -fsyntax-only -I"$include" -x c++ - <<<'#include <zbq.hpp>' 2>"$work/said"; then
    echo "C++17 is taken"
    exit 1
fi
if [ "$(grep -c 'error:' "$work/said")" -ne 1 ] || ! grep -q 'needs C++20' "$work/said"; then
    cat "$work/said"
    exit 1
fi
