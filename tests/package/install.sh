#!/bin/bash
# SPDX-License-Identifier: MIT
# Installs into a prefix, moves that, and builds a user's programs against it with pkg-config and
# with CMake, shared and static.
set -euo pipefail
build=$1 user=$2 sanitize=${3:-}
# shellcheck source=tests/package/user.sh
source "$(dirname "$0")/user.sh"
skip_if_sanitized "$sanitize"
needs pkg-config
[ -x "$build/tools/zbq/zbq" ] || skip "the tool is not built"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/installed" >/dev/null
prefix="$work/moved elsewhere"
mv "$work/installed" "$prefix"
libdir=$(dirname "$(find "$prefix" -name libzbq.a)")
archive_alone=$work/archive_alone # as an installation without the shared library
cp -r "$prefix" "$archive_alone"
find "$archive_alone" \( -name 'libzbq.so*' -o -name 'zbq-shared-targets*' \) -delete
archive_libdir=$(dirname "$(find "$archive_alone" -name libzbq.a)")

echo "the tool finds the library beside it"
env -u LD_LIBRARY_PATH "$prefix/bin/zbq" --version
[ ! -e "$prefix/bin/zbq-bench" ] || { echo "the benchmark is installed"; exit 1; }

with_pkg_config() { # LIBDIR pkg-config's options -- compiler and its arguments
    local options=() flags
    local libdir=$1
    shift
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    eval "flags=($(PKG_CONFIG_PATH="$libdir/pkgconfig" pkg-config "${options[@]}" zbq))" # it quotes
    "${@:2}" "${flags[@]}"
}

echo "pkg-config"
with_pkg_config "$libdir" --cflags --libs -- gcc -std=c11 "$user/main.c" -o "$work/shared"
with_pkg_config "$libdir" --cflags --libs -- g++ -std=c++20 "$user/main.cpp" -o "$work/cpp"
LD_LIBRARY_PATH=$libdir runs shared "$work/shared"
LD_LIBRARY_PATH=$libdir runs shared "$work/cpp"
with_pkg_config "$archive_libdir" --cflags --libs -- gcc "$user/main.c" -o "$work/archive"
runs static "$work/archive"
with_pkg_config "$libdir" --static --cflags --libs -- gcc -static "$user/main.c" -o "$work/static"
runs static "$work/static"

echo "find_package, without components and with both"
with_cmake "$user" "$work/any" "$prefix" -- in_c.zbq in_c.zbq-static in_cpp.zbq
with_cmake "$user" "$work/both" "$prefix" '-DZBQ_COMPONENTS=shared;static' -DZBQ_VERSION=1.0.0 \
    -- in_c.zbq in_c.zbq-static
runs shared "$work/any/in_cpp.zbq"
for programs in any both; do
    runs shared "$work/$programs/in_c.zbq"
    runs static "$work/$programs/in_c.zbq-static"
done
echo "find_package, the archive alone"
with_cmake "$user" "$work/component" "$prefix" -DZBQ_COMPONENTS=static \
    -DZBQ_TARGETS=zbq::zbq-static -- in_c.zbq-static
with_cmake "$user" "$work/alone" "$archive_alone" -- in_c.zbq in_c.zbq-static
runs static "$work/component/in_c.zbq-static"
runs static "$work/alone/in_c.zbq"
runs static "$work/alone/in_c.zbq-static"
echo "find_package, what is not there"
refused_by_cmake "$user" "$archive_alone" 'The component "shared" of zbq is not installed' \
    -DZBQ_COMPONENTS=shared
refused_by_cmake "$user" "$prefix" 'The component "quick" of zbq is not installed' \
    -DZBQ_COMPONENTS=quick
refused_by_cmake "$user" "$prefix" 'version: 1.0.0' -DZBQ_VERSION=2
refused_by_cmake "$user" "$prefix" 'version: 1.0.0' -DZBQ_VERSION=1.1
refused_by_cmake "$user" "$prefix" 'zbq::zbq-static' -DZBQ_COMPONENTS=shared # a target not asked for
