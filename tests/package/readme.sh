#!/bin/bash
# SPDX-License-Identifier: MIT
# The README's example is the one that was compiled, and runs.
set -euo pipefail
source=$1 program=$2
# shellcheck disable=SC2016 # backquotes of Markdown
diff -u <(sed -n '/^```c$/,/^```$/p' "$source/README.md" | sed '1d;$d') \
    <(sed -n '/README: begin/,/README: end/p' "$source/examples/readme.c" | sed '1d;$d')
[ "$("$program")" = hello ]
