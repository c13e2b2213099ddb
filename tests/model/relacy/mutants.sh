#!/bin/bash
# SPDX-License-Identifier: MIT
# Breaks the library by mutants.txt and sees the named scenario find it out. mutants.sh [PATTERN]
# takes the mutants whose name matches.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
# shellcheck source=tests/mutants/mutate.sh
. "$root/tests/mutants/mutate.sh"
# shellcheck source=tests/model/relacy/failure.sh
. "$here/failure.sh"
pattern=${1:-.}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build() {
    g++ -std=c++20 -O0 -w -I "$work/include" -I "$work/src" "$work/tests/model/relacy/main.cpp" \
        -lfmt -o "$work/zbq-relacy"
}

try_mutant() { # name, file, scenario, original, replacement
    [[ $1 =~ $pattern ]] || return 0
    tried=$((tried + 1))
    cp "$work/$2" "$work/kept"
    apply "$work/$2" "$4" "$5"
    local verdict="found out"
    if ! build; then
        verdict="DOES NOT BUILD"
    elif ! is_found_out "$work/zbq-relacy" --schedules 20000 "^$3\$"; then
        verdict="NOT FOUND OUT"
    fi
    [ "$verdict" = "found out" ] || bad=$((bad + 1))
    printf '%-16s%s\n' "$verdict" "$1"
    cp "$work/kept" "$work/$2"
}

(cd "$root" && cp -r --parents src include tests/model/relacy "$work")
tried=0 bad=0
each_mutant "$here/mutants.txt" try_mutant
echo "$tried mutants, $bad not found out"
[ "$tried" -gt 0 ] && [ "$bad" -eq 0 ]
