#!/bin/bash
# SPDX-License-Identifier: MIT
# abidiff_can_fail.sh STATIC-LIBRARY SOURCE COMPILER-ID SANITIZERS
# Libraries with another ABI are refused, each for what it is.
set -euo pipefail
archive=$1 source=$2
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

link() { # name, map, objects
    gcc -shared -Wl,-soname,libzbq.so.1 -Wl,--version-script="$2" -o "$work/$1.so" \
        -Wl,--whole-archive "${@:3}" -Wl,--no-whole-archive
}

compile() { # name, file of include/, sed's command for it
    cp -r "$source/include" "$work/$1"
    sed -i "$3" "$work/$1/$2"
    ! cmp -s "$source/include/$2" "$work/$1/$2" || { echo "$1: no such line"; exit 1; }
    g++ -std=c++20 -g -O0 -fPIC -fvisibility=hidden -fno-exceptions -fno-rtti \
        -fno-threadsafe-statics -I"$work/$1" -c "$source/src/zbq.cpp" -o "$work/$1.o"
    link "$1" "$source/zbq.map" "$work/$1.o"
}

compare() { # name, header
    bash "$here/abidiff.sh" "$work/$1.so" "$2" "$here/libzbq.abi" "${compiler[@]}" >"$work/said"
}

refused() { # name, header, what is said
    local status=0
    compare "$1" "$2" || status=$?
    [ "$status" -eq 1 ] || { echo "$1: status $status"; cat "$work/said"; exit 1; }
    grep -q "$3" "$work/said" || { echo "$1: not for \"$3\""; cat "$work/said"; exit 1; }
    echo "refused: $1"
}

compiler=("$3" "${4:-}")
header=$source/include/zbq.h
link same "$source/zbq.map" "$archive"
compare same "$header" || { status=$?; cat "$work/said"; exit "$status"; }

sed '/zbq_strevict;/d' "$source/zbq.map" >"$work/less.map"
link removed_symbol "$work/less.map" "$archive"
refused removed_symbol "$header" '1 Removed function'

sed 's/ZBQ_1\.0/ZBQ_1.1/' "$source/zbq.map" >"$work/moved.map"
link moved_symbol "$work/moved.map" "$archive"
refused moved_symbol "$header" 'zbq_version@@ZBQ_1\.0'

echo 'int zbq_answer(void); int zbq_answer(void) { return 42; }' |
    gcc -g -fPIC -x c -c - -o "$work/answer.o"
sed 's/ *zbq_version;/&\n        zbq_answer;/' "$source/zbq.map" >"$work/more.map"
link added_symbol "$work/more.map" "$archive" "$work/answer.o"
refused added_symbol "$header" '1 Added function'

compile larger_struct zbq.h 's/^} zbq_msg_view;/    uint64_t more;\n&/'
refused larger_struct "$work/larger_struct/zbq.h" "struct zbq_msg_view"
compile other_constant zbq.h 's/\(ZBQ_COMMIT_KEEP = \)2/\14/'
refused other_constant "$work/other_constant/zbq.h" "ZBQ_COMMIT_KEEP"
