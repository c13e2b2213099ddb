#!/bin/bash
# SPDX-License-Identifier: MIT
# Headers of another 1.x: its number, and classes with one member more at their beginning, so that
# a function of this version goes wrong on them. other_version.sh INCLUDE OUTPUT
set -euo pipefail
from=$1 to=$2
change() { # file, expression of sed
    sed "$2" "$from/$1" >"$to/$1"
    ! cmp -s "$from/$1" "$to/$1" || { echo "$1 has no place for $2"; exit 1; }
}
rm -rf "$to"
cp -r "$from" "$to"
more='    std::uint64_t of_another_version[8] = {};'
change zbq.h 's/^#define ZBQ_VERSION_MINOR .*/#define ZBQ_VERSION_MINOR 99/'
change zbq/producer.hpp "s/^struct producer_\(options\|state\) {/&\n$more/"
change zbq/consumer.hpp "s/^struct consumer_state {/&\n$more/"
touch "$to/zbq.hpp" # what the build waits for
