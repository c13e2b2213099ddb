# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# For the tests of the tool: source it with the paths of the tool and of its helpers. Leaves each
# test in a private, empty directory, which is its XDG_RUNTIME_DIR too; ends what it started.
set -euo pipefail

# shellcheck disable=SC2034 # used by tests
zbq=$(realpath "$1")
# shellcheck disable=SC2034 # used by tests
stranger=$(realpath "${2:-/dev/null}")
# shellcheck disable=SC2034 # used by tests
outlet=$(realpath "${3:-/dev/null}")
# shellcheck disable=SC2034 # used by tests
late_signal=$(realpath "${4:-/dev/null}")
here=$(mktemp -d)
export XDG_RUNTIME_DIR=$here
cd "$here"

# Input that never comes: for <&"$never".
mkfifo never
# shellcheck disable=SC2034 # used by tests
exec {never}<>never

clean_up() {
    local pid
    for pid in $(jobs -p); do
        kill -CONT "$pid" 2>/dev/null || true
        kill -KILL "$pid" 2>/dev/null || true
    done
    rm -rf "$here"
}
trap clean_up EXIT

fail() {
    echo "FAILED: $*" >&2
    local file
    for file in "$here"/*.err; do
        [ -s "$file" ] || continue
        echo "--- ${file##*/}" >&2
        tail -n 20 "$file" >&2
    done
    exit 1
}

# wait_until WHAT COMMAND...: until the command succeeds, for as long as a slow machine needs.
wait_until() {
    local what=$1 deadline=$((SECONDS + 300))
    shift
    until "$@"; do
        [ $SECONDS -lt $deadline ] || fail "waited in vain for $what"
        sleep 0.02
    done
}

# expect_status WANTED COMMAND...
expect_status() {
    local wanted=$1 status=0
    shift
    "$@" || status=$?
    [ "$status" -eq "$wanted" ] || fail "status $status, not $wanted: ${*##*/}"
}

# ended PID WANTED: waits for a background process.
ended() {
    local status=0
    wait "$1" || status=$?
    [ "$status" -eq "$2" ] || fail "process $1 ended with status $status, not $2"
}

# joined PID: whether that subscriber has the ring. For wait_until.
joined() {
    grep -qs zbq-ring "/proc/$1/maps"
}

# told FILE TEXT: whether it is there yet. For wait_until.
told() {
    grep -qs -- "$2" "$1"
}

# says FILE PATTERN
says() {
    grep -Eq -- "$2" "$1" || fail "$1 does not say '$2'"
}

same() {
    cmp "$1" "$2" || fail "$1 and $2 differ"
}

# Makes the tool usable by others, who may not be able to look into the tree. For as_user.
share_tool() {
    cp "$zbq" zbq-copy
    cp "$(ldd "$zbq" | sed -n 's/.*libzbq\.so.* => \(.*\) (.*/\1/p')" libzbq.so.1
    chmod 711 "$here"
}

# as_user UID GROUP ARGUMENTS: the tool, without a session. GROUP is a supplementary one, or empty.
as_user() {
    local groups=(--clear-groups)
    [ -z "$2" ] || groups=(--groups "$2")
    env -u XDG_RUNTIME_DIR LD_LIBRARY_PATH="$here" setpriv --reuid "$1" --regid "$1" "${groups[@]}" \
        "$here/zbq-copy" "${@:3}"
}
