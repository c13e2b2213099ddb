#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Whoever connects and misbehaves gets no slot and delays nobody.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"

seq 20000 >input

# More silent ones than are kept: the only slot is still there for a subscriber.
"$zbq" pub --max-consumers 1 --wait-for 1 --rate 20000 --input input x 2>pub.err &
pub=$!
wait_until "the socket" test -S zbq/x
"$stranger" zbq/x silent >silent.out &
silent=$!
wait_until "strangers" told silent.out connected
"$zbq" sub x >out || fail "sub among silent strangers"
same input out
ended $pub 0
ended $silent 0

# Silent ones are dropped in the end, while the publisher has nothing else to do.
"$zbq" pub x <&"$never" 2>pub.err &
pub=$!
wait_until "the socket" test -S zbq/x
"$stranger" zbq/x silent >dropped.out &
silent=$!
wait_until "strangers" told dropped.out connected # the 33rd drops the oldest
answers() { # ANSWER WORDS; none to one that a busy machine has kept too long from saying its words
    [ "$("$stranger" zbq/x "$2")" = "answer $1" ]
}
for words in half garbage version mode long; do
    wait_until "$words to be refused" answers 2 $words
done
wait_until "a proper hello to be taken" answers 0 hello
wait_until "them to be dropped" told dropped.out dropped
ended $silent 0
kill -0 $pub || fail "the publisher ended"
kill -TERM $pub
ended $pub 143

# A flood, in the midst of a stream.
"$zbq" pub --wait-for 1 --rate 10000 --input input x 2>pub.err &
pub=$!
wait_until "the socket" test -S zbq/x
"$stranger" zbq/x flood >flood.out &
flood=$!
wait_until "the flood" told flood.out flooding
"$zbq" sub x >out || fail "sub in a flood"
same input out
ended $pub 0
wait $flood || true # the socket is gone before it ends

# And the other way round: a publisher that says nothing, or nonsense.
"$stranger" zbq/y nonsense >mute.out &
wait_until "a false publisher" told mute.out listening
expect_status 1 "$zbq" sub y 2>sub.err
says sub.err "not a zbq program's answer"
"$stranger" zbq/z mute >silence.out &
wait_until "a mute publisher" told silence.out listening
expect_status 1 "$zbq" sub z 2>sub.err
says sub.err 'did not answer'
