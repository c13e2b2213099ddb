#!/bin/bash
# SPDX-License-Identifier: MIT
# vcpkg.sh USER SOURCE SANITIZERS
# The vcpkg port, for both linkages, debug and release, and a user's program built on it. vcpkg
# itself is not here: this shows that the port's own steps and options work and what they leave, not
# that vcpkg's functions do what vcpkg_stand_in.cmake takes them to do.
set -euo pipefail
user=$1 source=$2 sanitize=${3:-}
# shellcheck source=tests/package/user.sh
source "$(dirname "$0")/user.sh"
skip_if_sanitized "$sanitize"
needs ninja
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for linkage in dynamic static; do
    quietly cmake -D PORT_DIR="$source/packaging/vcpkg/zbq" -D WORK="$work/$linkage" \
        -D LINKAGE=$linkage -D NINJA="$(command -v ninja)" \
        -P "$(dirname "$0")/vcpkg_stand_in.cmake"
done
for build_type in Debug Release; do
    for linkage in dynamic static; do
        with_cmake "$user" "$work/user-$linkage-$build_type" "$work/$linkage/packages" \
            -DZBQ_TARGETS=zbq::zbq -DCMAKE_BUILD_TYPE=$build_type -- in_c.zbq
    done
    runs shared "$work/user-dynamic-$build_type/in_c.zbq"
    runs static "$work/user-static-$build_type/in_c.zbq"
done
rpath=$(readelf -d "$work/user-dynamic-Debug/in_c.zbq" "$work/user-dynamic-Release/in_c.zbq")
[[ $rpath == *packages/debug/lib* && $rpath == *packages/lib* ]] || { echo "$rpath"; exit 1; }
