#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Exporter, importer and server are killed, or stopped for a while, in an order that the seed gives, while messages
# go through: in the end each byte was received, or told as missing.
# ZBQ_EVENTS (default 8) and ZBQ_SEED say how much, and which.
# shellcheck source=tests/bridge/support.sh
source "$(dirname "$0")/support.sh" "$@"
events=${ZBQ_EVENTS:-8}
RANDOM=${ZBQ_SEED:-1}
# shellcheck disable=SC2119 # not these
serve
publish x --capacity 16M
"$zbq" sub x >here 2>sub.err &
wait_until "a reader" joined $!
export_it x X
import_it y X --position y.pos
wait_until "the exporter" joined $exporter
round=2000
total=$((events * round))
witness_it y X $total
lives=0

again() { # WHICH: ends it at once, and starts it anew
    case $1 in
    exporter)
        kill -KILL $exporter
        export_it x X
        ;;
    importer)
        kill -KILL $importer
        wait $importer || true # or its position is still locked
        import_it y X --position y.pos
        lives=$((lives + 1))
        ;;
    server)
        kill -KILL "$server"
        wait "$server" || true
        # shellcheck disable=SC2119 # not these
        serve
        ;;
    esac
}

pause() { # PID
    kill -STOP "$1"
    sleep 0.$((RANDOM % 9))
    kill -CONT "$1"
}

for ((i = 0; i < events; ++i)); do
    numbers X $((i * round)) $((i * round + round - 1)) >&"$input"
    sleep 0.0$((RANDOM % 9))
    case $((RANDOM % 6)) in
    0) again exporter ;;
    1) again importer ;;
    2) again server ;;
    3) pause $exporter ;;
    4) pause $importer ;;
    5) pause "$server" ;;
    esac
done
witnessed $seeing
awk -v total=$total -v lives=$lives '{
    if ($3 + $5 / 32 + $11 / 32 != total || $9 > lives) { print; exit 1 }
}' y.seen || fail "not all of $total: $(cat y.seen)"
[ "$(grep -c evicted x.pub.err)" = 0 ] || fail "the publisher has noticed"
cat y.seen
