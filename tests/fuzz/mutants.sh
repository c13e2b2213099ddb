#!/bin/bash
# SPDX-License-Identifier: MIT
# Breaks the library by the list beside this file and sees the named fuzzer find it within a minute.
# mutants.sh [PATTERN] takes the mutants whose name matches.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
pattern=${1:-.}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=tests/mutants/mutate.sh
. "$root/tests/mutants/mutate.sh"

copy_tree() {
    (cd "$root" && git ls-files -co --exclude-standard -z | xargs -0 cp --parents -t "$work")
    (cd "$work" && cmake --preset fuzz -DCMAKE_CXX_FLAGS=-w >/dev/null)
}

find_it() { # fuzzer, seconds
    (cd "$work" && "build/fuzz/tests/fuzz/fuzz_$1" -seed=1 -max_total_time="$2" -len_control=0 \
        -max_len=512 -timeout=120 -artifact_prefix="$work/" "$work/new" "tests/fuzz/corpus/$1") \
        >"$work/log" 2>&1
}

try_mutant() { # name, file, fuzzer, original, replacement
    [[ $1 =~ $pattern ]] || return 0
    tried=$((tried + 1))
    cp "$work/$2" "$work/kept"
    rm -rf "$work/new"
    mkdir "$work/new"
    apply "$work/$2" "$4" "$5"
    local verdict
    if ! cmake --build "$work/build/fuzz" --target "fuzz_$3" >"$work/log" 2>&1; then
        verdict="DOES NOT BUILD"
        cat "$work/log"
    elif find_it "$3" 60; then
        verdict="NOT FOUND"
    else
        verdict="found by $3"
    fi
    [[ $verdict = found* ]] || bad=$((bad + 1))
    printf '%-16s%s\n' "$verdict" "$1"
    cp "$work/kept" "$work/$2"
}

tried=0 bad=0
copy_tree
each_mutant "$here/mutants.txt" try_mutant
echo "$tried mutants, $bad not found"
[ "$tried" -gt 0 ] && [ "$bad" -eq 0 ]
