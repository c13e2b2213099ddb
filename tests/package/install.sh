#!/bin/bash
# SPDX-License-Identifier: MIT
# Installs into a prefix and builds a user's program against that, in each way that the
# project offers.
set -euo pipefail
build=$1 user=$2 sanitize=${3:-}
if [ -n "$sanitize" ]; then
    echo "skipped: the user's program is built without sanitizers"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
cmake --install "$build" --prefix "$prefix" >/dev/null

libdir=$(dirname "$(find "$prefix" -name libzbq.so)")
export PKG_CONFIG_PATH=$libdir/pkgconfig LD_LIBRARY_PATH=$libdir

echo "pkg-config, shared"
read -ra flags < <(pkg-config --cflags --libs zbq)
gcc -std=c11 "$user/main.c" "${flags[@]}" -o "$work/shared"
"$work/shared"
ldd "$work/shared" | grep -q libzbq.so.0
g++ -std=c++20 "$user/main.cpp" "${flags[@]}" -o "$work/cpp"
"$work/cpp"

echo "pkg-config, static"
read -ra flags < <(pkg-config --cflags zbq)
gcc -std=c11 "$user/main.c" "${flags[@]}" "$libdir/libzbq.a" -o "$work/static"
env -u LD_LIBRARY_PATH "$work/static"

echo "find_package"
cmake -S "$user" -B "$work/user" -DCMAKE_PREFIX_PATH="$prefix" >/dev/null
cmake --build "$work/user" >/dev/null
"$work/user/with_shared"
"$work/user/with_static"
"$work/user/with_cpp"
