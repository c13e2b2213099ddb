# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# For the tests of the bridge: source it with the tool, zbq-bridge and the witness. A server of its
# own for each test, on an address of the loopback network that no other test has.
[ -x "$2" ] || { echo "skipped: no zbq-bridge"; exit 77; }
command -v nats-server >/dev/null || { echo "skipped: no nats-server"; exit 77; }
bridge=$(realpath "$2")
witness=$(realpath "$3")
# shellcheck disable=SC2034 # used by tests
dying=$(realpath "${4:-/dev/null}")
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/../cli/support.sh" "$1"
address=127.$(($$ >> 16 & 127 | 64)).$(($$ >> 8 & 255)).$(($$ & 255)) # pids are below 2^22
port=14222
url=nats://$address:$port

reachable() {
    (exec 3<>"/dev/tcp/$address/$port") 2>/dev/null
}

# serve OPTIONS: the server, with what it has in the directory store
# shellcheck disable=SC2034,SC2120,SC2154 # used by tests, and set by theirs
serve() {
    nats-server -js -a "$address" -p $port -sd "$here/store" "$@" >>server.err 2>&1 &
    server=$!
    wait_until "the server" reachable
}

# In the background; what they say is in NAME.export.err and so on.
export_it() { # NAME STREAM OPTIONS
    "$bridge" export "$1" --to "$url" --stream "$2" "${@:3}" 2>>"$1.export.err" &
    # shellcheck disable=SC2034 # used by tests
    exporter=$!
}

import_it() { # NAME STREAM OPTIONS
    "$bridge" import --from "$url" --stream "$2" "$1" "${@:3}" 2>>"$1.import.err" &
    # shellcheck disable=SC2034 # used by tests
    importer=$!
}

witness_it() { # NAME LETTER COUNT
    "$witness" "$@" >"$1.seen" 2>"$1.witness.err" &
    # shellcheck disable=SC2034 # used by tests
    seeing=$!
}

# numbers LETTER FIRST LAST: messages as the witness knows them, 32 bytes of a ring each
numbers() {
    seq -f "$1%011.0f" "$2" "$3"
}

# publish NAME OPTIONS: what is written to $input from now on, a line a message
publish() {
    rm -f "zbq/$1" input # of one that was killed
    mkfifo input
    exec {input}<>input
    "$zbq" pub --quiet "${@:2}" "$1" <&"$input" 2>"$1.pub.err" &
    # shellcheck disable=SC2034 # used by tests
    pub=$!
    wait_until "a publisher" test -S "zbq/$1"
}

# witnessed PID: waits for the witness
witnessed() {
    ended "$1" 0
}

# seen NAME WORDS: a line of the witness has these
seen() {
    grep -Eq -- "$2" "$1.seen" || fail "the witness has seen: $(cat "$1.seen")"
}
