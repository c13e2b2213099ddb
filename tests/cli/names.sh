#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The rendezvous socket: who has it, when it is replaced, when it is removed.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"

idle_pub() { # PATH-OF-SOCKET OPTIONS: pid in $pub
    local socket=$1
    shift
    "$zbq" pub "$@" <&"$never" 2>idle.err &
    pub=$!
    wait_until "a publisher" is_listening "$socket"
}

# A connection is made: a stale socket would do for test -S.
is_listening() {
    [ -S "$1" ] && "$stranger" "$1" hangup >/dev/null 2>&1
}

idle_pub zbq/x x
[ "$(stat -c %a zbq)" = 700 ] || fail "the directory is not private"
[ "$(stat -c %a zbq/x)" = 600 ] || fail "the socket is not private"
expect_status 1 "$zbq" pub x </dev/null 2>pub.err
says pub.err "zbq/x is in use by process $pub: "
[ -S zbq/x ] || fail "the second publisher removed the socket of the first"
kill -TERM "$pub"
ended "$pub" 143
[ ! -e zbq/x ] || fail "the socket was left behind"

# Stale: its publisher was killed.
idle_pub zbq/x x
kill -KILL "$pub"
ended "$pub" 137
[ -S zbq/x ] || fail "no stale socket to test with"
expect_status 5 "$zbq" sub x 2>sub.err
expect_status 0 "$zbq" pub --quiet x </dev/null
[ ! -e zbq/x ] || fail "the replaced socket was left behind"

# Two at once: one of them gets it.
idle_pub zbq/x x
kill -KILL "$pub"
ended "$pub" 137
for i in 1 2 3 4; do
    "$zbq" pub x <&"$never" 2>many.$i.err &
    many[i]=$!
done
losers_are_told() {
    [ "$(cat many.?.err | grep -c 'in use by process')" -eq 3 ]
}
wait_until "three losers" losers_are_told
winners=0
for i in 1 2 3 4; do
    kill -TERM "${many[i]}" 2>/dev/null || true
    status=0
    wait "${many[i]}" || status=$?
    [ $status -eq 1 ] || [ $status -eq 143 ] || fail "status $status"
    [ $status -eq 1 ] || winners=$((winners + 1))
done
[ $winners -eq 1 ] || fail "$winners publishers of one name"

# Anything else at the place is left alone.
echo precious >zbq/file
mkdir zbq/directory
ln -s file zbq/link
for other in file directory link; do
    expect_status 1 "$zbq" pub $other </dev/null 2>pub.err
    says pub.err "zbq/$other exists and is not a socket"
done
[ "$(cat zbq/file)" = precious ] || fail "a file was overwritten"
"$stranger" zbq/stream stream >stream.out &
other=$!
wait_until "a stream socket" told stream.out listening
expect_status 1 "$zbq" pub stream </dev/null 2>pub.err
expect_status 1 "$zbq" sub stream 2>sub.err
says sub.err 'socket of another kind'
kill -0 $other || fail "stranger ended"
[ -S zbq/stream ] || fail "another program's socket was removed"

# A path that came to be another's is not removed at the end.
idle_pub ./own ./own
rm own
echo another >own
kill -TERM "$pub"
ended "$pub" 143
[ "$(cat own)" = another ] || fail "removed what was not its own"

# Names.
for name in "" . .. a/; do
    expect_status 2 "$zbq" pub "$name" </dev/null 2>pub.err
    expect_status 2 "$zbq" sub "$name" 2>sub.err
done
long=$(printf 'n%.0s' {1..108})
expect_status 1 "$zbq" pub "./$long" </dev/null 2>pub.err
says pub.err 'too long for a socket: 110 bytes, 107 at most'
expect_status 1 "$zbq" sub "$long" 2>sub.err
says sub.err 'too long'
expect_status 0 "$zbq" pub --quiet "./${long:3}" </dev/null

# Full.
idle_pub zbq/x --max-consumers 1 x
"$zbq" sub --count x >first.out &
first=$!
wait_until "the only place to be taken" joined $first
expect_status 1 "$zbq" sub x 2>sub.err
says sub.err 'no room for another consumer'
kill -KILL $first
ended $first 137
"$zbq" sub --count x >second.out 2>sub.err &
second=$!
wait_until "the second" joined $second
says idle.err "consumer 1 \(pid $first\) gone"
kill -TERM "$pub"
ended "$pub" 143
ended $second 0
