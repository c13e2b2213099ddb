#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Room is asked for when there is a message to put there: a reader that leaves none while there is
# no input is in nobody's way.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"

has_read() { # FILE BYTES
    [ "$(stat -c %s "$1")" -ge "$2" ]
}

# Of 4096 bytes three messages of 1000, each 1024 with its header and rounded up, leave no room
# for another one; only for the part of one that ends the input.
head -c 3500 /dev/urandom >input
mkfifo pipe
"$zbq" pub --wait-for 2 --capacity 4K --stall-timeout 200ms --chunks 1000 --input pipe x 2>pub.err &
pub=$!
"$zbq" sub --wait x >held &
held=$!
"$zbq" sub --wait x >moved_on &
other=$!
wait_until "one to join" joined $held
wait_until "the other to join" joined $other
kill -STOP $held
exec {pipe}>pipe
cat input >&"$pipe"
wait_until "three to be published" has_read moved_on 3000
sleep 1 # five times what it may hold a message up
! grep -q stalled pub.err || fail "evicted though nothing was waiting"
exec {pipe}>&-
ended $pub 0 # nor does the end of the input need more room than what is left to publish
kill -CONT $held
ended $held 0
ended $other 0
same input held
same input moved_on
