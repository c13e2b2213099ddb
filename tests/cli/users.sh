#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Who may join beside the publisher's own user, and whose publisher a subscriber accepts.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"

if [ "$(id -u)" -ne 0 ]; then
    echo "not root: only one user to test with" >&2
    exit 77
fi
share_tool
mkdir open
chmod 777 open
owner=61234 other=61235 group=61236
seq 1000 >input

listens() { # NAME: a path is there once somebody does
    case $1 in
    @*) told /proc/net/unix "$1\$" ;;
    *) [ -S "$1" ] ;;
    esac
}

# publish NAME OPTIONS: to the first who may join, pid in $pub
publish() {
    as_user $owner '' pub --wait-for 1 --quiet "${@:2}" "$1" <input 2>pub.err &
    pub=$!
    wait_until "a publisher" listens "$1"
}

reads() { # USER GROUP SUB-ARGUMENTS
    as_user "$1" "$2" sub "${@:3}" >out 2>sub.err || fail "user $1 was not let in: sub ${*:3}"
    same input out
    ended $pub 0
}

refused() { # PATTERN USER GROUP SUB-ARGUMENTS
    expect_status 1 as_user "$2" "$3" sub "${@:4}" 2>sub.err
    says sub.err "$1"
}

path=$here/open/x
publish "$path"
refused 'open/x: Permission denied' $other $group "$path"
reads $owner '' "$path"

publish "$path" --user 61237 --user $other
refused 'open/x: refused' 61238 $group "$path"
reads $other '' "$path"

publish "$path" --group $group --group 61237
refused 'open/x: refused' $other '' "$path"
reads $other $group "$path"

# By name: user and group 1, which every system has under some name.
publish "$path" --user "$(getent passwd 1 | cut -d: -f1)"
refused 'open/x: refused' $other 1 "$path"
reads 1 '' "$path"
publish "$path" --group "$(getent group 1 | cut -d: -f1)"
refused 'open/x: refused' $other '' "$path"
reads $other 1 "$path"

# Whose publisher it may be.
name=@zbq-test-$$
publish $name --user $other
refused "$name belongs to user $owner" $other '' $name
refused "$name belongs to user $owner" $other '' --publisher $other --publisher 1 $name
reads $other '' --publisher 1 --publisher $owner $name
publish "$path" --user $other
refused "open/x belongs to user $owner" $other '' --publisher $other "$path"
reads $other '' "$path"
