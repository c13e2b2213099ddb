#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Section 3: each call has its page, with all that its comment says. man_pages.sh BUILD SOURCE
# shellcheck source=tests/docs/man_support.sh
source "$(dirname "$0")/man_support.sh" "$1"
source=$2
tests=$source/tests/docs

calls() {
    grep -oE '\bzbq_\w+;' "$source/zbq.map" | tr -d ';'
    sed -nE 's/^ZBQ_INLINE .*\b(zbq_\w+)\(.*/\1/p' "$source/include/zbq/inline.h"
}

[ "$(calls | wc -l)" -gt 40 ] || fail "few calls were found"
for call in $(calls); do
    page=$(man -w 3 "$call") || fail "$call has no page"
    [[ $(realpath "$page") == "$man"/man3/* ]] || fail "$call has its page in $page"
    grep -qF "\"$call - " <<<"$(lexgrog "$page")" || fail "$page does not name $call"
    rendered "$page" >"$work/$call.text"
    for section in NAME LIBRARY SYNOPSIS DESCRIPTION 'RETURN VALUES' 'SEE ALSO'; do
        grep -qx "$section" "$work/$call.text" || fail "$page has no $section"
    done
done
rendered "$man/man3/zbq.3.gz" >"$work/zbq.text"

while read -r page; do
    check_page "$page"
done < <(find "$man/man3" -type f)
[ -z "$(find "$man" -xtype l)" ] || fail "a page leads nowhere"

for header in zbq.h zbq/inline.h; do
    python3 -B "$tests/words.py" "$source/include/$header" "$work" || fail "words are missing"
done

# And missing words are found: of a header that says more than the pages do.
sed 's/Keep\|collected\|The largest run/& purple/' "$source/include/zbq.h" >"$work/zbq.h"
python3 -B "$tests/words.py" "$work/zbq.h" "$work" >"$work/missing" && fail "words do not matter"
[ "$(grep -c purple "$work/missing")" -gt 3 ] || fail "missing words are not found"
