#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What is missing in a recording is noted there: laps, evictions, publishers that follow each other.
# shellcheck source=tests/cli/recording_support.sh
source "$(dirname "$0")/recording_support.sh" "$@"

# ---- a recorder that is stopped: an observer misses what is overwritten, and notes it ----
publish x --capacity 64K
record_it x -o lapped.mcap
witness
kill -STOP $record
seq 1 20000 >&"$input"
wait_until "all of it" told here 20000
kill -CONT $record
kill -TERM $pub
ended $pub 143
ended $sub 0
ended $record 0
says record.err '1 gap of [0-9]+ bytes'
is lapped.mcap 'len(gaps("lapped"))' 1
# Each of these messages takes 32 bytes: nothing is missing that is not told of.
is lapped.mcap 'count("x") * 32 + gaps("lapped")[0]["bytes"]' $((20000 * 32))

# ---- one that reads without loss is evicted, joins again, and notes that ----
publish x --capacity 64K --stall-timeout 2s
record_it --lossless x -o evicted.mcap
witness
kill -STOP $record
seq 1 20000 >&"$input"
wait_until "the eviction" told x.pub.err 'evicted: '
wait_until "all of it" told here 20000
kill -CONT $record
wait_until "the eviction's notice" told record.err 'joining again'
wait_until "the second join" joined $record
kill -TERM $pub
ended $pub 143
ended $sub 0
ended $record 0
is evicted.mcap 'len(gaps("evicted"))' 1 \
    'count("x") * 32 + sum(g["bytes"] for g in d["gaps"])' $((20000 * 32))

# ---- publishers that follow each other ----
publish x
record_it --again --lossless x -o again.mcap
echo first >&"$input"
"$zbq" sub --from oldest x >first 2>sub.err &
sub=$!
wait_until "the first" told first first
kill -KILL $pub
ended $pub 137
ended $sub 4
wait_until "the end of that" bash -c "! grep -q zbq-ring /proc/$record/maps"
publish x
wait_until "the recorder" joined $record
echo second >&"$input"
"$zbq" sub --wait --from oldest x >second 2>sub.err &
sub=$!
wait_until "the second" told second second
kill -TERM $pub
ended $pub 143
ended $sub 0
wait_until "the end of that" bash -c "! grep -q zbq-ring /proc/$record/maps"
kill -TERM $record
ended $record 143
is again.mcap 'count("x")' 2 \
    '[e["cause"] for e in d["ends"]]' "['died', 'closed']" \
    'len(gaps("producer restarted"))' 1 \
    'len([c for c in d["channels"] if c["topic"] == "x"])' 2
