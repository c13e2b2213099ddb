#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Input that cannot be published is refused clearly; what came before it has been published, and
# the subscribers do not take it for all of it.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"

# refused OPTIONS PATTERN: publishes `input`; what was read is in out
refused() {
    "$zbq" sub --wait x >out 2>sub.err &
    local sub=$!
    # shellcheck disable=SC2086 # a list of words
    expect_status 1 "$zbq" pub --wait-for 1 --capacity 4K $1 x <input 2>pub.err
    says pub.err "$2"
    ended $sub 4
    says sub.err 'failed or died'
    [ ! -e zbq/x ] || fail "the socket was left behind"
}

long_line() { # of so many bytes with its newline
    head -c $(($1 - 1)) /dev/zero | tr '\0' y
    echo
}

# The largest that fits, and one more.
{ echo first; long_line 4080; echo last; } >input
"$zbq" sub --wait x >out &
sub=$!
"$zbq" pub --wait-for 1 --capacity 4K x <input 2>pub.err
ended $sub 0
same input out
{ echo first; long_line 4081; echo last; } >input
refused "" 'message 2 has 4081 bytes.* 4096 bytes takes 4080 .*--capacity'
[ "$(cat out)" = first ] || fail "what came before it was not published"

# A line without end is not read for ever.
"$zbq" pub --capacity 4K x </dev/zero 2>pub.err && fail "endless line accepted"
says pub.err 'standard input: message 1 has over [0-9]+ bytes.* takes 4080 at most'

printf '\1\0\0\0A\2\0\0\0B' >input
refused --length-prefixed 'ends after 1 of the 2 bytes of message 2'
[ "$(cat out)" = A ] || fail "what came before the cut was not published"
printf '\1\0\0\0A\2\0' >input
refused --length-prefixed 'ends within the length of message 2'
printf '\1\0\0\0A\377\377\377\377' >input
refused --length-prefixed 'message 2 has 4294967295 bytes'

expect_status 2 "$zbq" pub --capacity 4K --chunks 4081 x </dev/null 2>pub.err
says pub.err '--chunks: 4081 .* 4080'
expect_status 1 "$zbq" pub --input /nonexistent/file x 2>pub.err
says pub.err 'opening /nonexistent/file: No such file'
expect_status 1 "$zbq" pub --input / x 2>pub.err
says pub.err 'reading /: Is a directory'
expect_status 1 "$zbq" pub --capacity 1024G x </dev/null 2>pub.err
says pub.err 'making a ring of .* Cannot allocate memory'
