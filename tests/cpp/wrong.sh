#!/bin/bash
# SPDX-License-Identifier: MIT
# Each file compiles, and does not once WRONG is defined. wrong.sh COMPILER INCLUDE DIRECTORY
set -euo pipefail
compile() {
    "$compiler" -std=c++20 -Werror=unused-result -fsyntax-only -I"$include" "$@" >/dev/null 2>&1
}
compiler=$1 include=$2
status=0
for file in "$3"/*.cpp; do
    compile "$file" || { echo "$file does not compile at all"; status=1; }
    ! compile -DWRONG "$file" || { echo "$file compiles, wrong as it is"; status=1; }
done
exit $status
