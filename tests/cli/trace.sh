#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The scripts for bpftrace, on the tool at work: each probe is seen.
scripts=$(realpath "$(dirname "$0")/../../tools/trace")
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"
library=$(ldd "$zbq" | sed -n 's/.*libzbq\.so.* => \(.*\) (.*/\1/p')
readelf -n "$library" >notes 2>/dev/null
[ "$(grep -c 'Provider: zbq$' notes || true)" -gt 0 ] || { echo "skipped: a library without probes"; exit 77; }
bpftrace -e 'BEGIN { exit(); }' >bpf.out 2>&1 || { echo "skipped: no bpftrace that works here"; exit 77; }

# trace SCRIPT PID: in the background, once it has hold of the probes
trace() {
    # Attached last: then the others are there.
    { cat "$scripts/$1" && printf '%s\n' 'interval:ms:50 { printf("begun\n"); }'; } >"$1"
    bpftrace -B line -p "$2" "$1" >"$1.out" 2>"$1.err" &
    tracer=$!
    wait_until "$1" told "$1.out" begun
}

# The summary of what was seen comes at its end.
traced() {
    kill -INT $tracer
    ended $tracer 0
}

# said_after_a_word FILE TEXT: for wait_until
said_after_a_word() {
    echo word >&"$input"
    sleep 0.1
    told "$1" "$2"
}

read_again() {
    [ "$(grep -c ^50000 sub.out)" = 2 ]
}

mkfifo input
exec {input}<>input
"$zbq" pub --quiet --capacity 64K --stall-timeout 600s x <&"$input" 2>pub.err &
pub=$!
wait_until "a publisher" test -S zbq/x

trace evictions.bt $pub
"$zbq" sub x >sub.out 2>sub.err &
sub=$!
wait_until "a join" told evictions.bt.out join
kill -KILL $sub
ended $sub 137
wait_until "an eviction" said_after_a_word evictions.bt.out dead
traced

trace wakes.bt $pub
"$zbq" sub x >sub.out 2>sub.err &
sub=$!
wait_until "a reader" joined $sub
wait_until "a wake-up" said_after_a_word wakes.bt.out wakes_per_second
traced

trace clogged.bt $pub
kill -STOP $sub
seq 1 50000 >&"$input" &
filler=$!
wait_until "a full ring" told clogged.bt.out '@scans\['
kill -CONT $sub
ended $filler 0
wait_until "all of it" told sub.out 50000
traced
says clogged.bt.out '@lag_bytes\['

"$zbq" sub --follow x >observer.out 2>observer.err &
observer=$!
wait_until "an observer" joined $observer
trace laps.bt $observer
kill -STOP $observer
seq 1 50000 >&"$input"
wait_until "all of it again" read_again
kill -CONT $observer
wait_until "the last" told observer.out 50000
traced
says laps.bt.out '@lost_in_all: [1-9]'
