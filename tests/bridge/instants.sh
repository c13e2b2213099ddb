#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Exporter and importer are killed at each of their steps in turn, while their wall clocks jump: what
# there was is accounted for, and what was sent twice is published once.
# ZBQ_INSTANTS says how many steps of each (default 12; ./dev faults --bridge tries some hundred).
# shellcheck source=tests/bridge/support.sh
source "$(dirname "$0")/support.sh" "$@"
# shellcheck disable=SC2119 # not these
serve
export ZBQ_CLOCK_JUMPS=1
instants=${ZBQ_INSTANTS:-12}
publish x --capacity 16M
"$zbq" sub x >here 2>sub.err & # a reader, for whom all of this is nothing
wait_until "a reader" joined $!
# The witness's importer has a life of its own, and sees what the stream has.
import_it y X --quiet
per_round=40
stride=$((480 / instants > 0 ? 480 / instants : 1))
total=$((2 * instants * per_round))
witness_it y X $total
last=0

# dies_at STEP WHAT...: a bridge that is killed at that step, unless it comes to its end before
dies_at() {
    LD_PRELOAD=$dying ZBQ_DIES_AT=$1 "$bridge" "${@:2}" 2>>dying.err &
    mortal=$!
}

more() {
    numbers X $last $((last + per_round - 1)) >&"$input"
    last=$((last + per_round))
}

# It dies by itself, unless that takes it long.
buried() {
    local i
    for ((i = 0; i < 10; ++i)); do
        kill -0 $mortal 2>/dev/null || break
        sleep 0.05
    done
    kill -KILL $mortal 2>/dev/null || true
    local status=0
    wait $mortal || status=$?
    [ $status -eq 137 ] || fail "status $status of who was to be killed"
}

# ---- exporters: each is killed at a later step, and the next one goes on ----
for ((i = 1; i <= instants; ++i)); do
    dies_at $((i * stride)) export x --to "$url" --stream X --quiet
    more
    buried
done
export_it x X --quiet

# ---- importers, likewise: of their rings, one after the other, another witness makes the whole ----
"$witness" z X $total >z.seen 2>z.witness.err &
seeing_z=$!
for ((i = 1; i <= instants; ++i)); do
    dies_at $((i * stride)) import z --from "$url" --stream X --position z.pos --quiet
    more
    buried
done
import_it z X --position z.pos --quiet
witnessed $seeing
seen y "X received $total missed 0 gaps 0 duplicates 0"
witnessed $seeing_z
seen z 'X received [0-9]+ missed 0 gaps 0'
awk -v kills="$instants" '$9 > kills { exit 1 }' z.seen || fail "more than one message a kill came twice"
