#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# demo.sh TOOL: publishes real data to five readers, twice. In the midst of the stream one
# reader is killed and one is stopped; the other three must get every byte. Fails if any of
# that is not so.
set -euo pipefail

zbq=$(realpath "${1:?usage: demo.sh TOOL}")
capacity_lines=64K
capacity_chunks=1M
chunk=16384
seconds=3

here=$(mktemp -d)
export XDG_RUNTIME_DIR=$here
cd "$here"

clean_up() {
    local pid
    for pid in $(jobs -p); do
        kill -KILL "$pid" 2>/dev/null || true # also ends one that is stopped
    done
    wait 2>/dev/null || true
    rm -rf "$here"
}
trap clean_up EXIT

wrong=0
complain() {
    echo "WRONG: $*"
    wrong=1
}

# ---- what to publish ----

# The system's package log; the package list where there is none. Repeated to a megabyte, so
# that there is a midst to strike in.
make_log() {
    source=/var/log/dpkg.log
    [ -s $source ] || source=/var/lib/dpkg/status
    while [ "$(stat -c %s log 2>/dev/null || echo 0)" -lt 1000000 ]; do
        cat "$source" >>log
    done
}

find_library() {
    source=$(find -L "/usr/lib/$(uname -m)-linux-gnu" /usr/lib64 -maxdepth 1 -type f \
        \( -name 'libLLVM*.so*' -o -name 'libcrypto.so*' -o -name 'libc.so*' \
        -o -name 'libstdc++.so*' \) -printf '%s %p\n' 2>/dev/null |
        sort -n | tail -n 1 | cut -d' ' -f2-)
    [ -n "$source" ] || { echo "no shared library found" >&2; exit 1; }
    ln -s "$source" library
}

# ---- one stream ----

modes=(push pull push pull push)
fates=("reads all" "reads all" killed stopped "reads all")

start_readers() {
    local i
    for i in "${!modes[@]}"; do
        "$zbq" sub --wait "--${modes[i]}" --count --sha256 demo >"reader.$i" 2>"reader.$i.err" &
        pids[i]=$!
    done
}

all_joined() {
    local pid
    for pid in "${pids[@]}"; do
        grep -qs zbq-ring "/proc/$pid/maps" || return 1
    done
}

strike() {
    local deadline=$((SECONDS + 300))
    until all_joined; do
        [ $SECONDS -lt $deadline ] || { echo "the readers did not join" >&2; exit 1; }
        sleep 0.02
    done
    sleep 1
    kill -KILL "${pids[2]}"
    kill -STOP "${pids[3]}"
}

collect() { # PUBLISHER
    local i status=0
    wait "$1" || status=$?
    [ $status -eq 0 ] || complain "the publisher ended with status $status"
    kill -CONT "${pids[3]}"
    for i in "${!pids[@]}"; do
        statuses[i]=0
        wait "${pids[i]}" 2>/dev/null || statuses[i]=$?
    done
}

# ---- what became of it ----

field() { # FILE WORD: the word after it
    sed -n "s/.*\\b$2 \\([0-9a-f]*\\).*/\\1/p" "$1"
}

# The publisher's line about the reader: "reason, when, after message".
eviction_of() { # PID
    sed -n "s/^zbq: consumer [0-9]* (pid $1) \\(.*\\), [0-9]* bytes behind\$/\\1/p" pub.err
}

check_reader() { # INDEX INPUT MESSAGES DIGEST
    local i=$1 digest=$4 wanted=0 sum
    sum=$(field "reader.$i" sha256)
    messages_read=$(field "reader.$i" messages)
    bytes_read=$(field "reader.$i" bytes)
    evicted=$(eviction_of "${pids[i]}")
    case ${fates[i]} in
    killed) wanted=137 verdict=- ;;
    stopped) wanted=3 verdict=- ;;
    *)
        verdict=ok
        [ "$sum" = "$digest" ] || verdict=DIFFERENT
        [ $verdict = ok ] || complain "reader $((i + 1)): its bytes differ"
        [ "$messages_read" = "$3" ] || complain "reader $((i + 1)): messages lost"
        [ "$bytes_read" = "$(stat -L -c %s "$2")" ] ||
            complain "reader $((i + 1)): bytes lost"
        [ -z "$evicted" ] || complain "reader $((i + 1)) was evicted"
        ;;
    esac
    [ "${statuses[i]}" -eq $wanted ] ||
        complain "reader $((i + 1)) ended with status ${statuses[i]}, not $wanted"
}

check_eviction() { # INDEX REASON MESSAGES
    local after
    after=$(sed -n 's/.*after message //p' <<<"$evicted")
    [[ $evicted == *"$2"* ]] || complain "reader $(($1 + 1)) was not evicted: $2"
    if [ "${after:-0}" -le 0 ] || [ "${after:-0}" -ge "$3" ]; then
        complain "reader $(($1 + 1)) was not evicted in the midst of the stream"
    fi
}

report() { # INPUT
    local input=$1 messages digest i
    messages=$(sed -n 's/^zbq: \([0-9]*\) messages, .*/\1/p' pub.err)
    digest=$(sha256sum <"$input" | cut -d' ' -f1)
    printf '%-6s  %-4s  %-9s  %8s  %11s  %-9s  %s\n' \
        reader mode fate messages bytes sha256 evicted
    for i in "${!pids[@]}"; do
        check_reader "$i" "$input" "${messages:-0}" "$digest"
        printf '%-6s  %-4s  %-9s  %8s  %11s  %-9s  %s\n' $((i + 1)) "${modes[i]}" \
            "${fates[i]}" "${messages_read:--}" "${bytes_read:--}" "$verdict" "${evicted:--}"
        [ "${fates[i]}" != killed ] || check_eviction "$i" 'gone (left or died)' "${messages:-0}"
        [ "${fates[i]}" != stopped ] || check_eviction "$i" 'stalled' "${messages:-0}"
    done
    tail -n 1 pub.err
    sed -n 's/^zbq: /reader 4, continued: /p' reader.3.err
    echo
}

run_stream() { # INPUT MESSAGES OPTIONS: about so many, in a few seconds
    local input=$1 rate=$(($2 / seconds + 1)) publisher
    shift 2
    pids=() statuses=()
    start_readers
    "$zbq" pub --wait-for ${#modes[@]} --input "$input" --stall-timeout 500ms --rate $rate \
        "$@" demo 2>pub.err &
    publisher=$!
    strike
    collect $publisher 2>/dev/null # where bash would tell that one was killed
    report "$input"
}

make_log
echo "$source by line, $(wc -c <log) bytes, through a ring of $capacity_lines:"
run_stream log "$(wc -l <log)" --lines --capacity $capacity_lines

find_library
size=$(stat -L -c %s library)
echo "$source by chunks of $chunk, $size bytes, through a ring of $capacity_chunks:"
run_stream library $((size / chunk)) --chunks $chunk --capacity $capacity_chunks

if [ $wrong -ne 0 ]; then
    echo "demo: something is wrong" >&2
    exit 1
fi
echo "demo: the three healthy readers got every byte, both times"
