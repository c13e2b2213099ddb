#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What is retained for who comes late: pub --retain, sub --retained, sub --keys.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"

mkfifo input
exec {input}<>input
printf 'header\n' >format
printf 'no newline' >note
"$zbq" pub --quiet --capacity 64K --retain 7=format --retain 300=note x <&"$input" 2>pub.err &
pub=$!
wait_until "a publisher" test -S zbq/x
seq 1 2 >&"$input"
"$zbq" sub --from oldest x >all 2>all.err &
all=$!
wait_until "all of it" told all 2

# reads OUT OPTIONS: what such a subscriber writes
readers=()
reads() {
    "$zbq" sub "${@:2}" x >"$1" 2>"$1.err" &
    readers+=($!)
    wait_until "a reader" joined $!
}

# Whoever asks has it once, before the first message, however it reads and wherever it starts.
reads plain
reads raw --retained
reads follow --retained --follow --pull
reads oldest --retained --from oldest
reads seen --retained --from oldest --follow
reads keys --retained --keys --lines --from oldest
reads observed --retained --keys --lines --newest
reads past --keys --lines --from oldest
reads prefixed --retained --keys --length-prefixed
reads count --retained --count
reads sha256 --retained --sha256
seq 3 4 >&"$input"
wait_until "the last of it" told all 4
wait_until "the newest" told observed 4
kill -TERM $pub
ended $pub 143
ended $all 0
for reader in "${readers[@]}"; do
    ended "$reader" 0
done

is() { # FILE: standard input is what it has
    cmp - "$1" || fail "$1"
}
seq 3 4 | is plain
{ cat format note && seq 3 4; } | tee raw.wanted | is raw
is follow <raw.wanted
{ cat format note && seq 1 4; } | is oldest
{ cat format note && seq 1 4; } | is seen
printf '%s\t%s\n' 7 header 300 'no newline' 0 1 0 2 0 3 0 4 | is keys
is past <keys
head -n 2 keys | is <(head -n 2 observed)
printf '\7\0\7\0\0\0header\n\54\1\12\0\0\0no newline\0\0\2\0\0\0003\n\0\0\2\0\0\0004\n' | is prefixed
echo "messages 4 bytes 21 descriptors 0" | is count
echo "sha256 $(sha256sum <raw.wanted | cut -d ' ' -f 1)" | is sha256

# Nobody finds a ring that does not retain all of it yet; who is asked to stop meanwhile does.
mkfifo slow
"$zbq" pub --retain 1=slow x <&"$never" 2>slow.err &
pub=$!
exec 9>slow # once it is open there
[ ! -e zbq/x ] || fail "there is a name before all is retained"
kill -TERM $pub
ended $pub 143

# refused STATUS PATTERN OPTIONS
refused() {
    expect_status "$1" "$zbq" pub "${@:3}" x </dev/null 2>refused.err
    says refused.err "$2"
    [ ! -e zbq/x ] || fail "there is a name, and nothing to join"
}

for wrong in 0=format 32768=format 65536=format -1=format format =format 1 7:format; do
    refused 2 "--retain: '$wrong' is not a key from 1 to 32767, = and a file" "--retain=$wrong"
done
refused 2 'key 7 is there twice' --retain 7=format --retain 7=note
mapfile -t many < <(printf -- '--retain=%d=note\n' {1..65})
refused 2 '65 files, 64 at most' "${many[@]}"
expect_status 0 "$zbq" pub --quiet --capacity 4K "${many[@]:1}" x </dev/null
refused 1 'opening nothing: No such file' --retain 1=nothing
refused 1 'opening : No such file' --retain 1=
refused 1 'reading /: Is a directory' --retain 1=/

# The largest that fits the ring, all that fit the limit, and one byte more each time.
large() { # FILE BYTES
    head -c "$2" /dev/zero >"$1"
}
large fits 4080
large over 4081
expect_status 0 "$zbq" pub --quiet --capacity 4K --retain 32767=fits x </dev/null
refused 1 'over: too much to retain: .* 4096 bytes 4080' --capacity 4K --retain 1=over
large half $(((1 << 19) - 16 - 32))
large rest $(((1 << 19) - 32))
expect_status 0 "$zbq" pub --quiet --retain 1=half --retain 2=rest x </dev/null
large rest $(((1 << 19) - 31))
refused 1 'rest: too much to retain: 1048576 bytes' --retain 1=half --retain 2=rest
refused 1 'zero: too much to retain' --retain 1=/dev/zero

for form in '' --raw --count --sha256 --quiet; do
    # shellcheck disable=SC2086 # a list of words
    expect_status 2 "$zbq" sub --keys $form x 2>refused.err
    says refused.err '--keys'
done
