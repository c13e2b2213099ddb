#!/bin/bash
# SPDX-License-Identifier: MIT
# The libraries export the names in the list, which are those that the header declares.
set -euo pipefail
shared=$1 static=$2 list=$3 header=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
nm -D --defined-only "$shared" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
    sort -u >"$work/shared"
readelf -sW "$static" 2>/dev/null |
    awk '$5 == "GLOBAL" && $6 == "DEFAULT" && $7 != "UND" { print $8 }' | sort -u >"$work/static"
grep -v '^ \*' "$header" | grep -oE '\bzbq_[a-z_]+\(' | tr -d '(' | sort -u >"$work/declared"
sort -u "$list" >"$work/list"
for names in shared static declared; do
    diff -u "$work/list" "$work/$names" || { echo "$names differs from the list"; exit 1; }
done
! grep -v '^zbq_' "$work/shared"
