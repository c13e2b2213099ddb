#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# zbq top in a real terminal, tmux's: what is on the screen, whatever its size.
# shellcheck source=tests/cli/terminal_support.sh
source "$(dirname "$0")/terminal_support.sh" "$@"
command -v tmux >/dev/null || { echo "skipped: tmux is not installed"; exit 77; }

expect_status 1 "$zbq" top </dev/null 2>top.err
if grep -q 'without ncurses' top.err; then
    echo "skipped: built without ncurses"
    exit 77
fi
says top.err 'needs a terminal'

trap end_terminal EXIT

shows_not() { screen && ! grep -Eqs -- "$1" screen.txt; }
resize() { terminal resize-window -t top -x "$1" -y "$2"; }

# start COLUMNS ROWS ENVIRONMENT...
start() {
    terminal new-session -d -s top -x "$1" -y "$2" \
        "env TERM=screen XDG_RUNTIME_DIR=$here ${*:3} '$zbq' top --interval 50ms 2>top.err; echo \"ended with \$?\"; cat"
}

mkfifo input
exec {input}<>input
"$zbq" pub --capacity 4K --stall-timeout 0 "aaa-$$" <&"$input" 2>pub.err &
pub=$!
"$zbq" pub "bbb-$$" <&"$never" 2>other.err &
other=$!
wait_until "a publisher" test -S "zbq/aaa-$$"
wait_until "a publisher" test -S "zbq/bbb-$$"

start 110 24
wait_until "the rings" shows "^aaa-$$ .*\[\.{10}\] +0/64 +0 +$pub "
wait_until "the other" shows "^bbb-$$ "
shows '^NAME +RATE LAG +READERS +LOST +PID +AGE' || fail "the titles"
shows '^q quit  enter readers  s by name' || fail "the keys"

# A filter, and none.
keys / b b b
wait_until "the filter" shows 'filter: bbb'
wait_until "the filtered" shows_not "^aaa-$$ "
keys Escape
wait_until "all again" shows "^aaa-$$ "
keys / a a a - Enter

# Who holds it up, in red where there are colours.
"$zbq" sub "aaa-$$" >/dev/null 2>sub.err &
sub=$!
wait_until "a reader" joined $sub
kill -STOP $sub
seq 4000 >&"$input" &
wait_until "the bar" shows "^aaa-$$ .*\[#{10}\] +1/64"
keys Down Enter
wait_until "its readers" shows "^process $sub of .* holds the stream back"
wait_until "the reader" shows "^$sub .*\[#{10}\]"
shows '^q quit  esc back  s by lag' || fail "the keys of readers"
terminal capture-pane -p -e -t top >colours
grep -q $'\e\[[0-9;]*31m' colours || fail "no colours"
keys s
wait_until "another order" shows 's by unmoved'

# Any size.
for size in "20 6" "20 24" "7 3" "2 1" "200 50" "80 24"; do
    # shellcheck disable=SC2086 # two numbers
    resize $size
    wait_until "a screen of $size" shows '^[q]'
done
resize 1 1 # of which ncurses leaves the corner empty
resize 20 8
wait_until "the reader on a narrow screen" shows "^$sub +\[#+\]"
resize 110 24
wait_until "the reader" shows "^$sub .*\[#{10}\]"

# What happens meanwhile: an eviction, a publisher that is stopped, and one that goes.
keys Escape
wait_until "the rings" shows "^aaa-$$ "
kill -KILL $sub
wait_until "the eviction" shows "^aaa-$$: process $sub gone \(left or died\)"
kill -STOP $pub
wait_until "one that is stopped" shows "^aaa-$$ +no answer"
keys Enter
wait_until "its page" shows "^aaa-$$: no answer, as of "
keys Escape
kill -CONT $pub
wait_until "it goes on" shows "^aaa-$$ .*/s "
keys / Escape
wait_until "all" shows "^bbb-$$ "
keys / b b b Enter # others of this machine may be there, too
keys End Enter
wait_until "one without readers" shows '^nobody holds the stream back'
kill -TERM $other
ended $other 143
wait_until "one that goes while it is looked at" shows "^bbb-$$: gone, as of "
keys Escape
wait_until "one that goes" shows "^bbb-$$ +gone"
wait_until "one that has gone" shows_not "^bbb-$$ "
"$zbq" pub "bbb-$$" <&"$never" 2>other.err &
wait_until "another of that name" shows "^bbb-$$ .* 0/64 .* $! "
keys q
wait_until "the end" shows '^ended with 0'
terminal kill-session -t top

# Without colours.
start 110 24 NO_COLOR=1
wait_until "the rings" shows "^aaa-$$ "
terminal capture-pane -p -e -t top >colours
grep -q $'\e\[[0-9;]*3[1-7]m' colours && fail "colours"
keys C-c
wait_until "the end" shows '^ended with 130'
[ ! -s top.err ] || fail "it complains"
