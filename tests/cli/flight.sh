#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Flight recorders: nothing until it is asked for, then the last of it.
# shellcheck source=tests/cli/recording_support.sh
source "$(dirname "$0")/recording_support.sh" "$@"

# ---- a flight recorder: nothing until it is asked, then the last of it ----
publish x
record_it --ring-buffer 1000s x -o flight.mcap
witness
seq 1 500 >&"$input"
wait_until "all of it" told here 500
[ ! -e flight-0001.mcap ] || fail "a file that nobody asked for"
whole() { # until it has read all of it as well
    kill -USR2 $record
    wait_until "a dump" told record.err "flight-000$1.mcap: "
    "$zbq" info "flight-000$1.mcap" >out
    grep -qE ' 500 messages .*  x ' out
}
dumps=0
until whole $((++dumps)); do
    [ $dumps -lt 9 ] || fail "it has not read all of it"
    sleep 0.1
done
kill -KILL $pub
ended $pub 137
ended $sub 4
ended $record 0
last=flight-000$((dumps + 1)).mcap
[ -e "$last" ] || fail "no file at the publisher's death"
is "$last" 'count("x")' 500 \
    '[e["cause"] for e in d["ends"]]' "['died']"

# Its memory has a bound: the oldest goes.
publish x
record_it --lossless --ring-buffer 1000s --memory 200000 --chunk-size 20000 x -o bound.mcap
witness
seq 100001 150000 >&"$input"
wait_until "all of it" told here 150000
kill -KILL $pub
ended $pub 137
ended $sub 4
ended $record 0
is bound-0001.mcap '1000 < count("x") < 6000' True # 53 bytes each
