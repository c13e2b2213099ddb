#!/bin/bash
# SPDX-License-Identifier: MIT
# The README's examples are those that were compiled, and run.
set -euo pipefail
source=$1 in_c=$2 in_cpp=$3 loops=$4

same() { # LANGUAGE FILE
    diff -u <(sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/p" "$source/README.md" | sed '1d;$d') \
        <(sed -n '/README: begin/,/README: end/p' "$source/$2" | sed '1d;$d')
}

same c examples/readme.c
same cpp examples/readme.cpp
[ "$("$in_c")" = hello ]
runtime=$(mktemp -d)
trap 'rm -rf "$runtime"' EXIT
[ "$(XDG_RUNTIME_DIR=$runtime "$in_cpp")" = hello ]

# And the loops that zbq.h opens with, where no comment can be in a comment.
bare() {
    sed 's/^ *//; s,/\*,//,; s, \*/,,'
}
diff -u <(sed -n '/^ \* Conventions/q; s/^ \*     //p' "$source/include/zbq.h" | bare) \
    <(sed -n '/zbq.h: begin/,/zbq.h: end/p' "$source/examples/loops.c" | grep -v 'zbq.h: ' | bare |
        awk '!/^int result = ZBQ_OK;$/ || !seen++')
"$loops"
