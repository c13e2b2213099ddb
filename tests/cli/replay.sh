#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What was recorded is published again: the same bytes, at the pace that is asked for.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"
"$zbq" replay --help >help 2>/dev/null || { echo "skipped: a tool without replay"; exit 77; }

# record_lines FILE NAME OPTIONS: standard input
record_lines() {
    "$zbq" record --wait --lossless --force "$2" -o "$1" 2>record.err &
    local record=$!
    "$zbq" pub --quiet --wait-for 1 "${@:3}" "$2"
    ended $record 0
}

# replayed OUT FILE OPTIONS: of x, by a subscriber
replayed() {
    "$zbq" sub --wait x >"$1" 2>sub.err &
    local sub=$!
    expect_status 0 "$zbq" replay --wait-for 1 "${@:3}" "$2" 2>replay.err
    ended $sub 0
}

# ---- a million messages, there and back ----
seq 1000000 >lines
record_lines million.mcap x <lines
"$zbq" sub --wait --count --sha256 x >sums 2>sub.err &
sub=$!
expect_status 0 "$zbq" replay --rate max --wait-for 1 million.mcap 2>replay.err
ended $sub 0
printf 'messages 1000000 bytes %s descriptors 0\nsha256 %s\n' "$(stat -c %s lines)" \
    "$(sha256sum <lines | cut -d' ' -f1)" >expected
same expected sums
says replay.err '^zbq: 1000000 messages'

# ---- messages keep their bounds, whatever is in them ----
printf 'one\ntwo\n\nlast without newline' >ragged
record_lines ragged.mcap x <ragged
"$zbq" sub --wait --length-prefixed x >prefixed 2>sub.err &
sub=$!
expect_status 0 "$zbq" replay --wait-for 1 ragged.mcap 2>replay.err
ended $sub 0
"$zbq" sub --wait --length-prefixed x >direct 2>sub.err &
sub=$!
"$zbq" pub --quiet --wait-for 1 x <ragged
ended $sub 0
same direct prefixed

# ---- several rings, and a choice of them ----
"$zbq" record --wait --lossless one two -o both.mcap 2>record.err &
record=$!
seq 1 100 | "$zbq" pub --quiet --wait-for 1 one
seq 201 300 | "$zbq" pub --quiet --wait-for 1 two
ended $record 0
"$zbq" sub --wait one >one.out 2>one.err &
one=$!
"$zbq" sub --wait two >two.out 2>two.err &
two=$!
expect_status 0 "$zbq" replay --rate max --wait-for 1 both.mcap 2>replay.err
ended $one 0
ended $two 0
seq 1 100 | cmp - one.out || fail "one"
seq 201 300 | cmp - two.out || fail "two"
replayed chosen both.mcap --rate max --topic two=x
seq 201 300 | cmp - chosen || fail "a topic under another name"

# ---- part of the time, again and again, step by step ----
# Of another program, without chunks, index and summary: 1 to 6 at so many tenths of a second.
python3 - >paced.mcap <<'END'
import struct, sys
def text(of): return struct.pack('<I', len(of)) + of
def record(op, content): return struct.pack('<BQ', op, len(content)) + content
magic = b'\x89MCAP0\r\n'
file = magic + record(1, text(b'') + text(b'by hand'))
file += record(4, struct.pack('<HH', 5, 0) + text(b'x') + text(b'text') + text(b''))
for i, tenth in enumerate([0, 1, 2, 10, 11, 12]):
    time = 10**18 + tenth * 10**8
    file += record(5, struct.pack('<HIQQ', 5, i, time, time) + b'%d\n' % (i + 1))
file += record(15, bytes(4)) + record(2, bytes(20)) + magic
sys.stdout.buffer.write(file)
END
expect_status 0 "$zbq" info paced.mcap >out
says out "by 'by hand'"
replayed late paced.mcap --rate max --from 500ms
seq 4 6 | cmp - late || fail "--from"
replayed early paced.mcap --rate 2x --to 500ms
seq 1 3 | cmp - early || fail "--to"
replayed all paced.mcap --rate 10
seq 1 6 | cmp - all || fail "all"

