#!/bin/bash
# SPDX-License-Identifier: MIT
# Sees that each mutant still fits the code: what it replaces is there, once. fits.sh [LIST...]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
# shellcheck source=tests/mutants/mutate.sh
. "$here/mutate.sh"
[ $# -gt 0 ] || set -- tests/mutants/list.txt tests/fuzz/mutants.txt tests/model/*/mutants.txt
copy=$(mktemp)
trap 'rm -f "$copy"' EXIT

bad=0
see() { # name, file, tests, original, replacement
    local file=$2
    [ -f "$file" ] || file=$(dirname "$list")/$2
    cp "$file" "$copy"
    if ! apply "$copy" "$4" "$5" 2>/dev/null; then
        echo "$list: does not fit $file any more: $1"
        bad=1
    fi
}

for list in "$@"; do
    each_mutant "$list" see
done
[ "$bad" -eq 0 ]
