#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What cannot be is told clearly, and the ring's readers notice nothing of it.
# shellcheck source=tests/bridge/support.sh
source "$(dirname "$0")/support.sh" "$@"
publish x
"$zbq" sub x >here 2>sub.err &
sub=$!
wait_until "a reader" joined $sub

# refused STATUS PATTERN ARGUMENTS: ends by itself
refused() {
    expect_status "$1" "$bridge" "${@:3}" 2>refused.err
    says refused.err "$2"
}

# complains PATTERN ARGUMENTS: says so, and tries again until it is ended
complains() {
    "$bridge" "${@:2}" 2>complains.err &
    local pid=$!
    wait_until "'$1'" told complains.err "$1"
    kill -TERM $pid
    ended $pid 143
}

# request SUBJECT TEXT: to the server, and what it answers, as any client may
request() {
    exec {line}<>"/dev/tcp/$address/$port"
    printf 'CONNECT {"verbose":false}\r\nSUB in 1\r\nPUB %s in %d\r\n%s\r\n' "$1" ${#2} "$2" >&"$line"
    local word
    while read -r word <&"$line" && [[ $word != MSG* ]]; do :; done
    read -r word <&"$line"
    echo "$word"
    exec {line}>&-
}

# ---- the command line ----
refused 2 'required' export x
refused 2 'is no name' export x --to "$url" --stream a.b
refused 2 'no room for a frame' export x --to "$url" --stream X --window 1K
refused 2 'not first, next or a number' import y --from "$url" --stream X --begin soon
refused 1 'opening no.conf' run no.conf
echo "export x --to $url" >bad.conf
refused 2 'bad.conf:1: .*stream' run bad.conf
printf 'export x --to %s --stream X\nexport z --to %s --stream X\n' "$url" "$url" >twice.conf
refused 2 'twice.conf:2: a second ring' run twice.conf

# ---- no server, and one that is none ----
complains 'connecting to .*trying again' export x --to "$url" --stream X
complains 'connecting to .*trying again' import y --from "$url" --stream X
python3 -IS -c "import socket
door = socket.create_server(('$address', $port))
while True:
    door.accept()[0].sendall(b'HTTP/1.0 200 OK\r\n\r\n')" &
other=$!
wait_until "another server" reachable
complains 'trying again' export x --to "$url" --stream X
kill -KILL $other
wait $other || true

# ---- one without JetStream; one that wants to know who it is ----
nats-server -a "$address" -p $port >>server.err 2>&1 &
server=$!
wait_until "the server" reachable
complains 'has no JetStream' export x --to "$url" --stream X
kill -TERM $server
wait $server || true
serve --user u --pass secret
echo wrong >password
refused 1 'Authorization' export x --to "$url" --stream X
refused 1 'Authorization' import y --from "$url" --stream X --user u --password-file password
echo secret >password
complains 'stream not found' import y --from "$url" --stream X --user u --password-file password
kill -TERM $server
wait $server || true
serve

# ---- streams of others ----
api=\$JS.API.STREAM
request "$api.CREATE.OTHER" '{"name":"OTHER","subjects":["other.>"]}' >made
says made '"created"'
refused 1 'its subjects are \["other.>"\]' export x --to "$url" --stream OTHER
request "$api.CREATE.WORK" '{"name":"WORK","subjects":["zbq.WORK"],"retention":"workqueue"}' >made
refused 1 'removes what was read' export x --to "$url" --stream WORK
complains 'stream not found' export x --to "$url" --stream NONE --no-create
request "$api.CREATE.MIXED" '{"name":"MIXED","subjects":["zbq.MIXED"]}' >made
request zbq.MIXED hello >made
refused 1 'message 1 is no frame of zbq' export x --to "$url" --stream MIXED
export_it x X
wait_until "the exporter" joined $exporter
refused 1 'messages of the ring x of .*--adopt' export z --to "$url" --stream X

# ---- messages that are not ours: passed over, and told; of a version that is not known: the end ----
import_it y X
wait_until "the ring" test -S zbq/y
witness_it y X 20
wait_until "the witness" joined $seeing
numbers X 0 9 >&"$input"
request zbq.X 'zbqf and no more' >made
wait_until "a complaint" told y.import.err 'frame'
says y.import.err 'message [0-9]+ is a frame of version'
ended $importer 1
request "$api.PURGE.X" '' >made
import_it y X
request zbq.X 'garbage' >made
wait_until "a complaint" told y.import.err 'is no frame of zbq: passed over'
numbers X 10 19 >&"$input"
witnessed $seeing

# ---- positions ----
echo garbage >bad.pos
refused 1 'no position' import z --from "$url" --stream X --position bad.pos
import_it z X --position z.pos
wait_until "the ring" test -S zbq/z
refused 1 'another importer uses it' import w --from "$url" --stream X --position z.pos
refused 1 'in use' import z --from "$url" --stream X
kill -TERM $importer
wait $importer || true
refused 1 'a position in the stream X' import z --from "$url" --stream Y --position z.pos

# ---- who reads the ring has noticed nothing ----
kill -TERM $pub
ended $pub 143
ended $sub 0
numbers X 0 19 >wanted
same here wanted
