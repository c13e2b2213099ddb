#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Each of them is killed, stopped or away for a while, and goes on where it left off: what the ring
# still has is not missing, and comes once.
# shellcheck source=tests/bridge/support.sh
source "$(dirname "$0")/support.sh" "$@"
# shellcheck disable=SC2119 # not these
serve
publish x --capacity 16M
"$zbq" sub x >here 2>sub.err &
wait_until "a reader" joined $!
export_it x X
import_it y X --position y.pos
wait_until "the exporter" joined $exporter
last=-1

# more COUNT: so many messages more
more() {
    numbers X $((last + 1)) $((last + $1)) >&"$input"
    last=$((last + $1))
}

# all_there: the importer's ring has them all
arrived() {
    kill -USR1 $importer
    local told
    told=$(grep -oE 'import y from [A-Z]+: [0-9]+' y.import.err | tail -n 1)
    [ "${told##* }" = "$1" ]
}

# ---- the exporter ----
witness_it y X 50000
more 1000
wait_until "the first" arrived 1000
kill -KILL $exporter
more 1000
export_it x X
wait_until "the exporter" joined $exporter
more 1000
wait_until "what came meanwhile" arrived 3000

# ---- the server, stopped and killed ----
kill -STOP $server
more 5000
wait_until "all of it here" told here X00000007999
kill -CONT $server
wait_until "what came meanwhile" arrived 8000
kill -KILL $server
wait $server || true
more 2000
wait_until "all of it here" told here X00000009999
[ "$(grep -c evicted x.pub.err)" = 0 ] || fail "the publisher has noticed"
# shellcheck disable=SC2119 # not these
serve
wait_until "what came meanwhile" arrived 10000

# ---- the importer: its ring is another one, and goes on ----
kill -KILL $importer
more 1000
import_it y X --position y.pos
more 39000
witnessed $seeing
seen y 'X received 50000 missed 0 gaps 0 duplicates [01] here 0'
awk '$9 > 1 { exit 1 }' y.seen || fail "more than the message of the kill came twice"

# ---- two exporters of one ring ----
first=$exporter
export_it x X
second=$exporter
ended $first 8
says x.export.err 'replaced: another exporter'
witness_it y X 50010
more 10
witnessed $seeing
kill -TERM $second
ended $second 143
kill -TERM $importer $pub
