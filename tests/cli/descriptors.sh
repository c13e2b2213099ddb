#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Files travel with the first message, to push-mode subscribers.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"

echo some >file
# with_files NUMBER: accounts in out.push, out.pull
with_files() {
    local options=() pids=() mode i
    for ((i = 0; i < $1; ++i)); do
        options+=(--fd file)
    done
    for mode in push pull; do
        "$zbq" sub --wait --$mode --count x >out.$mode 2>sub.$mode.err &
        pids+=($!)
    done
    seq 3 | "$zbq" pub --wait-for 2 "${options[@]}" x 2>pub.err || fail "pub with $1 files"
    ended "${pids[0]}" 0
    ended "${pids[1]}" 0
    says out.push "^messages 3 bytes 6 descriptors $1\$"
    says out.pull '^messages 3 bytes 6 descriptors 0$'
}
with_files 1
with_files 3
with_files 253

options=()
for ((i = 0; i < 254; ++i)); do
    options+=(--fd file)
done
expect_status 2 "$zbq" pub "${options[@]}" x </dev/null 2>pub.err
says pub.err '254 files, 253 at most'
expect_status 1 "$zbq" pub --fd missing x </dev/null 2>pub.err
says pub.err 'opening missing: No such file'

# The lowest limit that leaves a process so many.
limit_for() { # PID FREE
    local number=0 left=$2
    while [ "$left" -gt 0 ] || [ -e "/proc/$1/fd/$number" ]; do
        [ -e "/proc/$1/fd/$number" ] || left=$((left - 1))
        number=$((number + 1))
    done
    echo $number
}

# Out of them the publisher says so, once, whichever step of a join comes upon it; and goes on.
for left in 0 3; do
    "$zbq" pub x <&"$never" 2>pub.err &
    pub=$!
    "$zbq" sub --wait --quiet x &
    first=$!
    wait_until "one to join" joined $first
    limit=$(limit_for $pub $left)
    before=$(prlimit --pid $pub --nofile --noheadings --raw --output SOFT)
    prlimit --pid $pub --nofile="$limit:"
    for i in 1 2 3; do
        timeout 0.3 "$zbq" sub --quiet x 2>/dev/null || true
    done
    wait_until "it to say so" told pub.err 'nobody else can join'
    says pub.err "Too many open files \(the limit is $limit descriptors: ulimit -n\)\$"
    prlimit --pid $pub --nofile="$before:"
    "$zbq" sub --quiet x &
    sub=$!
    wait_until "another to join" joined $sub
    kill -TERM $pub
    ended $pub 143
    ended $first 0
    ended $sub 0
    [ "$(grep -c 'Too many open files' pub.err)" -eq 1 ] || fail "said more than once"
done
(
    ulimit -n 20
    expect_status 1 "$zbq" pub "${options[@]:2:100}" x </dev/null 2>pub.err
)
says pub.err 'opening file: Too many open files \(the limit is 20 '
