#!/bin/bash
# SPDX-License-Identifier: MIT
# clang-tidy over all sources. tidy.sh [--all]
#
# Its path-sensitive analyzer takes as long as all other checks together, and three of these as long as
# ten others. The library, its headers, the tool and the examples have them each time; tests and
# benchmark with --all, as the nightly job does.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=build/clang
costly='-clang-analyzer-*,-bugprone-reserved-identifier,-bugprone-stringview-nullptr'
costly+=',-bugprone-use-after-move'
case ${1:-} in
'') on_tests=("--checks=$costly") ;;
--all) on_tests=() ;;
*)
    echo "usage: ./dev lint [--all]"
    exit 2
    ;;
esac

units() { # pattern of paths
    git ls-files -co --exclude-standard -- '*.cpp' | grep -E "$1" |
        grep -vE '^tests/(cpp/wrong|package/user|model/relacy)/' # the last is Relacy's macros
}

# One clang-tidy for each processor, the largest first, so that none is left alone with a long one.
tidy() { # OPTIONS; paths on standard input
    xargs ls -S | xargs -P "$(nproc)" -n 1 \
        clang-tidy --quiet --warnings-as-errors='*' -p $build "$@" 2>/dev/null
}

# Left to itself, the analyzer passes over what a unit includes, which is all that these have.
with_includes() { # NAME, compiler's options; the unit on standard input
    local unit=$build/$1.cpp
    cat >"$unit"
    clang-tidy --quiet --warnings-as-errors='*' --extra-arg=-Xclang \
        --extra-arg=-analyzer-opt-analyze-headers "$unit" -- -std=c++20 -Iinclude "${@:2}" 2>/dev/null
}

headers() {
    (cd include && printf '#include "%s"\n' zbq.h zbq/*.h zbq/*.hpp)
}

cmake --preset clang >/dev/null

with_includes library -Isrc -fno-exceptions -fno-rtti <src/zbq.cpp &
library=$!
bad=0
with_includes headers < <(headers) || bad=1
wait $library || bad=1
units '^(tools|examples)/' | tidy || bad=1
units '^(bench|tests)/' | tidy "${on_tests[@]}" || bad=1
exit $bad
