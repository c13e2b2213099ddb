#!/bin/bash
# SPDX-License-Identifier: MIT
# What a recording costs, beside dd to the same disk. recording.sh [DIRECTORY [MEGABYTES]]
# DIRECTORY is where files of so many megabytes (1000) are written, and removed. Builds in build/bench.
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset bench >/dev/null
cmake --build --preset bench --target zbq-tool zbq-bench-recording >/dev/null
zbq=$PWD/build/bench/tools/zbq/zbq
helper=$PWD/build/bench/bench/zbq-bench-recording
work=$(mktemp -d -p "${1:-/var/tmp}")
megabytes=${2:-1000}
trap 'rm -rf "$work"' EXIT
export XDG_RUNTIME_DIR=$work
TIMEFORMAT='  %R s, of which the recorder had a processor %U s and, in the kernel, %S s'

say() { printf '\n%s\n' "$*"; }

record() { # SIZE COUNT OPTIONS: a stream as fast as it is taken
    local size=$1 count=$2
    shift 2
    "$helper" publish x "$size" "$count" 0 &
    time "$zbq" record --wait --lossless --force x -o "$work/x.mcap" "$@"
    wait $!
    sync "$work/x.mcap"
}

blocks=$((megabytes * 1000000 / 65536))
for turn in 1 2 3; do
    say "turn $turn: dd, $blocks blocks of 64 KiB, with fdatasync"
    dd if=/dev/zero of="$work/dd" bs=64K count="$blocks" conv=fdatasync 2>&1 | tail -n 1
    rm "$work/dd"
    say "turn $turn: zbq record, the same in messages"
    record 65536 "$blocks"
done
for how in lz4 zstd; do
    say "zbq record --compression $how, 64 KiB"
    record 65536 "$blocks" --compression $how
done
say "zbq record, 10 million messages of 64 B"
record 64 10000000
for how in '' lz4 zstd; do
    say "the writer alone, 20 million messages of 64 B, compression '$how'"
    "$helper" write "$work/x.mcap" 64 20000000 "$how"
done

say "the pace of a replay: 10000 messages, one a millisecond, recorded again"
"$helper" publish x 64 10000 1000000 &
"$zbq" record --quiet --wait --lossless --force x -o "$work/one.mcap"
wait $!
"$zbq" replay --quiet --wait-for 1 "$work/one.mcap" &
"$zbq" record --quiet --wait --lossless --force x -o "$work/two.mcap"
wait $!
"$helper" compare "$work/one.mcap" "$work/two.mcap" x
