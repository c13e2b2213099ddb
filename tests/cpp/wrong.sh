#!/bin/bash
# SPDX-License-Identifier: MIT
# Each file compiles, and does not once WRONG is defined. wrong.sh COMPILER INCLUDE DIRECTORY
#
# All in one go: the headers take longer than the files. Each file is in a namespace of its own.
set -euo pipefail
compiler=$1 include=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
files=("$3"/*.cpp)

grep -h '^#include' "${files[@]}" | sort -u >"$work/all.cpp"
for number in "${!files[@]}"; do
    printf 'namespace file_%s {\n#include "%s"\n}\n' "$number" "${files[number]}" >>"$work/all.cpp"
done
compile() {
    "$compiler" -std=c++20 -Werror=unused-result -I"$include" -fsyntax-only "$@" "$work/all.cpp" \
        2>"$work/said"
}

compile || { cat "$work/said"; exit 1; }
if compile -DWRONG; then
    echo "all of them compile, wrong as they are"
    exit 1
fi
status=0
for file in "${files[@]}"; do
    # With the place where it is used, an error in a header too.
    grep -qF "$file:" "$work/said" || { echo "$file compiles, wrong as it is"; status=1; }
done
exit $status
