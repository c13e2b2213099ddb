#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Many publishers and one who collects.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"

# Each line comes once, in its publisher's order and with its name, also of one that was killed.
"$zbq" collect --until-last all >all.out 2>all.err &
all=$!
wait_until "the collector" test -S zbq/all
mkfifo input
exec {input}<>input
"$zbq" pub --dial --source killed all <&"$input" 2>killed.err &
killed=$!
seq 100 >&"$input"
wait_until "the collector to have read it" told all.out '^killed\[[0-9]*\]: 100$'
for source in one two; do
    seq 10000 | "$zbq" pub --dial --source $source --quiet all &
done
both_ended() { [ "$(grep -c " ended\$" all.err)" -eq 2 ]; }
wait_until "both to end" both_ended
kill -KILL $killed
ended $killed 137
ended $all 0
for source in one two; do
    grep "^$source\[" all.out | sed 's/.*: //' | cmp - <(seq 10000) || fail "not all of $source"
done
grep '^killed\[' all.out | sed 's/.*: //' | cmp - <(seq 100) || fail "not all of the killed one"
says all.err 'killed \(pid [0-9]+, user [0-9]+\) died$'
says all.err 'one \(pid [0-9]+, user [0-9]+\) ended$'

# Who may, and how many.
"$zbq" collect --max-sources 1 few >few.out 2>few.err &
few=$!
wait_until "the collector" test -S zbq/few
"$zbq" pub --dial few <&"$never" 2>first.err &
first=$!
wait_until "it to come" told few.err 'came$'
expect_status 1 "$zbq" pub --dial few </dev/null 2>pub.err
says pub.err 'no room for another'
says few.err 'was refused'
expect_status 1 "$zbq" sub few 2>sub.err
says sub.err 'nobody publishes there'
expect_status 1 "$zbq" collect few 2>second.err
says second.err 'in use'
kill -TERM $first
ended $first 143
kill -TERM $few
ended $few 143

# The other way round.
"$zbq" pub pub <&"$never" 2>pub.err &
wait_until "the publisher" test -S zbq/pub
expect_status 1 "$zbq" pub --dial pub </dev/null 2>dial.err
says dial.err 'nobody collects there'

# A name is no one's to end a line, or to write on a terminal, with.
"$zbq" collect --until-last bad >bad.out 2>bad.err &
bad=$!
wait_until "the collector" test -S zbq/bad
printf text | "$zbq" pub --dial --quiet --source $'a\n\e[0m' bad
ended $bad 0
[ "$(wc -l <bad.out)" -eq 1 ] || fail "a line of its own"
says bad.out '^a\?\?\[0m\[[0-9]+\]: text$'

# One who dials before there is a collector, and again after that was killed.
"$zbq" pub --dial --source faithful --rate 100 later </dev/zero --chunks 8 2>faithful.err &
for time in once again; do
    "$zbq" collect later >later.out 2>later.err &
    collector=$!
    wait_until "lines, $time" told later.out 'faithful'
    kill -KILL $collector
    ended $collector 137
done

# An output that nobody takes.
mkfifo pipe
"$zbq" collect idle >pipe 2>idle.err &
idle=$!
: <pipe
ended $idle 6
expect_status 2 "$zbq" collect 2>usage.err
expect_status 2 "$zbq" collect --user root bare 2>usage.err
says usage.err 'cannot reach'
expect_status 2 "$zbq" pub --dial --wait-for 1 x 2>usage.err
expect_status 2 "$zbq" pub --dial --source 1234567890123456789012345 x 2>usage.err
says usage.err '24 bytes'
