#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs the fuzzers, each for some time from its corpus here and what earlier runs found.
set -euo pipefail
# They have sanitizers: as `sanitized` in ./dev says.
if [ "$(cat /proc/self/personality)" = 00000000 ] && setarch -R true 2>/dev/null; then
    exec setarch -R bash "$0" "$@"
fi
cd "$(dirname "$0")/../.."
here=tests/fuzz
built=build/fuzz/tests/fuzz
kept=build/fuzz/corpus # what they reached
found=build/fuzz/found # and what they failed on
seconds=60
names=()

all_names() {
    find $here/corpus -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | xargs
}

usage() {
    cat <<EOF
usage: ./dev fuzz [--seconds N] [NAME...]
       ./dev fuzz --mutants [PATTERN]
  Runs each fuzzer ($(all_names)) for N seconds, 60 if not said, as many at
  once as there are processors. New inputs are kept in $kept; an input that
  fails is kept in $found, and the run fails.
  To see one again: $built/fuzz_NAME FILE
  --mutants breaks the library and sees the fuzzers find it, within a minute each.
EOF
}

# The time limit is for an input that hangs, on any machine. Lengths are not limited at the start:
# short inputs are few calls.
fuzz() { # name, seconds, directories of inputs, the first for new ones; libFuzzer's options
    local name=$1 time=$2
    shift 2
    mkdir -p "$found"
    "$built/fuzz_$name" -max_total_time="$time" -len_control=0 -max_len=512 -timeout=120 \
        -rss_limit_mb=4096 -artifact_prefix="$found/$name-" -print_final_stats=1 "$@" 2>&1
}

summary() { # name, log
    local reached count
    reached=$(grep -oE 'cov: [0-9]+ ft: [0-9]+ corp: [0-9]+' "$2" | tail -1)
    count=$(grep -oE 'number_of_executed_units: .*' "$2" | grep -oE '[0-9]+' || echo 0)
    echo "$1: $count inputs, $reached"
}

# For a campaign.
run_one() { # name
    local log=build/fuzz/$1.log
    mkdir -p "$kept/$1"
    if ! fuzz "$1" "$seconds" "$kept/$1" "$here/corpus/$1" >"$log"; then
        tail -n 60 "$log"
        echo "$1: FAILED; the whole log is $log"
        return 1
    fi
    summary "$1" "$log"
}

while [ $# -gt 0 ]; do
    case $1 in
    --seconds)
        seconds=$2
        shift
        ;;
    --mutants)
        shift
        exec bash $here/mutants.sh "$@"
        ;;
    --help | -h)
        usage
        exit
        ;;
    -*)
        usage >&2
        exit 2
        ;;
    *) names+=("$1") ;;
    esac
    shift
done
[ ${#names[@]} -gt 0 ] || read -ra names < <(all_names)
bash $here/build.sh
export -f fuzz summary run_one
export here built kept found seconds
printf '%s\n' "${names[@]}" | xargs -P "$(nproc)" -I{} bash -euo pipefail -c 'run_one {}'
