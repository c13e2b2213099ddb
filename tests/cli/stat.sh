#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# zbq stat: who holds the stream back; and accounts that a signal asks for.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"

expect_status 5 "$zbq" stat nobody 2>stat.err
says stat.err "nobody publishes at .*'zbq ls' lists"

mkfifo input
exec {input}<>input
"$zbq" pub --capacity 4K --stall-timeout 0 log <&"$input" 2>pub.err &
pub=$!
wait_until "a publisher" test -S zbq/log
"$zbq" stat log >stat.out || fail "stat"
says stat.out "^log: process $pub, for "
says stat.out '^id [0-9a-f]{32}, type -$'
says stat.out '^nobody holds the stream back$'
says stat.out ' through a ring of 4.0 KiB; full for '

# Two readers, one of which is stopped: the ring is full, and that is why.
"$zbq" sub log >first 2>first.err &
first=$!
"$zbq" sub log >second 2>second.err &
second=$!
wait_until "a reader" joined $first
wait_until "a reader" joined $second
echo begin >&"$input"
wait_until "the first" told first begin
wait_until "the second" told second begin
kill -STOP $second
seq 4000 >&"$input" &
held() {
    "$zbq" stat log >stat.out
    grep -q "^process $second of .* holds the stream back: slot [0-9]*, .* behind, has not moved for" stat.out
}
wait_until "it to be held up" held
says stat.out " $second .*in the way$"
grep -E " $first .*in the way$" stat.out && fail "the first one is in the way"
"$zbq" stat --json log >stat.json || fail "as JSON"
python3 - $pub $second <<'END' || fail "the JSON"
import json, sys
ring = json.load(open("stat.json"))
assert ring["pid"] == int(sys.argv[1]) and not ring["closed"], ring
slots = {slot["pid"]: slot for slot in ring["slots"]}
held = slots[int(sys.argv[2])]
assert held["holds_room"] and ring["slowest_slot"] == held["slot"], ring
assert held["times_slowest"] > 0 and held["lag_bytes"] > 0, held
assert ring["held_back"].startswith("process %s " % sys.argv[2]), ring
END

# A publisher that is stopped does not answer, and is watched all the same.
"$zbq" stat --watch --interval 20ms --timeout 20ms --json log >watched 2>watch.err &
watch=$!
wait_until "an account" told watched '"name":"log"'
kill -STOP $pub
wait_until "one of a publisher that is stopped" told watched '"problem":".*did not answer'
says watched '"held_back":"process'
expect_status 1 "$zbq" stat --timeout 20ms log 2>stat.err
says stat.err 'did not answer'
kill -CONT $pub $second

# Accounts.
kill -USR1 $pub $first
wait_until "the publisher's account" told pub.err 'messages, .* bytes in .* consumers now'
wait_until "the reader's account" told first.err 'messages, .* bytes so far; .* behind'

# One that leaves is remembered, and the end ends the watch.
kill -TERM $second
ended $second 143
gone() {
    "$zbq" stat log >stat.out
    grep -q ' gone (left or died), .* ago$' stat.out
}
wait_until "it to be gone" gone
says stat.out '1 consumers lost: 1 gone'
kill -TERM $pub
ended $pub 143
ended $first 0
ended $watch 0
says watched '"closed":true'

# A publisher that is killed while it is watched.
"$zbq" pub log <&"$never" 2>pub.err &
pub=$!
wait_until "a publisher" test -S zbq/log
"$zbq" stat --watch --interval 10ms log >watched 2>watch.err &
watch=$!
wait_until "an account" told watched "process $pub"
kill -KILL $pub
ended $pub 137
ended $watch 5
says watch.err 'nobody publishes'

expect_status 2 "$zbq" stat 2>usage.err
expect_status 2 "$zbq" stat --watch --interval 0 log 2>usage.err
