#!/bin/bash
# SPDX-License-Identifier: MIT
# For ./dev faults --bridge: the tests of the bridge again and again, with more of everything and another order
# of events each time, for an hour or --seconds N.
set -euo pipefail
seconds=3600
[ "${1:-}" != --seconds ] || seconds=$2
here=$(dirname "$0")
built=build/gcc
given=("$built/tools/zbq/zbq" "$built/bridge/zbq-bridge" "$built/tests/bridge/zbq_bridge_witness"
    "$built/tests/bridge/libzbq_bridge_dying.so")
log=$(mktemp)
trap 'rm -f "$log"' EXIT
runs=0
skipped=''
for ((seed = 1; SECONDS < seconds; ++seed)); do
    for subject in chaos instants full_disk hosts crowd resume gaps; do
        [ $SECONDS -lt "$seconds" ] || break
        status=0
        ZBQ_SEED=$seed ZBQ_EVENTS=40 ZBQ_INSTANTS=120 \
            bash "$here/$subject.sh" "${given[@]}" >"$log" 2>&1 || status=$?
        case $status in
        0) runs=$((runs + 1)) ;;
        77) skipped="$skipped $subject" ;;
        *)
            grep -v Killed "$log"
            echo "bridge: $subject failed, with the seed $seed"
            exit 1
            ;;
        esac
    done
done
echo "bridge: $runs runs in $SECONDS s, nothing missing in silence${skipped:+; skipped:$skipped}"