"$zbq" sub --wait x >looped 2>sub.err &
sub=$!
"$zbq" replay --rate max --loop --wait-for 1 paced.mcap 2>loop.err &
replay=$!
thrice() { [ "$(wc -l <looped)" -ge 18 ]; }
wait_until "three turns" thrice
kill -TERM $replay
ended $replay 143
ended $sub 0
for _ in 1 2 3; do seq 1 6; done | cmp - <(sed -n 1,18p looped) || fail "--loop"

mkfifo steps
exec {steps}<>steps
"$zbq" sub --wait --lines x >stepped 2>sub.err &
sub=$!
"$zbq" replay --step --wait-for 1 paced.mcap <&"$steps" 2>step.err &
replay=$!
for step in 1 2 3; do
    echo >&"$steps"
    wait_until "step $step" told stepped $step
done
[ "$(wc -l <stepped)" -eq 3 ] || fail "it goes on by itself"
kill -TERM $replay
ended $replay 143
ended $sub 0

# ---- what is retained ----
printf 'header\n' >format
mkfifo input
exec {input}<>input
"$zbq" pub --quiet --retain 7=format x <&"$input" 2>pub.err &
pub=$!
wait_until "a publisher" test -S zbq/x
"$zbq" record --lossless x -o retained.mcap 2>record.err &
record=$!
wait_until "the recorder" joined $record
seq 1 2 >&"$input"
"$zbq" sub --from oldest x >here 2>here.err &
wait_until "all of it" told here 2
kill -TERM $pub
ended $pub 143
ended $record 0
"$zbq" sub --wait --retained --keys --lines x >keys 2>sub.err &
sub=$!
expect_status 0 "$zbq" replay --rate max --wait-for 1 retained.mcap 2>replay.err
ended $sub 0
printf '%s\t%s\n' 7 header 0 1 0 2 | cmp - keys || fail "what is retained"

# ---- descriptors are told of ----
"$zbq" record --wait --lossless --force x -o descriptors.mcap 2>record.err &
record=$!
echo text | "$zbq" pub --quiet --wait-for 1 --fd format --fd ragged x
ended $record 0
replayed out descriptors.mcap
says replay.err '2 descriptors, which no file can keep'

# ---- what is cut off is replayed as far as it goes, and told ----
head -c $(($(stat -c %s million.mcap) / 2)) million.mcap >half.mcap
"$zbq" sub --wait x >half 2>sub.err &
sub=$!
expect_status 7 "$zbq" replay --rate max --wait-for 1 half.mcap 2>replay.err
ended $sub 0
says replay.err 'half.mcap: .*the end of the file is missing'
cmp <(head -n "$(wc -l <half)" lines) half || fail "what is left of half a file"
[ -s half ] || fail "nothing is left of half a file"

# ---- what is refused ----
head -c 5000 lines | tr '\n' ' ' | record_lines large.mcap x
refused() { # STATUS PATTERN ARGUMENTS
    expect_status "$1" "$zbq" replay "${@:3}" >out 2>refused.err
    says refused.err "^zbq: .*$2"
}
refused 1 'no MCAP file' lines
refused 1 'nothing.mcap: No such file' nothing.mcap
refused 1 "there is no topic 'three'; there are 'one' 'two'" --topic three both.mcap
refused 2 "'fast' is no pace" --rate fast both.mcap
refused 2 "'0' is no pace" --rate 0 both.mcap
refused 2 "'-1x' is no pace" --rate=-1x both.mcap
refused 2 '--to: it lies before --from' --from 2s --to 1s both.mcap
refused 2 '--capacity' --capacity 1000 both.mcap
refused 2 'is there twice' --topic one=x --topic two=x both.mcap
refused 1 'a message of .* bytes, of which a ring of 4096 bytes takes' --capacity 4K --rate max large.mcap
