#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The carrier's own tests, with a server: carrier.sh and what the others get, and the test program.
# shellcheck source=tests/bridge/support.sh
source "$(dirname "$0")/support.sh" "$1" "$2" "$3"
program=$(cd "$OLDPWD" && realpath "$4")
# shellcheck disable=SC2119 # not these
serve
ZBQ_BRIDGE_SERVER=$url "$program" --gtest_brief=1
