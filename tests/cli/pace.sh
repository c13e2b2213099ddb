#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A pause of a publisher with --rate: what it held up does not come in a burst.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"

has_lines() { # FILE NUMBER
    [ "$(wc -l <"$1")" -ge "$2" ]
}
is_stopped() {
    grep -q '^State:.*stopped' "/proc/$1/status"
}

rate=200 pause=2
"$zbq" pub --wait-for 1 --rate $rate x < <(yes) 2>pub.err &
pub=$!
"$zbq" sub --wait x >out &
sub=$!
wait_until "a message" has_lines out 1
kill -STOP $pub
wait_until "it to stop" is_stopped $pub
sleep $pause
before=$(wc -l <out)
kill -CONT $pub
wait_until "it to go on" has_lines out $((before + rate / 5))
kill -TERM $pub
ended $pub 143
ended $sub 0
# "N messages, ... in T s": the pause is in T, and cost its messages but for a tenth of a second's.
awk -v rate=$rate -v pause=$pause '/ messages, / {
    most = rate * ($7 - pause + 0.1) + 1
    print $2 " messages in " $7 " s, " most " at most"
    exit !($2 <= most)
}' pub.err || fail "it made up for the pause: $(tail -n 1 pub.err)"
