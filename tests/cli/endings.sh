#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every way in which the two sides end, and the status they end with.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"

# Publishes for ever, 5000 messages a second. Background jobs ignore Ctrl-C unless told.
endless_pub() {
    env --default-signal=INT "$zbq" pub --rate 5000 "$@" x < <(yes) 2>pub.err &
    pub=$!
    wait_until "the socket" test -S zbq/x
}

# A subscriber of which it is known that it reads: output in $1, pid in $sub.
reading_sub() {
    local output=$1
    shift
    rm -f "$output" sub.err
    env --default-signal=INT "$zbq" sub "$@" x >"$output" 2>sub.err &
    sub=$!
}

stop_pub() { # SIGNAL STATUS
    kill "-$1" "$pub"
    ended "$pub" "$2"
    rm -f zbq/x
}

# Evicted.
for mode in push pull; do
    endless_pub --capacity 4K --stall-timeout 300ms
    reading_sub out --$mode
    wait_until "output" test -s out
    kill -STOP "$sub"
    wait_until "the eviction" told pub.err stalled
    says pub.err "^zbq: consumer 1 \(pid $sub\) evicted: stalled, at [0-9]+\.[0-9]{3} s, after message [0-9]+, [0-9]+ bytes behind\$"
    kill -CONT "$sub"
    ended "$sub" 3
    says sub.err 'evicted by the publisher after message [0-9]+: stalled'
    [ -z "$(tr -d 'y\n' <out)" ] || fail "torn bytes in the output"
    stop_pub TERM 143
done

# The same for accounts: no digest of what may be torn.
endless_pub --capacity 4K --stall-timeout 300ms
reading_sub out --count --sha256
wait_until "it to join" joined "$sub"
kill -STOP "$sub"
wait_until "the eviction" told pub.err stalled
kill -CONT "$sub"
ended "$sub" 3
says out '^messages [0-9]'
! grep -q sha256 out || fail "a digest after an eviction"
stop_pub TERM 143

# The publisher is killed.
for mode in push pull; do
    endless_pub
    reading_sub out --$mode
    wait_until "output" test -s out
    stop_pub KILL 137
    ended "$sub" 4
    says sub.err 'failed or died without ending the stream'
done

# Ctrl-C, here at the subscriber.
endless_pub
reading_sub out --count --sha256
wait_until "it to join" joined "$sub"
kill -INT "$sub"
ended "$sub" 130
says out '^messages [0-9]'
says out '^sha256 '
# And at the publisher: the stream ends properly.
reading_sub out
wait_until "output" test -s out
kill -INT "$pub"
ended "$pub" 130
ended "$sub" 0
says pub.err '^zbq: [0-9]+ messages, '
[ ! -e zbq/x ] || fail "the socket was left behind"

# It can be stopped while a consumer holds it back, and while it waits for consumers.
endless_pub --capacity 4K --stall-timeout 0
reading_sub out
wait_until "output" test -s out
kill -STOP "$sub"
sleep 0.5
stop_pub INT 130
kill -CONT "$sub"
ended "$sub" 0
endless_pub --wait-for 5
stop_pub TERM 143
endless_pub
stop_pub HUP 129
