#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What a subscriber writes to: that nobody takes it any more is noticed, whatever it is and whether
# or not there is something to write; and a signal ends a write that nobody lets go on.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"

# Streams without end, and one without a message, for as long as this test runs.
"$zbq" pub --rate 5000 busy < <(yes) 2>busy.err &
"$zbq" pub --rate 50 --chunks 128K --stall-timeout 0 large </dev/zero 2>large.err &
"$zbq" pub idle <&"$never" 2>idle.err &
for name in busy large idle; do
    wait_until "the publisher of $name" test -S zbq/$name
done

mkfifo pipe
# lost ARGUMENTS: to a pipe whose reader leaves before there is anything
lost() {
    "$zbq" sub "$@" >pipe 2>sub.err &
    local sub=$!
    : <pipe
    ended $sub 6
    [ ! -s sub.err ] || fail "a closed pipe is nothing to speak of"
}
lost busy
lost idle
lost --count busy
lost --sha256 idle
lost --wait nobody

# The same for one that reads already, and waits.
"$zbq" sub idle >pipe 2>sub.err &
sub=$!
exec {reader}<pipe
wait_until "a subscriber" joined $sub
exec {reader}<&-
ended $sub 6

# What it took has arrived.
status=0
"$zbq" sub busy 2>sub.err | head -c 100 >out || status=$? # breaks on purpose
[ $status -eq 6 ] || fail "status $status for a closed pipe"
[ "$(stat -c %s out)" -eq 100 ] || fail "100 bytes wanted"
wait_until "the publisher to notice" grep -Eq 'consumer 1 \(pid [0-9]+\) gone \(left or died\)' busy.err

# Who is dead is told of, also where the next one has its slot at once.
"$zbq" pub --max-consumers 1 narrow <&"$never" 2>narrow.err &
wait_until "the publisher of narrow" test -S zbq/narrow
for one in 1 2 3; do
    "$zbq" sub narrow 2>sub.err &
    sub=$!
    wait_until "a subscriber" joined $sub
    kill -KILL $sub
    ended $sub 137
done
for one in 1 2; do
    wait_until "the publisher to tell" told narrow.err "consumer $one (pid"
done

# Sockets hang up in a way of their own.
expect_status 6 "$outlet" socket-left "$zbq" sub busy
expect_status 6 "$outlet" socket-left "$zbq" sub idle

# Output that fails.
expect_status 6 "$zbq" sub busy >/dev/full 2>sub.err
says sub.err 'writing standard output: No space left'
expect_status 6 "$zbq" sub busy >&- 2>sub.err
says sub.err 'writing standard output: Bad file descriptor'
(
    ulimit -f 8
    expect_status 6 "$zbq" sub busy >limited 2>sub.err
)
says sub.err 'writing standard output: File too large \(the limit is 8192 bytes: ulimit -f\)'

# short STATUS OPTION: that of reading a stream that ends, with an output that fails
short() {
    seq 3 | "$zbq" pub --wait-for 1 --quiet short &
    expect_status "$1" "$zbq" sub --wait "$2" short >/dev/full 2>sub.err
    ended $! 0
}
short 6 --count
says sub.err 'writing standard output: No space left'
short 0 --quiet # which has no use for it

# The first signal ends a write that is under way ...
expect_status 130 "$outlet" pipe-full 2 "$zbq" sub large
# ... and one that is about to begin.
expect_status 143 "$outlet" pipe-unread env LD_PRELOAD="$late_signal" "$zbq" sub busy
