#!/bin/bash
# SPDX-License-Identifier: MIT
# Takes the orders of one function after the other away, by weakened.txt, and sees its scenario
# fail. orders.sh PROGRAM [SCHEDULES]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
program=$1
schedules=${2:-20000}
# shellcheck source=tests/model/relacy/failure.sh
. "$here/failure.sh"
bad=0

say() { # verdict, function
    printf '%-16s%s\n' "$1" "$2"
}

listed() {
    grep -oE '^[a-z_]+' "$here/weakened.txt" | sort
}
used() {
    "$program" --schedules 100 --list-orders | sed -n 's/^orders: //p' | sort
}

while read -r function scenario _; do
    if [ "$scenario" = - ]; then
        say "argued" "$function"
    elif is_found_out "$program" --schedules "$schedules" --weaken "$function" "^$scenario\$"; then
        say "found out" "$function"
    else
        say "NOT FOUND OUT" "$function"
        bad=$((bad + 1))
    fi
done < <(grep -E '^[a-z]' "$here/weakened.txt")

diff <(listed) <(used) || { echo "weakened.txt does not list the functions that order"; bad=$((bad + 1)); }
[ "$bad" -eq 0 ]
