#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What goes in comes out, byte for byte, whatever the framing and the mode.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"

# transfer INPUT PUB-OPTIONS -- SUB-OPTIONS: to out.push and out.pull
transfer() {
    local input=$1 pub_options=() mode pids=()
    shift
    while [ "$1" != -- ]; do
        pub_options+=("$1")
        shift
    done
    shift
    for mode in push pull; do
        "$zbq" sub --wait "--$mode" "$@" x >out.$mode 2>sub.$mode.err &
        pids+=($!)
    done
    "$zbq" pub --wait-for 2 --capacity 64K "${pub_options[@]}" x <"$input" 2>pub.err ||
        fail "pub of $input"
    ended "${pids[0]}" 0
    ended "${pids[1]}" 0
}

expect() {
    same "$1" out.push
    same "$1" out.pull
}

seq 100000 >lines
printf 'one\ntwo\n\nlast without newline' >ragged
head -c 3000017 /dev/urandom >binary
: >empty

transfer lines -- --raw
expect lines
says pub.err '100000 messages'
transfer lines --lines -- --lines
expect lines
transfer binary -- --raw
expect binary
for size in 1 4095 65520; do
    head -c $((size * 700)) binary >some
    transfer some --chunks $size -- --raw
    expect some
done
transfer binary --chunks 10000 --
expect binary
says pub.err '301 messages'

# From a pipe that delivers in small pieces: chunks are filled all the same.
"$zbq" sub --wait --count x >out.count &
sub=$!
for i in 1 2 3 4 5; do echo "$i"; sleep 0.05; done |
    "$zbq" pub --wait-for 1 --chunks 4 --input /dev/stdin x 2>pub.err
ended $sub 0
says out.count '^messages 3 bytes 10 descriptors 0$'

# The output of one is the input of another: the messages' bounds survive.
transfer ragged -- --length-prefixed
cp out.push prefixed
transfer prefixed --length-prefixed -- --lines
printf 'one\ntwo\n\nlast without newline\n' >expected
expect expected
says pub.err '^zbq: 4 messages'
transfer ragged -- --raw
expect ragged

transfer empty -- --raw
expect empty
transfer empty --length-prefixed -- --count
says out.push '^messages 0 bytes 0 descriptors 0$'

# Accounts.
transfer lines -- --count --sha256
printf 'messages 100000 bytes %s descriptors 0\nsha256 %s\n' "$(stat -c %s lines)" \
    "$(sha256sum <lines | cut -d' ' -f1)" >expected
expect expected
transfer lines -- --quiet
expect empty
