#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Section 1: each option and status that the tool's help lists is in its page. man_tool.sh BUILD TOOL
# shellcheck source=tests/docs/man_support.sh
source "$(dirname "$0")/man_support.sh" "$1"
zbq=$2

check_pages "$man"/man1/zbq*.1.gz

for command in '' pub sub collect ls stat top export record info replay; do
    page=zbq${command:+-$command}
    rendered "$man/man1/$page.1.gz" >"$work/text"
    "$zbq" ${command:+"$command"} --help >"$work/help"
    grep -oE '^  (-[a-z],)?--[a-z0-9-]+( [A-Z=]+\b)?' "$work/help" |
        sed 's/^ *//; s/,/, /; s/ Excludes$//' >"$work/options"
    [ -s "$work/options" ] || fail "the help of '$command' lists no options"
    while read -r option; do
        grep -qE -- "^ +$option( |\$)" "$work/text" || fail "$page does not tell of $option"
    done <"$work/options"
    # Examples and statuses begin with two blanks there.
    sed -n '/^Examples:/,/^$/s/^  //p' "$work/help" | while read -r example; do
        grep -qF -- "$example" "$work/text" || fail "$page has no example $example"
    done
    sed -n '/^Exit status/,$s/^  \([0-9]*\) .*/\1/p' "$work/help" | while read -r status; do
        grep -qE "^ +$status +[A-Z]" "$work/text" || fail "$page has no status $status"
    done
done
