#!/bin/bash
# SPDX-License-Identifier: MIT
# Searches all states of each model. check.sh [short]
set -euo pipefail
models=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck source=/dev/null
. "$models/spin.sh"

one() { # model, kind, definitions
    local start=$SECONDS
    search "$@" || true
    if ! was_exhaustive; then
        cat "$work/log"
        echo "FAILED: $*"
        exit 1
    fi
    printf '%10s states, depth %6s, %4s s: %s\n' \
        "$(sed -nE 's/^ *([0-9.e+]+) states, stored.*/\1/p' "$work/log")" \
        "$(sed -nE 's/.*depth reached ([0-9]+),.*/\1/p' "$work/log")" $((SECONDS - start)) "$*"
}

command -v spin >/dev/null || { echo "skipped: no spin" && exit 77; }
while read -r -a words; do
    one "${words[@]}"
done < <("${1:-long}_searches")
