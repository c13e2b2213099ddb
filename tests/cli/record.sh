#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Recordings: what goes in is in the file.
# shellcheck source=tests/cli/recording_support.sh
source "$(dirname "$0")/recording_support.sh" "$@"

# ---- several rings in one file, to the end of both ----
"$zbq" record --wait --lossless one two -o both.mcap 2>both.err &
record=$!
seq 1 1000 | "$zbq" pub --quiet --wait-for 1 one
seq 1 10 | "$zbq" pub --quiet --wait-for 1 --chunks 4 two
ended $record 0
says both.err '1006 messages, 3914 bytes .* 1 file'
is both.mcap 'count("one")' 1000 \
    'count("two")' 6 \
    'd["whole"]' True \
    'd["gaps"]' '[]' \
    'sorted((e["topic"], e["cause"]) for e in d["ends"])' "[('one', 'closed'), ('two', 'closed')]" \
    'sorted(d["channels"][0]["metadata"])' "['zbq.capacity', 'zbq.format', 'zbq.pid', 'zbq.ring', 'zbq.type']" \
    'len(d["channels"][0]["metadata"]["zbq.ring"])' 32
expect_status 0 "$zbq" info both.mcap >out
says out 'both.mcap: .*, whole'
says out 'channel +[0-9]+ +1000 messages .*  one '
expect_status 0 "$zbq" info --quick both.mcap >out
says out 'by its summary'

# ---- what is there already stays ----
cp both.mcap kept.mcap
publish one
expect_status 6 "$zbq" record one -o kept.mcap 2>exists.err
says exists.err 'kept.mcap: File exists'
same both.mcap kept.mcap
record_it --force one -o kept.mcap
kill -TERM $record $pub
ended $record 143
ended $pub 143
is kept.mcap 'count("one")' 0

# ---- each way to compress, each size of chunk ----
seq 1 20000 >lines
for how in none lz4 zstd; do
    status=0
    "$zbq" record --compression $how nobody -o packed.mcap 2>none.err || status=$?
    [ $status -ne 2 ] || continue # this build does not have it
    "$zbq" record --wait --lossless --force --compression $how --chunk-size 10000 x -o packed.mcap 2>$how.err &
    record=$!
    "$zbq" pub --quiet --wait-for 1 x <lines
    ended $record 0
    is packed.mcap 'count("x")' 20000
    is packed.mcap 'd["chunks"] > 10' True
    is packed.mcap 'd["whole"]' True
done

# ---- many files ----
head -c 1000000 /dev/urandom >noise
"$zbq" record --wait --lossless --split-size 100000 --chunk-size 20000 --keep 3 x -o split.mcap 2>split.err &
record=$!
"$zbq" pub --quiet --wait-for 1 --chunks 1000 --input noise x
ended $record 0
files=(split-*.mcap)
[ ${#files[@]} -eq 3 ] || fail "there are ${files[*]}"
[ ! -e split-0001.mcap ] || fail "the first is kept"
for file in "${files[@]}"; do
    is "$file" 'd["whole"]' True
done
is "${files[0]}" 'count("x") > 50' True

# ---- signals ----
publish x
record_it x -o told.mcap
kill -USR1 $record
wait_until "the account" told record.err '0 messages, .* 1 file'
kill -HUP $record
ended $record 129
expect_status 0 "$zbq" info told.mcap >out
kill -TERM $pub
ended $pub 143

# ---- what is refused ----
refused() { # STATUS PATTERN ARGUMENTS
    expect_status "$1" "$zbq" "${@:3}" >out 2>refused.err
    says refused.err "^zbq: .*$2"
}
refused 2 '--output' record x
refused 2 'one is there twice' record x x -o new.mcap
refused 2 "'brotli' is none that this build has" record --compression brotli x -o new.mcap
refused 2 '--chunk-size' record --chunk-size 0 x -o new.mcap
refused 2 '--sync' record --sync 1ms x -o new.mcap
refused 2 '--keep: there is one file' record --keep 2 x -o new.mcap
refused 2 '--memory' record --memory 1K x -o new.mcap
refused 2 '' record --ring-buffer 1s --split-size 1M x -o new.mcap
[ ! -e new.mcap ] || fail "a mistake leaves a file"
refused 5 'nobody publishes' record x -o new.mcap
[ ! -e new.mcap ] || fail "a file of nobody"
refused 1 'nothing.mcap: No such file' info nothing.mcap
refused 1 'lines: .*no MCAP file' info lines
refused 1 ': Is a directory' info .
refused 1 'no file' info /dev/null
refused 1 'both.mcap: File exists' info both.mcap --recover both.mcap
