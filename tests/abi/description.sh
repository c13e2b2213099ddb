#!/bin/bash
# SPDX-License-Identifier: MIT
# description.sh LIBRARY HEADER: the ABI of a shared library with debug information, as abidw puts it:
# symbols with their versions, and the types of zbq.h that they use. No path of the machine.
set -euo pipefail
library=$1 header=$2
public=$(mktemp -d)
trap 'rm -rf "$public"' EXIT
cp "$header" "$public" # alone: abidw tells headers apart by their last name, and src/ has some alike
abidw --headers-dir "$public" --drop-private-types --exported-interfaces-only --no-corpus-path \
    --no-comp-dir-path --no-show-locs --no-elf-needed --type-id-style hash "$library" |
    sed "s|path='[^']*/src/|path='src/|"
