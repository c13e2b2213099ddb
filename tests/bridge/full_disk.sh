#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The server's disk is full: the exporter says so, holds nobody on the ring back, and goes on when there is
# room; what did not wait is told as missing.
# shellcheck source=tests/bridge/support.sh
source "$(dirname "$0")/support.sh" "$@"
mkdir store
mount -t tmpfs -o size=2M none store 2>/dev/null || { echo "skipped: no mounts here"; exit 77; }
unmount() {
    clean_up_rest
    umount -l "$here/store" 2>/dev/null || true
    clean_up
}
clean_up_rest() {
    local pid
    for pid in $(jobs -p); do
        kill -KILL "$pid" 2>/dev/null || true
    done
}
trap unmount EXIT
# Left to itself, the server keeps some of the disk free.
echo 'jetstream { max_file_store: 500M }' >more.conf
serve -c more.conf
publish x --capacity 16M
"$zbq" sub x >there 2>sub.err &
sub=$!
wait_until "a reader" joined $sub
export_it x X --frame 16K --window 256K
import_it y X
wait_until "the exporter" joined $exporter
witness_it y X 200001
numbers X 0 199999 >&"$input"
wait_until "all of it here" told there X00000199999
wait_until "a complaint" told x.export.err 'trying again'
mount -o remount,size=200M "$here/store"
kill -KILL $server # which has given up its store until it is started again
wait $server || true
serve -c more.conf
numbers X 200000 200000 >&"$input"
witnessed $seeing
[ "$(awk '{ print $3 + $5 / 32 }' y.seen)" = 200001 ] || fail "not all: $(cat y.seen)"
grep -c evicted x.pub.err >evictions || true
same evictions <(echo 0)
kill -TERM $exporter $importer $pub
