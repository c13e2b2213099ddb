#!/bin/bash
# SPDX-License-Identifier: MIT
# abidiff.sh LIBRARY HEADER STORED COMPILER SANITIZERS
# The ABI is the stored one: no symbol and no type has come, gone or changed.
set -euo pipefail
library=$1 header=$2 stored=$3 compiler=$4 sanitize=${5:-}
here=$(dirname "$0")
skip() {
    echo "skipped: $1"
    exit 77
}
[ -z "$sanitize" ] || skip "sanitizers are not of the ABI"
[ "$compiler" = GNU ] || skip "the description is of what g++ builds"
elf=$(readelf -hSW "$library")
[[ $elf == *X86-64* ]] || skip "the description is of x86-64"
[[ $elf == *.debug_info* ]] || skip "the library has no debug information"
command -v abidiff >/dev/null || skip "abidiff is not installed"

found=$(mktemp --suffix=.abi)
trap 'rm -f "$found"' EXIT
bash "$here/description.sh" "$library" "$header" >"$found"
abidiff --harmless "$stored" "$found" && exit 0
cat <<'EOF'
The ABI differs from tests/abi/libzbq.abi. docs/abi.md says which changes are allowed, and what
each of them has to bring. When this one is meant, ./dev abi stores the new description: commit it
with the change.
EOF
exit 1
