#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Files travel with the first message, to push-mode subscribers.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"

echo some >file
# with_files NUMBER: accounts in out.push, out.pull
with_files() {
    local options=() pids=() mode i
    for ((i = 0; i < $1; ++i)); do
        options+=(--fd file)
    done
    for mode in push pull; do
        "$zbq" sub --wait --$mode --count x >out.$mode 2>sub.$mode.err &
        pids+=($!)
    done
    seq 3 | "$zbq" pub --wait-for 2 "${options[@]}" x 2>pub.err || fail "pub with $1 files"
    ended "${pids[0]}" 0
    ended "${pids[1]}" 0
    says out.push "^messages 3 bytes 6 descriptors $1\$"
    says out.pull '^messages 3 bytes 6 descriptors 0$'
}
with_files 1
with_files 3
with_files 253

options=()
for ((i = 0; i < 254; ++i)); do
    options+=(--fd file)
done
expect_status 2 "$zbq" pub "${options[@]}" x </dev/null 2>pub.err
says pub.err '254 files, 253 at most'
expect_status 1 "$zbq" pub --fd missing x </dev/null 2>pub.err
says pub.err 'missing: No such file'
