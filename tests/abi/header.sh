#!/bin/bash
# SPDX-License-Identifier: MIT
# The header alone, as C11 and C++20, with every compiler that is here.
set -euo pipefail
include=$1
warnings=(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
tried=0
check() { # compiler, language, standard
    command -v "$1" >/dev/null || return 0
    echo "$1 -std=$3"
    printf '#include "zbq.h"\n#include "zbq.h"\n' |
        "$1" -x "$2" -std="$3" "${warnings[@]}" -I"$include" -fsyntax-only -
    tried=$((tried + 1))
}
check gcc c c11
check clang c c11
check g++ c++ c++20
check clang++ c++ c++20
[ "$tried" -ge 2 ] || { echo "no compiler found"; exit 1; }
