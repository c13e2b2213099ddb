#!/bin/bash
# SPDX-License-Identifier: MIT
# Each file compiles, and does not once WRONG is defined. wrong.sh COMPILER INCLUDE DIRECTORY
set -euo pipefail
compiler=$1 include=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0

# The headers are read once for all files.
echo '#include <zbq.hpp>' >"$work/all.hpp"
flags=(-std=c++20 -Werror=unused-result -I"$include")
"$compiler" "${flags[@]}" -x c++-header -o "$work/all.hpp.gch" "$work/all.hpp"

compile() {
    "$compiler" "${flags[@]}" -fsyntax-only -include "$work/all.hpp" "$@" >/dev/null 2>&1
}
for file in "$3"/*.cpp; do
    compile "$file" || { echo "$file does not compile at all"; status=1; }
    ! compile -DWRONG "$file" || { echo "$file compiles, wrong as it is"; status=1; }
done
exit $status
