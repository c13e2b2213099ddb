#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A reader in a container: users and processes have other numbers there, and the socket is in both.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"

# Root of a user namespace, who is somebody else outside where that can be tried.
inside=(unshare --user --map-root-user --pid --fork --kill-child)
outside=$(id -u)
if [ "$outside" -eq 0 ]; then
    outside=61235
    inside=(setpriv --reuid "$outside" --regid "$outside" --clear-groups "${inside[@]}")
fi
if ! "${inside[@]}" true; then
    echo "skipped: no user and pid namespaces can be made here"
    exit 77
fi
share_tool
mkdir shared
chmod 755 shared
feed=$here/shared/feed

# read_inside OUT: becomes the container, so in the background only; its numbers go to OUT.ids
read_inside() {
    # shellcheck disable=SC2016 # the shell's inside
    exec env -u XDG_RUNTIME_DIR LD_LIBRARY_PATH="$here" "${inside[@]}" sh -c \
        'echo "$(id -u) $$" >&3 && exec "$0" sub "$1"' "$here/zbq-copy" "$feed" \
        >"$1" 2>"$1.err" 3>"$1.ids"
}

seq 1000 >input
"$zbq" pub --user "$outside" --wait-for 1 --quiet --input input "$feed" 2>pub.err &
pub=$!
wait_until "a publisher" test -S "$feed"
read_inside out &
ended $! 0
ended $pub 0
same input out
[ "$(cat out.ids)" = "0 1" ] || fail "inside it is user and process $(cat out.ids)"

# Where one that was killed is missed, and by which number.
"$zbq" pub --user "$outside" "$feed" <&"$never" 2>pub.err &
pub=$!
wait_until "a publisher" test -S "$feed"
read_inside killed &
container=$!
reader() { # its number outside
    cat "/proc/$container/task/$container/children"
}
has_joined() {
    local pid
    pid=$(reader) && [ -n "$pid" ] && joined "${pid% }"
}
wait_until "it to join" has_joined
pid=$(reader)
pid=${pid% }
kill -KILL "$pid"
wait_until "it to be missed" told pub.err "(pid $pid) gone"
wait $container 2>/dev/null || true
kill -TERM $pub
ended $pub 143

# Whom nobody has on a list stays outside.
if [ "$(id -u)" -eq 0 ]; then
    "$zbq" pub --user 61236 "$feed" <&"$never" 2>pub.err &
    pub=$!
    wait_until "a publisher" test -S "$feed"
    read_inside refused &
    ended $! 1
    says refused.err 'feed: refused'
    kill -TERM $pub
    ended $pub 143
fi
