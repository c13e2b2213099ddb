#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What ls, stat, top and export make of publishers whose statistics are lies.
# shellcheck source=tests/cli/liar_support.sh
source "$(dirname "$0")/liar_support.sh" "$@"

# Nothing that a terminal could take for more than text.
is_text() {
    LC_ALL=C grep -nP '[^\x20-\x7e\n]' "$1" && fail "$1 has what is no text"
    return 0
}

lies="loud random zero future"
# shellcheck disable=SC2086 # a list of words
serve $lies torn
"$zbq" ls --interval 10ms >ls.out || fail "ls"
is_text ls.out
for name in $lies; do
    says ls.out "^$name +-?[0-9]+ "
done
says ls.out '^torn: no answer$'
"$zbq" ls --json --interval 10ms >ls.json || fail "ls --json"
is_text ls.json
python3 -m json.tool ls.json >/dev/null || fail "that is no JSON"
for name in $lies; do
    "$zbq" stat "$name" >stat.out || fail "stat $name"
    is_text stat.out
    says stat.out 'holds? the stream back'
    "$zbq" stat --json "$name" >stat.json || fail "stat --json $name"
    python3 -m json.tool stat.json >/dev/null || fail "that is no JSON"
done
expect_status 1 "$zbq" stat torn 2>stat.err
"$zbq" export --textfile zbq.prom || fail "export"
is_text zbq.prom
for name in $lies; do
    says zbq.prom "^zbq_ring_up\{ring=\"$name\"\} 1$"
done
says zbq.prom '^zbq_ring_up\{ring="torn"\} 0$'
says zbq.prom '^zbq_ring_info\{ring="loud",name="\?\[31m\\"\\\\\?\{'
[ "$(grep -c '^zbq_reader_lag_bytes{ring="loud"' zbq.prom)" -eq 1000 ] || fail "not a thousand readers"
if command -v promtool >/dev/null; then
    promtool check metrics <zbq.prom || fail "promtool finds fault with it"
fi

if has_top; then
    trap end_terminal EXIT
    terminal new-session -d -s top -x 160 -y 40 \
        "env TERM=screen XDG_RUNTIME_DIR=$here '$zbq' top --interval 20ms 2>top.err; echo \"ended with \$?\"; cat"
    for name in $lies; do
        wait_until "$name" shows "^$name +"
        keys / "$name" Enter Down Enter
        wait_until "its readers" shows "^$name"
        wait_until "their titles" shows '^PID +LAG'
        keys Escape / Escape
        wait_until "all" shows '^NAME +RATE'
    done
    keys q
    wait_until "the end" shows '^ended with 0'
fi
[ ! -s serve.err ] || fail "the publishers"
