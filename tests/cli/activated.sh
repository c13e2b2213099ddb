#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A publisher that systemd starts with its first reader. activated.sh TOOL PROGRAM
program=$(realpath "$2")
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$1"

if ! command -v systemd-socket-activate >/dev/null; then
    echo "skipped: systemd-socket-activate is not installed"
    exit 77
fi
systemd-socket-activate --seqpacket -l "$here/numbers" "$program" 2>activated.err &
activated=$!
"$zbq" sub --wait ./numbers >out 2>sub.err || fail "sub"
cmp - out < <(seq 1000) || fail "not what it publishes"
ended $activated 0

# By hand there is no socket for it.
expect_status 1 "$program" 2>alone.err
says alone.err 'systemd passed no socket'
