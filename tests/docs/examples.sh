#!/bin/bash
# SPDX-License-Identifier: MIT
# Each header of the C++ interface has an example, and those and the guide's compile, under the
# warnings that users turn on. examples.sh COMPILER SOURCE
set -euo pipefail
compiler=$1
examples=$(realpath "$(dirname "$0")/examples.awk")
cd "$2"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mapfile -t headers < <(sed -n 's/^#include "\(zbq\/.*\)".*/include\/\1/p' include/zbq.hpp)
{
    echo '#include <zbq.hpp>'
    printf '#include <%s>\n' iostream tuple
    # What readers put in the place of it.
    echo 'template <typename... Things> void use(const Things &...) {}'
    awk -f "$examples" "${headers[@]}" docs/guide.md
} >"$work/all.cpp"

for file in "${headers[@]}" docs/guide.md; do
    grep -qF "\"$file\"" "$work/all.cpp" || { echo "$file has no example"; exit 1; }
done

compile() { # PROGRAM
    "$compiler" -std=c++20 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -fsyntax-only \
        -Iinclude "$1"
}
compile "$work/all.cpp"
# And what is wrong in one is found.
sed 's/zbq::in(/zbq::within(/' "$work/all.cpp" >"$work/wrong.cpp"
! compile "$work/wrong.cpp" 2>/dev/null || { echo "examples with a wrong name compile"; exit 1; }
