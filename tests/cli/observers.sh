#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Observers and history: sub --follow, --newest, --from.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"

mkfifo input
exec {input}<>input

# publish OPTIONS: what is written to $input, to whoever comes
publish() {
    "$zbq" pub --quiet "$@" x <&"$input" 2>pub.err &
    pub=$!
    wait_until "a publisher" test -S zbq/x
}

finish() {
    kill -TERM $pub
    ended $pub 143
}

publish --capacity 64K
seq 1 3 >&"$input"
"$zbq" sub --from oldest x >here 2>sub.err &
sub=$!
wait_until "a reader" joined $sub
seq 4 5 >&"$input"
wait_until "all of it" told here 5

# from FIRST OPTIONS: history from the FIRST line on
from() {
    rm -f out
    "$zbq" sub "${@:2}" x >out 2>late.err &
    late=$!
    wait_until "history" told out 5
    kill -TERM $late
    ended $late 143
    seq "$1" 5 | cmp - out || fail "${*:2}"
}

# History is there for who comes late: all of it, so much of it, from a message on.
from 1 --from oldest
from 1 --from -64K
from 1 --from 0 --follow
from 2 --from 32 # each of these takes 32 bytes
from 2 --from 32 --follow --pull

expect_status 2 "$zbq" sub --from 48 x 2>late.err
says late.err 'no message starts at offset 48'
expect_status 2 "$zbq" sub --from 1M x 2>late.err
says late.err 'no message starts at offset 1048576'
expect_status 2 "$zbq" sub --from here x 2>late.err
says late.err "'here' is no place to start"
expect_status 2 "$zbq" sub --follow --newest x 2>late.err

# An observer that is stopped holds nobody up, and is told what it has missed.
"$zbq" sub --follow x >followed 2>follow.err &
follow=$!
"$zbq" sub --newest x >newest 2>newest.err &
newest=$!
wait_until "an observer" joined $follow
wait_until "an observer" joined $newest
kill -STOP $follow $newest
seq 10000 20000 >&"$input"
wait_until "all of it" told here 20000
kill -CONT $follow $newest
wait_until "the last of it" told followed 20000
wait_until "the newest" told newest 20000
finish
ended $sub 0
ended $follow 0
ended $newest 0
(seq 1 5 && seq 10000 20000) | cmp - here || fail "the lossless reader"
[ ! -s newest.err ] || fail "what was skipped on purpose is told of"
[ ! -s pub.err ] || ! grep admitting pub.err || fail "a wrong start is the publisher's error"
says follow.err 'missed [0-9]+ bytes so far'
tail -n 1 followed | grep -qx 20000 || fail "the end of what was followed"
[ "$(wc -l <followed)" -lt 10000 ] || fail "nothing was missed"
sort -nc followed || fail "out of order"
[ "$(wc -l <newest)" -lt 10000 ] || fail "nothing was skipped"
