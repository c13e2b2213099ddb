#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The directory of the sockets is private, or nothing is published there.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"

refused() { # RUNTIME-DIRECTORY PATTERN
    expect_status 1 env XDG_RUNTIME_DIR="$1" "$zbq" pub x </dev/null 2>pub.err
    says pub.err "$2"
    expect_status 1 env XDG_RUNTIME_DIR="$1" "$zbq" sub x 2>sub.err
    says sub.err "$2"
}

mkdir -m 700 runtime
touch file
expect_status 0 env XDG_RUNTIME_DIR="$here/runtime" "$zbq" pub --quiet x </dev/null
refused runtime "XDG_RUNTIME_DIR is 'runtime', not an absolute path"
refused "$here/missing" 'XDG_RUNTIME_DIR, .*/missing: No such file'
refused "$here/file" 'file, is not a directory'
chmod 770 runtime
refused "$here/runtime" 'can be written by others'
chmod 700 runtime
chmod 750 runtime/zbq
refused "$here/runtime" 'zbq is open to others'
rmdir runtime/zbq
mkdir -m 700 elsewhere
ln -s ../elsewhere runtime/zbq
refused "$here/runtime" 'runtime/zbq'
rm runtime/zbq
touch runtime/zbq
refused "$here/runtime" 'runtime/zbq'
refused "/tmp/$(printf 'n%.0s' {1..108})" 'XDG_RUNTIME_DIR'

# A path does not need it.
expect_status 0 env XDG_RUNTIME_DIR=relative "$zbq" pub --quiet ./x </dev/null

if [ "$(id -u)" -ne 0 ]; then
    echo "not root: the directory in /tmp is not tested" >&2
    exit 0
fi
# A user without a session: /tmp/zbq-UID, made private, and refused when another made it.
uid=61234
chown $uid runtime
refused "$here/runtime" "not a directory of user 0"
share_tool
if [ -e /run/user/$uid ] || [ -e /tmp/zbq-$uid ]; then
    fail "user id $uid is in use here"
fi
trap 'rm -rf /tmp/zbq-$uid; clean_up' EXIT
expect_status 5 as_user $uid '' sub x 2>sub.err
[ ! -e /tmp/zbq-$uid ] || fail "a subscriber made the directory"
expect_status 0 as_user $uid '' pub --quiet x </dev/null
[ "$(stat -c '%a %u' /tmp/zbq-$uid)" = "700 $uid" ] || fail "/tmp/zbq-$uid is not private"
chmod 755 /tmp/zbq-$uid
expect_status 1 as_user $uid '' pub x </dev/null 2>pub.err
says pub.err 'open to others'
rm -rf /tmp/zbq-$uid
mkdir -m 700 /tmp/zbq-$uid
expect_status 1 as_user $uid '' pub x </dev/null 2>pub.err
says pub.err "zbq-$uid"
