#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Recorders that are killed, disks that are full: what was written is readable, and the rest is told of.
# shellcheck source=tests/cli/recording_support.sh
source "$(dirname "$0")/recording_support.sh" "$@"

# ---- killed: all that was written is readable ----
publish x
record_it --sync 20ms x -o killed.mcap
seq 1 1000 >&"$input"
written() { # how many of x are in the file, as far as that can be read now
    "$zbq" info killed.mcap >now 2>now.err
    grep -qE ' 1000 messages .*  x ' now
}
wait_until "all of it in the file" written
kill -KILL $record
ended $record 137
expect_status 7 "$zbq" info killed.mcap >out
says out 'killed.mcap: .*, damaged'
says out 'damage: .*the end of the file is missing'
expect_status 7 "$zbq" info killed.mcap --recover recovered.mcap >out 2>recover.err
says recover.err 'recovered.mcap: [0-9]+ messages'
expect_status 0 "$zbq" info recovered.mcap >out
is recovered.mcap 'count("x")' 1000
kill -TERM $pub
ended $pub 143

# Cut off in the midst of a chunk as well.
head -c $(($(stat -c %s recovered.mcap) / 2)) recovered.mcap >half.mcap
expect_status 7 "$zbq" info half.mcap --recover half-whole.mcap >out 2>recover.err
expect_status 0 "$zbq" info half-whole.mcap >out
is half-whole.mcap '0 < count("x") < 1000' True

# ---- a disk that is full: a limit of the file's size stands in for it ----
head -c 3000000 /dev/urandom >noise
"$zbq" pub --quiet --wait-for 1 --chunks 1000 --input noise x 2>pub.err &
pub=$!
wait_until "a publisher" test -S zbq/x
(
    ulimit -f 1000 # KiB
    exec "$zbq" record --lossless --chunk-size 100000 x -o full.mcap
) 2>full.err &
record=$!
ended $record 6
says full.err 'writing full.mcap: File too large .*what was written before is whole'
says full.err 'lost with that: [0-9]+ of the [0-9]+'
ended $pub 0
expect_status 0 "$zbq" info full.mcap >out
is full.mcap '500 < count("x") < 1024' True
publish x
expect_status 6 "$zbq" record x -o /dev/full --force 2>device.err
says device.err '/dev/full: No space left'
expect_status 6 "$zbq" record x -o nowhere/x.mcap 2>nowhere.err
says nowhere.err 'nowhere/x.mcap: No such file'
kill -TERM $pub
ended $pub 143
