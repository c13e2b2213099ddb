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

# And it does complain, of a name without words.
sed -i 's/^INPUT .*/INPUT = include\/zbq.h/; s/^USE_MDFILE.*//' "$work/Doxyfile"
mkdir "$work/include"
sed 's/^ \* Ends the stream.*//; s/^\/\*\* Ends the stream.*/\/* /' include/zbq.h >"$work/include/zbq.h"
cd "$work"
! doxygen "$work/Doxyfile" 2>/dev/null || { echo "undocumented calls are not found"; exit 1; }
