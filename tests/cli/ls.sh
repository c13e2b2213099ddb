#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# zbq ls: what is there, whoever else hangs or sends nonsense.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"

# Of the own names: others of this user may be there, too.
listed() { # OPTIONS...
    "$zbq" ls "$@" >ls.out 2>ls.err || fail "ls fails"
}

listed
says ls.out '^NAME +PID +TYPE +AGE +READERS +RATE'

mkfifo input
exec {input}<>input
"$zbq" pub camera <&"$input" 2>camera.err &
camera=$!
"$zbq" pub --max-consumers 1 "@zbq-$$-abstract" <&"$never" 2>abstract.err &
abstract=$!
"$zbq" pub ./beside <&"$never" 2>beside.err &
"$zbq" collect gather >/dev/null 2>gather.err &
wait_until "the camera" test -S zbq/camera
wait_until "a path" test -S beside
wait_until "a collector" test -S zbq/gather
has_abstract() { grep -qs "@zbq-$$-abstract" /proc/net/unix; }
wait_until "an abstract name" has_abstract
"$zbq" sub "@zbq-$$-abstract" >/dev/null 2>sub.err &
wait_until "a reader" joined $!

listed
says ls.out "^camera +$camera +- .* 0/64 "
says ls.out "^@zbq-$$-abstract +$abstract +- .* 1/1 " # with no place left for who asks
says ls.out 'gather collects'
says ls.out '^\./beside +[0-9]+ '
if [ "$(id -u)" -eq 0 ]; then # another user's, who lets this one in
    share_tool
    mkfifo other
    as_user 61234 '' pub --observer root "@zbq-$$-other" <other >other.out 2>other.err &
    exec {other}>other # it ends with this
    has_other() { grep -qs "@zbq-$$-other" /proc/net/unix; }
    wait_until "another user's" has_other
    listed
    says ls.out "^@zbq-$$-other +[0-9]+ "
    exec {other}>&-
fi

# Who is stopped holds up nobody, and is there again.
kill -STOP $camera
listed --timeout 200ms
says ls.out '^camera: no answer$'
says ls.out "^@zbq-$$-abstract +$abstract "
kill -CONT $camera
listed
says ls.out "^camera +$camera +- .* 0/64 "

# Who hangs is named, who speaks nonsense is not, and neither holds up the rest.
python3 - "$here" >ready <<'END' &
import os, select, socket, sys
sockets = []
for name in ["hangs%d" % i for i in range(300)] + ["nonsense", "half", "hollow"]:
    one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    one.bind(sys.argv[1] + "/zbq/" + name)
    one.listen(8)
    sockets.append((one, name))
talking = {one: name for one, name in sockets if not name.startswith("hangs")}
print("ready", flush=True)
kept = []
while True:
    for one in select.select(list(talking), [], [])[0]:
        connection = one.accept()[0]
        kept.append(connection)
        connection.recv(100)
        if talking[one] == "nonsense":
            connection.send(os.urandom(8))
        else: # a welcome, and then nothing, or a page that is none
            connection.send(b"zbq\2\0\0\0\0")
            if talking[one] == "hollow":
                memory = os.memfd_create("x")
                os.ftruncate(memory, 4096)
                socket.send_fds(connection, [b"zbqs\1\0\0\0" + bytes(8)], [memory])
END
hostile=$!
wait_until "them" told ready ready
listed --timeout 200ms
says ls.out "^camera +$camera "
says ls.out '^hangs0: no answer$'
says ls.out '^hangs299: no answer$'
says ls.out '^half: no answer$'
grep -E '^(nonsense|hollow)' ls.out && fail "nonsense is a ring"
kill -KILL $hostile
wait $hostile 2>/dev/null || true
rm -f zbq/hangs* zbq/nonsense zbq/half zbq/hollow

# For programs; with a rate.
seq 1 1000 >&"$input"
listed --json --interval 10ms
python3 - $camera "$$" <<'END' || fail "the JSON"
import json, sys
rings = {ring["name"]: ring for ring in json.load(open("ls.out"))}
camera = rings["camera"]
assert camera["pid"] == int(sys.argv[1]) and camera["state"] == "answers", camera
assert camera["consumers"] == 0 and camera["max_consumers"] == 64, camera
assert camera["bytes_per_second"] >= 0, camera
assert rings["@zbq-%s-abstract" % sys.argv[2]]["consumers"] == 1
assert rings["gather"]["state"] == "refuses"
END
listed --json --interval 0
python3 -c 'import json
assert all(ring.get("bytes_per_second") is None for ring in json.load(open("ls.out")))' || fail "a rate"

# A name is nobody's to write on a terminal with.
python3 -c 'import os, socket, sys
one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
one.bind("zbq/a\x1b[31m")
one.listen(1)
print("ready", flush=True)
sys.stdin.read()' <&"$never" >bad &
wait_until "a bad name" told bad ready
listed --timeout 50ms
says ls.out '^a\?\[31m: no answer$'

# Who was killed leaves a socket, and no ring.
kill -KILL $camera
ended $camera 137
listed
grep '^camera ' ls.out && fail "the ring of who was killed"
expect_status 2 "$zbq" ls name 2>usage.err
expect_status 2 "$zbq" ls --timeout soon 2>usage.err
expect_status 6 "$zbq" ls >/dev/full 2>full.err
