#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The command line: what is refused, and how.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"

refused() { # PATTERN ARGUMENTS
    local pattern=$1
    shift
    expect_status 2 "$zbq" "$@" </dev/null >out 2>refused.err
    says refused.err "^zbq: .*$pattern"
    [ ! -s out ] || fail "a mistake is told on standard error alone"
}

refused 'subcommand'
refused 'NAME' pub
refused "there is no command 'publish'" publish x
refused "there is no command ''" ''
refused '--colour' pub --colour x
refused "'4X' is not a size" pub --capacity 4X x
refused "'-1' is not a size" pub --capacity=-1 x
refused "'' is not a size" pub --capacity '' x
refused 'is not a size' pub --capacity 99999999999G x
refused '4097 is not a multiple of the page size' pub --capacity 4097 x
refused '0 is not a multiple' pub --capacity 0 x
refused "'5' is not a duration" pub --stall-timeout 5 x
refused "'1m' is not a duration" pub --stall-timeout 1m x
refused '0 is not from 1 to' pub --chunks 0 x
refused '--max-consumers' pub --max-consumers 0 x
refused '--max-consumers' pub --max-consumers -1 x
refused '--wait-for: 3 is more than --max-consumers, 2' pub --max-consumers 2 --wait-for 3 x
refused '--rate: -1 is not .*from 0 to 1000000000' pub --rate -1 x
refused '--rate' pub --rate nan x
refused '--rate' pub --rate often x
refused "--user: there is no user 'no such one'" pub --user 'no such one' @x
refused "--user: there is no user '-1'" pub --user=-1 @x
refused "--user: there is no user '4294967295'" pub --user 4294967295 @x
refused "--group: there is no group '1x'" pub --group 1x @x
refused "--publisher: there is no user ''" sub --publisher '' @x
# The id of all those who have none here.
read -r nobody </proc/sys/kernel/overflowuid
read -r nogroup </proc/sys/kernel/overflowgid
refused "--user: '$nobody' is user $nobody, which stands for everyone" pub --user "$nobody" @x
refused "--publisher: '$nobody' is user $nobody" sub --publisher "$nobody" @x
refused "--group: '$nogroup' is group $nogroup" pub --group "$nogroup" @x
refused "others cannot reach 'x'.* @x" pub --user 1 x
refused "others cannot reach 'x'" pub --group 1 x
refused '--lines' pub --lines --chunks 4 x
refused '--length-prefixed' pub --length-prefixed --chunks 4 x
refused '--pull' sub --pull --push x
refused '--lines' sub --lines --raw x
refused '' sub --lines --count x

for what in --help 'pub --help' 'sub --help'; do
    # shellcheck disable=SC2086 # a list of words
    expect_status 0 "$zbq" $what >out 2>help.err
    says out 'Examples:'
    [ ! -s help.err ] || fail "help is for standard output"
done
for status in 0 1 2 3 4 5 6 7 129 130 143; do
    for what in '' pub sub; do
        says <("$zbq" ${what:+$what} --help) "^  $status  "
    done
done
expect_status 6 "$zbq" --help >/dev/full 2>help.err
says help.err 'writing standard output: No space left'
expect_status 0 "$zbq" --version >out
says out '^zbq [0-9]+\.[0-9]+\.[0-9]+$'

# Accepted.
for option in '--stall-timeout 0' '--stall-timeout 2s' '--stall-timeout 500ms' '--capacity 64K' \
    '--capacity 1M' '--capacity 8192' '--rate 0.5' '--max-consumers 1'; do
    # shellcheck disable=SC2086 # a list of words
    expect_status 0 "$zbq" pub --quiet $option x </dev/null
done
