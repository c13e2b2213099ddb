#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Each side waits for the other when asked to, and only then.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"

expect_status 5 "$zbq" sub x 2>sub.err
says sub.err "nobody publishes at $here/zbq/x: .* zbq pub x\$"
expect_status 5 "$zbq" sub ./nowhere/x 2>sub.err
says sub.err 'nobody publishes at ./nowhere/x: '

# --wait-for: nothing is published to fewer.
seq 1000 >input
"$zbq" pub --wait-for 3 --input input x 2>pub.err &
pub=$!
wait_until "the socket" test -S zbq/x
for i in 1 2; do
    "$zbq" sub x >out.$i &
    subs[i]=$!
done
sleep 0.3
if [ -s out.1 ] || [ -s out.2 ]; then
    fail "published before the third came"
fi
"$zbq" sub x >out.3 || fail "the third"
ended $pub 0
for i in 1 2; do
    ended "${subs[i]}" 0
    same input out.$i
done
same input out.3

# --wait: the publisher comes later.
"$zbq" sub --wait x >out &
sub=$!
sleep 0.2
kill -0 $sub || fail "sub --wait did not wait"
"$zbq" pub --wait-for 1 x <input 2>pub.err
ended $sub 0
same input out

# --wait can be stopped.
"$zbq" sub --wait x &
sub=$!
sleep 0.2
kill -TERM $sub
ended $sub 143

# --rate: a hundred messages at 200 a second take half a second, or longer.
start=$(date +%s%N)
seq 100 | "$zbq" pub --rate 200 --quiet x
took=$((($(date +%s%N) - start) / 1000000))
[ $took -ge 490 ] || fail "--rate: too fast, $took ms"

# One that comes while the stream runs gets the rest of it, and idle input is no hindrance.
"$zbq" pub x <&"$never" 2>pub.err &
pub=$!
wait_until "the socket" test -S zbq/x
"$zbq" sub --count x >out &
sub=$!
wait_until "it to join" joined $sub
kill -TERM $pub
ended $pub 143
ended $sub 0
says out '^messages 0 '
