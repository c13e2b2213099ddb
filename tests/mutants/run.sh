#!/bin/bash
# SPDX-License-Identifier: MIT
# Breaks each promise of the code in turn, by the list beside this file, and sees the named
# tests fail. run.sh [PATTERN] takes the mutants whose name matches.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=tests/mutants/mutate.sh
. "$here/mutate.sh"
pattern=${1:-.}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
build=$work/build

copy_tree() {
    mkdir "$tree"
    (cd "$root" && git ls-files -co --exclude-standard -z | xargs -0 cp --parents -t "$tree")
    cmake -G Ninja -S "$tree" -B "$build" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS=-w \
        -DZBQ_BUILD_EXAMPLES=OFF >/dev/null
}

run_tests() { # regex
    ctest --test-dir "$build" -R "$1" -j 2 --timeout 15 --stop-on-failure >"$work/log" 2>&1
}

programs_of() { # regex of tests: what they are of, and what they run
    { grep -oE '[a-z_]+_test' <<<"$1" || true; } | sort -u
    case $1 in
    *'cli\.'*) printf '%s\n' zbq-tool zbq_stranger zbq_outlet zbq_late_signal ;;
    esac
}

try_mutant() { # name, file, tests, original, replacement
    [[ $1 =~ $pattern ]] || return 0
    tried=$((tried + 1))
    cp "$tree/$2" "$work/kept"
    apply "$tree/$2" "$4" "$5"
    local programs
    mapfile -t programs < <(programs_of "$3")
    if ! cmake --build "$build" --target "${programs[@]}" >"$work/log" 2>&1; then
        verdict="DOES NOT BUILD"
        cat "$work/log"
    elif run_tests "$3"; then
        verdict=SURVIVED
    else
        verdict=killed
    fi
    [ "$verdict" = killed ] || bad=$((bad + 1))
    printf '%-16s%s\n' "$verdict" "$1"
    cp "$work/kept" "$tree/$2"
}

collect_tests() {
    if [[ $1 =~ $pattern ]]; then
        all_tests="$all_tests|$3"
    fi
}

tried=0 bad=0 all_tests='^$'
copy_tree
each_mutant "$here/list.txt" collect_tests
mapfile -t programs < <(programs_of "$all_tests")
cmake --build "$build" --target "${programs[@]}" >/dev/null
run_tests "$all_tests" || { cat "$work/log"; echo "the tests fail on the code as it is"; exit 1; }
each_mutant "$here/list.txt" try_mutant
echo "$tried mutants, $bad not killed"
[ "$tried" -gt 0 ] && [ "$bad" -eq 0 ]
