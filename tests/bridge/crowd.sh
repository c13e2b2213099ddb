#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Fifty readers join an imported ring at once, and each has all of it.
# shellcheck source=tests/bridge/support.sh
source "$(dirname "$0")/support.sh" "$@"
# shellcheck disable=SC2119 # not these
serve
publish x --capacity 16M
export_it x X
import_it y X --wait-for 50 --max-consumers 60
wait_until "the exporter" joined $exporter
numbers X 0 19999 >&"$input"
crowd=()
for i in $(seq 50); do
    "$witness" y X 20000 >"y.seen.$i" 2>"y.$i.witness.err" &
    crowd+=($!)
done
for each in "${crowd[@]}"; do
    ended "$each" 0
done
cat y.seen.* >y.seen
[ "$(grep -c 'received 20000 missed 0 gaps 0 duplicates 0 here 0' y.seen)" = 50 ] || fail "not all: $(cat y.seen)"
kill -TERM $exporter $importer $pub
ended $importer 143
