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

mapfile -t pages < <(find "$man/man3" -type f)
check_pages "${pages[@]}"
[ -z "$(find "$man" -xtype l)" ] || fail "a page leads nowhere"

for page in "${pages[@]}"; do
    rendered "$page" >"$work/$(basename "$page" .3.gz).text"
done
titles=$(<"$work/titles")
[ "$(calls | wc -l)" -gt 40 ] || fail "few calls were found"
for call in $(calls); do
    page=$(readlink -e "$man/man3/$call.3.gz") || fail "$call has no page"
    [[ $titles == *"\"$call - "* ]] || fail "no page names $call"
    text=$work/${page##*/}
    text=${text%.3.gz}.text
    [ "$(grep -cxE 'NAME|LIBRARY|SYNOPSIS|DESCRIPTION|RETURN VALUES|SEE ALSO' "$text")" -eq 6 ] ||
        fail "the page of $call lacks a section"
    [ -e "$work/$call.text" ] || ln "$text" "$work/$call.text" # several may share one
done

for header in zbq.h zbq/inline.h; do
    python3 -B "$tests/words.py" "$source/include/$header" "$work" || fail "words are missing"
done

# And missing words are found: of a header that says more than the pages do.
sed 's/Keep\|collected\|The largest run/& purple/' "$source/include/zbq.h" >"$work/zbq.h"
python3 -B "$tests/words.py" "$work/zbq.h" "$work" >"$work/missing" && fail "words do not matter"
[ "$(grep -c purple "$work/missing")" -gt 3 ] || fail "missing words are not found"
