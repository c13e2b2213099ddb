#!/bin/bash
# SPDX-License-Identifier: MIT
# Breaks a line of a model at a time, by mutants.txt, and sees that the search finds the error
# that the line prevents. mutants.sh [PATTERN] takes the mutants whose name matches.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
pattern=${1:-.}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
models=$work/models
mkdir "$models"
# shellcheck disable=SC2034 # for search
breadth=yes
# shellcheck source=tests/mutants/mutate.sh
. "$here/spin.sh"
# shellcheck source=tests/mutants/mutate.sh
. "$here/../../mutants/mutate.sh"

# The first error of the searches of a model; nothing when there is none.
first_error() { # model
    local words
    while read -r -a words; do
        [ "${words[0]}" = "$1" ] || continue
        search "${words[@]}" || true
        was_exhaustive || { error_found && return; }
    done < <(mutant_searches)
}

try_mutant() { # name, file, property, original, replacement
    [[ $1 =~ $pattern ]] || return 0
    tried=$((tried + 1))
    cp "$here"/*.pml "$models"
    apply "$models/$2" "$4" "$5"
    local found verdict=killed
    found=$(first_error "${2%.pml}")
    if [[ ! $found =~ ^($3)$ ]]; then
        verdict=SURVIVED
        bad=$((bad + 1))
        tail -5 "$work/log"
    fi
    printf '%-10s%s: %s\n' "$verdict" "$1" "${found:-no error}"
}

command -v spin >/dev/null || { echo "skipped: no spin" && exit 77; }
tried=0 bad=0
each_mutant "$here/mutants.txt" try_mutant
echo "$tried mutants, $bad not killed"
[ "$tried" -gt 0 ] && [ "$bad" -eq 0 ]
