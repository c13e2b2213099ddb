#!/bin/bash
# SPDX-License-Identifier: MIT
# A header compiles by itself, as C++20 without extensions and under every warning that users turn
# on. headers.sh COMPILER INCLUDE HEADER
set -euo pipefail
"$1" -std=c++20 -pedantic-errors -Wall -Wextra -Wpedantic -Wconversion -Wold-style-cast -Wshadow \
    -Wswitch-enum -Werror -fsyntax-only -I"$2" -x c++ - <<<"#include <$3>"
