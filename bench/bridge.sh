#!/bin/bash
# SPDX-License-Identifier: MIT
# bridge.sh PROGRAM [--memory]: bench/bridge.cpp with a server of its own, whose files are on a disk.
set -euo pipefail
program=$(realpath "$1")
shift
here=$(mktemp -d "${TMPDIR:-/var/tmp}/zbq-bridge.XXXXXX")
export XDG_RUNTIME_DIR=$here
address=127.$(($$ >> 16 & 127 | 64)).$(($$ >> 8 & 255)).$(($$ & 255))
nats-server -js -a "$address" -p 14222 -sd "$here/store" >"$here/log" 2>&1 &
server=$!
trap 'kill $server; wait $server 2>/dev/null || true; rm -rf "$here"' EXIT
for _ in $(seq 300); do
    (exec 3<>"/dev/tcp/$address/14222") 2>/dev/null && break
    sleep 0.1
done
"$program" "nats://$address:14222" "$@"
