#!/bin/bash
# SPDX-License-Identifier: MIT
# deb.sh BUILD SOURCE SANITIZERS
# The Debian packages of a tree configured for /usr: lintian has nothing to say, they contain what
# contents.txt lists, the same is made twice, and what they contain works where it is unpacked.
set -euo pipefail
build=$1 source=$2 sanitize=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/package/user.sh
source "$here/user.sh"
[ -z "$sanitize" ] || skip "no packages of what has sanitizers"
grep -q '^CMAKE_INSTALL_PREFIX:PATH=/usr$' "$build/CMakeCache.txt" || skip "not configured for /usr"
[ -e "$build/bindings/python/_zbq.abi3.so" ] || skip "no package python3-dev"
needs lintian dpkg-deb dpkg-shlibdeps file
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for time in first second; do
    quietly cpack --config "$build/CPackConfig.cmake" -B "$work/$time"
done
debs=("$work"/first/*.deb)
for deb in "${debs[@]}"; do
    cmp "$deb" "$work/second/$(basename "$deb")"
done

echo "lintian"
as_root=()
[ "$(id -u)" -ne 0 ] || as_root=(--allow-root)
lintian "${as_root[@]}" --display-info --pedantic --fail-on error,warning,info,pedantic \
    "${debs[@]}"

echo "contents"
describe() {
    local deb
    for deb in "${debs[@]}"; do
        # shellcheck disable=SC2016 # dpkg-deb expands it
        dpkg-deb --show --showformat '${Package}: ${Depends}\n' "$deb"
        dpkg-deb --ctrl-tarfile "$deb" | tar -t | grep -v '/$'
        dpkg-deb --contents "$deb" | awk '!/\/$/ { print $1, $2, $6 $7 $8 }'
    done
}
version=$(dpkg-deb --field "${debs[0]}" Version)
describe | sed "s|/$(gcc -print-multiarch)/|/TRIPLET/|; s| (>= [^)]*)||g
    s|${version//./\\.}|VERSION-REVISION|g; s|so\.${version%-*}|so.VERSION|g" >"$work/contents"
diff -u "$here/contents.txt" "$work/contents" || {
    cp "$work/contents" "$build/contents.txt"
    echo "When that is meant: cp $build/contents.txt tests/package/contents.txt"
    exit 1
}

echo "what is in them"
root=$work/root
for deb in "${debs[@]}"; do
    dpkg-deb -x "$deb" "$root"
done
with_cmake "$here/user" "$work/user" "$root/usr" -- in_c.zbq in_c.zbq-static
runs static "$work/user/in_c.zbq-static"
[ "$(PKG_CONFIG_PATH=$(dirname "$root"/usr/lib/*/pkgconfig/zbq.pc) pkg-config --cflags --libs zbq |
    xargs)" = "-lzbq" ] # in the system's own directories
LD_LIBRARY_PATH=$root/usr/lib/$(gcc -print-multiarch)
export LD_LIBRARY_PATH XDG_RUNTIME_DIR=$work
runs shared "$work/user/in_c.zbq"
runs shared "$root/usr/bin/zbq" --version
[[ $(ldd "$root/usr/bin/zbq") == *" $LD_LIBRARY_PATH/libzbq.so.1 "* ]]
[[ $(readelf -d "$root/usr/bin/zbq") != *RUNPATH* ]] || { echo "the tool has a path to look in"; exit 1; }
timeout 600 "$root/usr/bin/zbq" sub --wait --lines deb >"$work/got" &
timeout 600 "$root/usr/bin/zbq" pub --wait-for 1 --lines deb <"$source/LICENSE"
wait $!
cmp "$source/LICENSE" "$work/got"
if [ -e "$root/usr/lib/python3/dist-packages/zbq" ]; then
    PYTHONPATH=$root/usr/lib/python3/dist-packages /usr/bin/python3 -B -c 'import zbq
zbq.Producer(4096).publish(b"x")'
fi
