#!/bin/bash
# SPDX-License-Identifier: MIT
# Breaks each promise of the code in turn, by the list beside this file, and sees the named
# tests fail. run.sh [PATTERN] takes the mutants whose name matches. As many at once as there are
# processors, each in a copy of the tree with a build of its own.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=tests/mutants/mutate.sh
. "$here/mutate.sh"
pattern=${1:-.}
workers=$(nproc)
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT

copy_tree() {
    mkdir -p "$tree"
    (cd "$root" && git ls-files -co --exclude-standard -z | xargs -0 cp --parents -t "$tree")
    cmake -G Ninja -S "$tree" -B "$build" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS=-w \
        -DZBQ_BUILD_EXAMPLES=OFF >/dev/null
}

run_tests() { # regex
    ctest --test-dir "$build" -R "$1" --timeout 15 --stop-on-failure --no-tests=error \
        >"$work/log" 2>&1
}

# One regex of all would have more brackets than ctest takes.
run_all_tests() { # regexes, one a line
    local regex
    while read -r regex; do
        run_tests "$regex" || return 1
    done <<<"$1"
}

programs_of() { # regex of tests: what they are of, and what they run
    { grep -oE '[a-z_]+_test' <<<"$1" || true; } | sort -u
    case $1 in
    *'cli\.'*) printf '%s\n' zbq-tool zbq_stranger zbq_outlet zbq_late_signal ;;
    *'bridge\.'*) printf '%s\n' zbq-tool zbq-bridge zbq_bridge_witness zbq_bridge_dying \
        bridge_frame_test bridge_carrier_test ;;
    esac
}

is_mine() { # name: whether it was asked for, and is this worker's
    [[ $1 =~ $pattern ]] || return 1
    seen=$((seen + 1))
    [ $((seen % workers)) -eq "$worker" ]
}

try_mutant() { # name, file, tests, original, replacement
    is_mine "$1" || return 0
    cp "$tree/$2" "$work/kept"
    apply "$tree/$2" "$4" "$5"
    local programs verdict
    mapfile -t programs < <(programs_of "$3")
    if ! cmake --build "$build" --target "${programs[@]}" >"$work/log" 2>&1; then
        verdict="DOES NOT BUILD"
        cat "$work/log"
    elif run_tests "$3"; then
        verdict=SURVIVED
    else
        verdict=killed
    fi
    printf '%-16s%s\n' "$verdict" "$1" | tee -a "$work/verdicts"
    cp "$work/kept" "$tree/$2"
}

collect_tests() {
    if is_mine "$1"; then
        all_tests+=$3$'\n'
    fi
}

work_off() { # number of the worker
    worker=$1 work=$top/$1 all_tests='' seen=0
    tree=$work/tree build=$work/build
    copy_tree
    each_mutant "$here/list.txt" collect_tests
    [ -n "$all_tests" ] || return 0 # there are more processors than mutants
    all_tests=$(sort -u <<<"${all_tests%$'\n'}")
    mapfile -t programs < <(programs_of "$all_tests")
    [ "${#programs[@]}" -eq 0 ] || cmake --build "$build" --target "${programs[@]}" >/dev/null
    run_all_tests "$all_tests" ||
        { cat "$work/log"; echo "the tests fail on the code as it is"; exit 1; }
    seen=0
    each_mutant "$here/list.txt" try_mutant
}

pids=()
for ((i = 0; i < workers; ++i)); do
    mkdir "$top/$i"
    touch "$top/$i/verdicts"
    work_off "$i" &
    pids+=($!)
done
failed=0
for pid in "${pids[@]}"; do
    wait "$pid" || failed=1
done
tried=$(cat "$top"/*/verdicts | wc -l)
bad=$(cat "$top"/*/verdicts | grep -vc '^killed' || true)
echo "$tried mutants, $bad not killed"
[ "$failed" -eq 0 ] && [ "$tried" -gt 0 ] && [ "$bad" -eq 0 ]
