#!/bin/bash
# SPDX-License-Identifier: MIT
# Everything public has its words, and Doxygen has nothing to complain of. reference.sh SOURCE
set -euo pipefail
if ! command -v doxygen >/dev/null; then
    echo "skipped: doxygen is not installed"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$1"
{ cat docs/Doxyfile && echo "OUTPUT_DIRECTORY = $work"; } >"$work/Doxyfile"
doxygen "$work/Doxyfile"
for page in zbq_8h.html classzbq_1_1producer.html classzbq_1_1consumer.html; do
    [ -s "$work/html/$page" ] || { echo "no $page"; exit 1; }
done
# What a page says to include is there.
named=$(sed -n 's/.*#include &lt;<a [^>]*>\([^<]*\)<.*/\1/p' "$work"/html/class*.html "$work"/html/struct*.html |
    sort -u)
[ -n "$named" ] || { echo "no page says what to include"; exit 1; }
for header in $named; do
    [ -f "include/$header" ] || { echo "no header <$header>, which a page names"; exit 1; }
done
# Where a document leads, something is: another page, or what lies in the tree around build/docs/html.
lead=$(grep -oE '<a [^>]*href="[^":]+"' "$work/html/guide.html" | sed 's/.*href="//; s/["#].*//' | sort -u)
[ "$(wc -l <<<"$lead")" -gt 20 ] || { echo "the guide leads to few pages"; exit 1; }
for target in $lead; do
    case $target in
    ../../../*) [ -e "${target#../../../}" ] ;;
    *) [ -e "$work/html/$target" ] ;;
    esac || { echo "the guide leads to $target"; exit 1; }
done
# The table has each call of the C interface, and its names lead to their pages.
for call in $(grep -oE '\bzbq_\w+;' zbq.map | tr -d ';'); do
    grep -qF "$call()</a>" "$work/html/index.html" || { echo "docs/reference.md: no $call()"; exit 1; }
done
plain=$(sed 's/<a [^>]*>[^<]*<\/a>//g' "$work/html/index.html" | grep -oE 'zbq(::|_)\w+' || true)
[ -z "$plain" ] || { echo "docs/reference.md: what is $plain?"; exit 1; }

# And it does complain, of a name without words.
sed -i 's/^INPUT .*/INPUT = include\/zbq.h/; s/^USE_MDFILE.*//; s/^EXAMPLE_PATH.*//' "$work/Doxyfile"
mkdir "$work/include"
cp include/zbq.h "$work/include"
(cd "$work" && doxygen Doxyfile)
sed 's/^ \* Ends the stream.*//; s/^\/\*\* Ends the stream.*/\/* /' include/zbq.h >"$work/include/zbq.h"
cd "$work"
! doxygen "$work/Doxyfile" 2>/dev/null || { echo "undocumented calls are not found"; exit 1; }
