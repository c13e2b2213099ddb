#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What is said on standard error: nothing becomes of it that anyone else would notice, whatever
# that is; and it is said in a way that a terminal can show.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"

# A pipe that is full and stays so.
mkfifo pipe
exec 8<>pipe
while dd if=/dev/zero of=pipe oflag=nonblock bs=1K count=1 status=none 2>/dev/null; do :; done

# with_errors_to WHERE COMMAND...: becomes the command, so in the background only
with_errors_to() {
    local where=$1
    shift
    case $where in
    closed) exec "$@" 2>&- ;;
    full) exec "$@" 2>/dev/full ;;
    stuck) exec "$@" 2>pipe ;;
    broken) exec "$@" 2> >(:) ;;
    esac
}

seq 50000 >input
for where in closed full stuck broken; do
    # Of three readers one is killed, and one stopped until it is evicted: the publisher has that
    # to say, and the evicted one, too.
    "$zbq" sub --wait x >out &
    reader=$!
    with_errors_to $where "$zbq" sub --wait --quiet x &
    stopped=$!
    "$zbq" sub --wait --quiet x 2>killed.err &
    killed=$!
    mkfifo ready.$where
    with_errors_to $where "$zbq" pub --wait-for 3 --stall-timeout 200ms --capacity 64K \
        --input ready.$where x &
    pub=$!
    for pid in $reader $stopped $killed; do
        wait_until "them to join" joined "$pid"
    done
    kill -KILL $killed
    kill -STOP $stopped
    cat input >ready.$where
    ended $pub 0
    kill -CONT $stopped
    ended $stopped 3
    ended $reader 0
    same input out

    with_errors_to $where "$zbq" frob &
    ended $! 2
    with_errors_to $where "$zbq" sub nobody &
    ended $! 5
    with_errors_to $where "$zbq" pub --input missing x &
    ended $! 1
done

# Nothing of the tool's own gets the number of a standard stream.
mkfifo input.fifo
exec 9<>input.fifo
"$zbq" pub --input input.fifo x <&- >&- 2>&- &
pub=$!
wait_until "the socket" test -S zbq/x
"$zbq" sub --quiet x <&- >&- 2>&- &
sub=$!
wait_until "it to join" joined $sub
for fd in 0 1 2; do
    for pid in $pub $sub; do
        [ "$(readlink "/proc/$pid/fd/$fd")" = /dev/null ] || fail "something else is at $fd"
    done
done
kill -TERM $pub
ended $pub 143
ended $sub 0

# The progress, on a narrow terminal.
"$outlet" terminal 40 "$zbq" pub narrow <&"$never" >screen &
wait_until "progress" told screen 'messages, '
"$zbq" sub --quiet narrow &
sub=$!
wait_until "it to join" joined $sub
widths() {
    tr '\r' '\n' <screen | sed -n 's/\x1b\[K.*//; /messages, /p' | awk '{ print length }' | sort -un
}
[ "$(widths)" = 39 ] || fail "lines of $(widths | paste -sd ' ') on a terminal of 40 columns"
