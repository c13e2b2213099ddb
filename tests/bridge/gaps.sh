#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What is missing of a ring is told at the other end with its bytes and its cause: nothing is missing
# in silence, which the witness sees to.
# shellcheck source=tests/bridge/support.sh
source "$(dirname "$0")/support.sh" "$@"
serve

# total FILE: messages and missing bytes, as messages, of each ring
total() {
    awk '{ print $3 + $5 / 32 }' "$1.seen"
}

# ---- an exporter that is stopped: it observes, and the ring goes on ----
publish a --capacity 64K
export_it a A
import_it b A
wait_until "the exporter" joined $exporter
witness_it b A 20000
"$zbq" sub a >here 2>sub.err &
sub=$!
wait_until "a reader" joined $sub
kill -STOP $exporter
numbers A 0 19999 >&"$input"
wait_until "all of it" told here A00000019999
kill -CONT $exporter
witnessed $seeing
seen b 'gaps 1 .*lapped'
[ "$(total b)" = 20000 ] || fail "$(total b) of 20000"
kill -TERM $exporter $importer $pub
ended $exporter 143

# ---- one that reads without loss holds the ring back, is evicted, and joins again ----
publish c --capacity 64K --stall-timeout 2s
export_it c C --lossless
import_it d C
wait_until "the exporter" joined $exporter
witness_it d C 20000
"$zbq" sub c >there 2>sub2.err &
sub=$!
wait_until "a reader" joined $sub
kill -STOP $exporter
numbers C 0 19999 >&"$input"
wait_until "the eviction" told c.pub.err 'evicted: '
wait_until "all of it" told there C00000019999
kill -CONT $exporter
witnessed $seeing
seen d 'gaps 1 .*evicted'
[ "$(total d)" = 20000 ] || fail "$(total d) of 20000"
kill -TERM $exporter $importer $pub

# ---- a publisher that is killed, and the next one ----
publish e
export_it e E
import_it f E
witness_it f F 10
wait_until "the exporter" joined $exporter
numbers E 0 9 >&"$input"
wait_until "the first ring" test -S zbq/f
kill -USR1 $exporter
wait_until "ten messages" bash -c "kill -USR1 $exporter; grep -q 'export e to [A-Z]*: 10 messages' e.export.err"
kill -KILL $pub
ended $pub 137
publish e
wait_until "the next ring" joined $exporter
numbers F 0 9 >&"$input"
witnessed $seeing
seen f 'E received 10 missed 0'
seen f 'F received 10 missed 0'
kill -TERM $exporter $importer $pub

# ---- a stream that its limits have made shorter than what an importer has not read ----
publish g
export_it g G --max-bytes 32K --frame 1K
import_it h G --position h.pos
witness_it h G 10000
wait_until "the exporter" joined $exporter
numbers G 0 99 >&"$input"
wait_until "some" bash -c "kill -USR1 $importer; grep -q 'import h from [A-Z]*: 100 messages' h.import.err"
kill -STOP $importer
numbers G 100 9999 >&"$input"
wait_until "the rest" bash -c "kill -USR1 $exporter; grep -q 'export g to [A-Z]*: 10000 messages' g.export.err"
kill -KILL $importer
wait_until "its end" bash -c "! kill -0 $importer 2>/dev/null"
import_it h G --position h.pos
witnessed $seeing
seen h 'truncated'
[ "$(total h)" = 10000 ] || fail "$(total h) of 10000"
kill -TERM $exporter $importer $pub

# ---- messages that the server takes none of ----
echo 'max_payload: 8192' >small.conf
kill -TERM $server
wait $server || true
serve -c small.conf
head -c 3000 /dev/zero >small
head -c 20000 /dev/zero >large
"$zbq" pub --quiet --chunks 32K --wait-for 2 --input large i 2>i.pub.err &
pub=$!
import_it j I --once --wait-for 1
"$zbq" sub --wait --raw j >j.got 2>j.sub.err &
sub=$!
wait_until "the publisher" test -S zbq/i
"$zbq" sub --quiet i 2>i.sub.err &
export_it i I --once
ended $pub 0
ended $exporter 0
ended $importer 0
ended $sub 0
says i.export.err 'messages of more than [0-9]+ bytes'
says i.export.err '1 gaps of 20016 bytes'
says j.got '"cause":"too large".*"missing":20016'
