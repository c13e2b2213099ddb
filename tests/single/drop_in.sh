#!/bin/bash
# SPDX-License-Identifier: MIT
# The one file in a C program, by each compiler that is here. drop_in.sh DIST TESTS_OF_THE_ABI
set -euo pipefail
dist=$1 programs=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cp "$dist/zbq.h" .
cp "$programs/calls.c" main.c # every call of the interface
# Included as a header before: a file may get it from another.
printf '#include "zbq.h"\n#define ZBQ_IMPLEMENTATION\n#include "zbq.h"\n#include "zbq.h"\n' >zbq.cpp
warnings=(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
tried=0

try() { # C compiler, C++ compiler
    command -v "$1" "$2" >/dev/null || return 0
    echo "$1, $2: in a C program, without a C++ run time"
    "$2" -std=c++20 -O2 "${warnings[@]}" -fno-exceptions -fno-rtti -c zbq.cpp
    "$1" -std=c11 "${warnings[@]}" main.c zbq.o -o main
    ./main
    if ldd main | grep -E 'libstdc|libc\+\+|libm\b'; then exit 1; fi
    echo "$1, $2: as any C++ program compiles it"
    "$2" -std=c++20 "${warnings[@]}" -c zbq.cpp
    "$1" -std=c11 "${warnings[@]}" -c main.c
    "$2" main.o zbq.o -o main
    ./main
    echo "$1: not C"
    if "$1" -std=c11 -DZBQ_IMPLEMENTATION -c main.c -o never.o 2>errors; then exit 1; fi
    [ "$(grep -c 'error' errors)" -le 2 ] && grep -q 'for a source file in C++20' errors
    tried=$((tried + 1))
}

try gcc g++
try clang clang++
if [ "$tried" -eq 0 ]; then
    echo "skipped: no compiler by these names"
    exit 77
fi
