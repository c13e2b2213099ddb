#!/bin/bash
# SPDX-License-Identifier: MIT
# clang-tidy over all sources. tidy.sh [--all]
#
# Its path-sensitive analyzer takes as long as all other checks together, and three of these as long as
# ten others. The library, its headers and what reads files have them each time; all else with --all,
# as the nightly job does.
set -euo pipefail
cd "$(dirname "$0")/../.."
export build=$PWD/build/clang own_code=zbq-own-code
python_headers=$(/usr/bin/python3 -c 'import sysconfig; print(sysconfig.get_path("include"))')
export python_headers
# It asks for memcpy_s and its like, which no C library here has.
export of_c11=-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling
costly='-clang-analyzer-*,-bugprone-reserved-identifier,-bugprone-stringview-nullptr'
costly+=',-bugprone-use-after-move'
case ${1:-} in
'') export on_others=$costly,$own_code ;;
--all) export on_others=$own_code ;;
*)
    echo "usage: ./dev lint [--all]"
    exit 2
    ;;
esac

# The unit that includes the C++ library's sources, and one that includes all public headers.
included() {
    cat src/zbq.cpp >"$build"/library.cpp
    (cd include && printf '#include "%s"\n' zbq.h zbq/*.h zbq/*.hpp) >"$build"/headers.cpp
}

# Those that take longest first, so that no processor is left alone with one of them.
units() {
    printf '%s\n' "$build"/headers.cpp "$build"/library.cpp
    git ls-files -co --exclude-standard -- 'tools/*.cpp' 'bridge/*.cpp' 'examples/*.cpp' 'mcap/*.cpp' \
        'bindings/python/src/*.c' | xargs ls -S
    git ls-files -co --exclude-standard -- 'bench/*.cpp' 'tests/*.cpp' |
        # Of another compiler's library; broken on purpose; macros of Relacy; a program of clang's.
        grep -vE '^tests/(cpp/wrong|package/user|model/relacy|lint)/' | xargs ls -S
}

tidy() {
    clang-tidy --quiet --load="$build"/own_code.so --warnings-as-errors='*' -p "$build" "$@" 2>/dev/null
}

# Left to itself, the analyzer passes over what a unit includes, which is all that the first two have.
with_includes() { # UNIT, compiler's options
    tidy --checks=$own_code --extra-arg=-Xclang --extra-arg=-analyzer-opt-analyze-headers "$1" -- \
        -std=c++20 -Iinclude "${@:2}"
}

check() { # UNIT
    case $1 in
    */library.cpp) with_includes "$1" -Isrc -fno-exceptions -fno-rtti ;;
    */headers.cpp) with_includes "$1" ;;
    bindings/python/*) tidy --checks="$own_code,$of_c11" "$1" -- -std=gnu11 -isystem "$python_headers" ;;
    mcap/*) tidy --checks=$own_code "$1" ;;
    *) tidy --checks="$on_others" "$1" ;;
    esac
}
export -f tidy with_includes check

cmake --preset clang >/dev/null
included
cmake --build --preset clang --target tests/CMakeFiles/zbq_rig.dir/cmake_pch.hxx.pch
g++ -std=c++17 -fno-rtti -fPIC -shared -isystem /usr/lib/llvm-14/include tests/lint/own_code.cpp \
    -o "$build"/own_code.so
units | xargs -P "$(nproc)" -I{} bash -c 'check {}'
