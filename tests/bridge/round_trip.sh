#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A ring crosses whole, with its type, flags, what it retains and its end; and both stores.
# shellcheck source=tests/bridge/support.sh
source "$(dirname "$0")/support.sh" "$@"
# shellcheck disable=SC2119 # not these
serve

# ---- what is published arrives, in order, once; the end too ----
for store in file memory; do
    options=()
    [ $store = file ] || options=(--memory)
    head -c 3000000 /dev/urandom >sent
    echo format >format
    import_it y S-$store --once --wait-for 1
    "$zbq" sub --wait --retained --raw y >got 2>sub.err &
    sub=$!
    "$zbq" pub --quiet --retain 7=format --chunks 1000 --wait-for 1 --input sent x 2>pub.err &
    pub=$!
    export_it x S-$store --once "${options[@]}"
    ended $pub 0
    ended $exporter 0
    ended $importer 0
    ended $sub 0
    # Notes have a size of their own, and stand before what they are about.
    python3 -IS -c 'import sys
got, sent = open("got", "rb").read(), open("sent", "rb").read()
sys.exit(0 if got.endswith(sent) and b"format\n" in got[:len(got) - len(sent)] else 1)' ||
        fail "it is other bytes that arrive ($store)"
    says x.export.err 'export x to S-(file|memory): 300[0-9] messages'
done

# ---- the tool finds it ----
PATH=$(dirname "$bridge"):$PATH "$zbq" bridge --help >help
says help 'zbq bridge .*SUBCOMMAND'

# ---- where it is from ----
publish a
export_it a A
import_it b A
wait_until "the ring" test -S zbq/b
"$bridge" origin b >from
says from '"name":"a"'
says from '"ring":"[0-9a-f]{32}"'
says from '"offset":0'
expect_status 1 "$bridge" origin a 2>origin.err
says origin.err 'no importer'

# ---- several by a file, one of which ends ----
cat >bridge.conf <<END
# both directions
import --from $url --stream B d --once --wait-for 1

export c --to $url --stream B --once
END
publish c
"$bridge" run bridge.conf 2>run.err &
run=$!
"$witness" d C 1000 >d.seen 2>d.witness.err &
seeing=$!
numbers C 0 999 >&"$input"
witnessed $seeing
kill -TERM $pub
ended $pub 143
ended $run 0
seen d 'C received 1000 missed 0 gaps 0 duplicates 0'

# ---- an account on demand ----
kill -USR1 $exporter
wait_until "an account" told a.export.err 'export a to A: 0 messages'
kill -TERM $exporter $importer
ended $exporter 143
ended $importer 143
