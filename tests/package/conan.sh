#!/bin/bash
# SPDX-License-Identifier: MIT
# conan.sh SOURCE SANITIZERS: the Conan recipe, shared and static. Conan itself is not here;
# conan_stand_in.py says what that shows.
set -euo pipefail
source=$1 sanitize=${2:-}
# shellcheck source=tests/package/user.sh
source "$(dirname "$0")/user.sh"
skip_if_sanitized "$sanitize"
[ -x /usr/bin/python3 ] || skip "python3 is not installed"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PYTHONDONTWRITEBYTECODE=1
for linkage in shared static; do
    mkdir "$work/$linkage"
    /usr/bin/python3 "$(dirname "$0")/conan_stand_in.py" "$work/$linkage" "$source" $linkage
    runs $linkage "$work/$linkage/test/build/test_package"
done
