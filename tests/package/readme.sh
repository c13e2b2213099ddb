#!/bin/bash
# SPDX-License-Identifier: MIT
# The README's examples are those that were compiled, and run.
set -euo pipefail
source=$1 in_c=$2 in_cpp=$3

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
