#!/bin/bash
# SPDX-License-Identifier: MIT
# The single header in the tree is that of the sources in the tree, and comes out the same from
# any directory, in any language.
set -euo pipefail
source=$1
if [ ! -x /usr/bin/python3 ]; then
    echo "skipped: python3 is not installed"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
/usr/bin/python3 "$source/tools/amalgamate.py" "$work/zbq.h"
(cd / && LC_ALL=C PYTHONHASHSEED=1 /usr/bin/python3 "$source/tools/amalgamate.py" "$work/again.h")
cmp "$work/zbq.h" "$work/again.h"
diff -u "$source/dist/zbq.h" "$work/zbq.h" || { echo "run ./dev amalgamate"; exit 1; }
