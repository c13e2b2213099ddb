#!/bin/bash
# SPDX-License-Identifier: MIT
# meson.sh BUILD USER SOURCE SANITIZERS
# A user's Meson project finds the installed library by pkg-config and by CMake, and builds it from
# a source archive by the wrap file.
set -euo pipefail
build=$1 user=$2 source=$3 sanitize=${4:-}
# shellcheck source=tests/package/user.sh
source "$(dirname "$0")/user.sh"
skip_if_sanitized "$sanitize"
needs meson pkg-config
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

with_meson() { # PROJECT BUILD PROGRAM OPTIONS
    quietly meson setup "$1" "$2" "${@:4}"
    quietly meson compile -C "$2" "$3"
}

prefix=$work/prefix
cmake --install "$build" --prefix "$prefix" >/dev/null
libdir=$(dirname "$(find "$prefix" -name libzbq.a)")
export LD_LIBRARY_PATH=$libdir

echo "dependency(), by pkg-config"
PKG_CONFIG_PATH=$libdir/pkgconfig with_meson "$user" "$work/pkg-config" in_cpp -Dmethod=pkg-config
runs shared "$work/pkg-config/in_cpp"
echo "dependency(), by CMake"
with_meson "$user" "$work/shared" in_c --cmake-prefix-path="$prefix" -Dmethod=cmake -Dmodules=zbq::zbq
runs shared "$work/shared/in_c"
with_meson "$user" "$work/static" in_c --cmake-prefix-path="$prefix" -Dmethod=cmake \
    -Dmodules=zbq::zbq-static
runs static "$work/static/in_c"
unset LD_LIBRARY_PATH

echo "the wrap"
project=$work/project
mkdir -p "$project/subprojects"
cp "$user"/* "$project"
cp -r "$source/packaging/meson/zbq.wrap" "$source/packaging/meson/packagefiles" "$project/subprojects"
archive=$(sed -n 's/^source_filename = //p' "$source/packaging/meson/zbq.wrap")
directory=$(sed -n 's/^directory = //p' "$source/packaging/meson/zbq.wrap")
tar -C "$source" --transform "s|^|$directory/|" -czf "$project/subprojects/packagefiles/$archive" \
    LICENSE include src zbq.map
for linkage in shared static; do
    with_meson "$project" "$work/wrap-$linkage" in_c -Ddefault_library=$linkage \
        --force-fallback-for=zbq
    runs $linkage "$work/wrap-$linkage/in_c"
done
abi=$source/tests/abi
wrapped=$work/wrap-shared/subprojects/$directory
bash "$abi/symbols.sh" "$wrapped/libzbq.so" "$work/wrap-static/subprojects/$directory/libzbq.a" \
    "$abi/symbols.txt" "$source/include/zbq.h"
bash "$abi/libc_alone.sh" "$wrapped/libzbq.so" "$work/wrap-static/subprojects/$directory/libzbq.a"
