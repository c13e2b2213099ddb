#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A thousand rings: in one listing, and on the screen.
# shellcheck source=tests/cli/liar_support.sh
source "$(dirname "$0")/liar_support.sh" "$@"

mapfile -t many < <(seq -f 'many%04g' 1000)
serve "${many[@]}"
"$zbq" ls --interval 0 --timeout 60s >ls.out || fail "ls of a thousand"
[ "$(grep -c '^many[0-9]* *[0-9]' ls.out)" -eq 1000 ] || fail "not all of a thousand"
if has_top; then
    trap end_terminal EXIT
    terminal new-session -d -s top -x 60 -y 20 \
        "env TERM=screen XDG_RUNTIME_DIR=$here '$zbq' top --timeout 60s 2>top.err; echo \"ended with \$?\"; cat"
    wait_until "a screen full" shows '^many0001 '
    keys / many Enter
    wait_until "all" shows '^zbq top: [0-9]{4,} rings, filter: many$'
    keys End
    wait_until "the last" shows '^many1000 '
    keys PPage
    wait_until "one before" shows '^many0990 '
    keys q
    wait_until "the end" shows '^ended with 0'
fi
kill -KILL $server
wait $server 2>/dev/null || true
"$zbq" ls --interval 0 >ls.out || fail "ls of none"
grep '^many' ls.out && fail "who has gone is there"
[ ! -s serve.err ] || fail "the publishers"
