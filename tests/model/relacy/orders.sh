#!/bin/bash
# SPDX-License-Identifier: MIT
# Takes the orders of one function after the other away, by weakened.txt, and sees its scenario
# fail. orders.sh PROGRAM [SCHEDULES]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
program=$1
schedules=${2:-20000}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
bad=0

say() { # verdict, function
    printf '%-16s%s\n' "$1" "$2"
}

# A schedule that the checker found wrong; no crash of the checker itself.
finds_out() { # function, scenario
    ! "$program" --schedules "$schedules" --weaken "$1" "^$2\$" >"$log" 2>&1 &&
        grep -qE '(ASSERT FAILED|DATA RACE|DEADLOCK|LIVELOCK)$' "$log"
}

listed() {
    grep -oE '^[a-z_]+' "$here/weakened.txt" | sort
}
used() {
    "$program" --schedules 100 --list-orders | sed -n 's/^orders: //p' |
        grep -vxE 'write|is_whole|kill|after_death' | sort
}

while read -r function scenario _; do
    if [ "$scenario" = - ]; then
        say "argued" "$function"
    elif finds_out "$function" "$scenario"; then
        say "found out" "$function"
    else
        say "NOT FOUND OUT" "$function"
        bad=$((bad + 1))
    fi
done < <(grep -E '^[a-z]' "$here/weakened.txt")

diff <(listed) <(used) || { echo "weakened.txt does not list the functions that order"; bad=$((bad + 1)); }
[ "$bad" -eq 0 ]
