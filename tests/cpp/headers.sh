#!/bin/bash
# SPDX-License-Identifier: MIT
# Each header of the C++ interface compiles by itself. headers.sh COMPILER INCLUDE
set -euo pipefail
for header in "$2"/zbq.hpp "$2"/zbq/*.hpp; do
    "$1" -std=c++20 -pedantic-errors -Wall -Wextra -Wconversion -Wshadow -Werror -fsyntax-only \
        -I"$2" -x c++ - <<<"#include \"$header\""
done
