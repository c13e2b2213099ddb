#!/bin/bash
# SPDX-License-Identifier: MIT
# The long form: five minutes of each campaign, unless the arguments say otherwise.
set -euo pipefail
program=$(cd "$(dirname "$0")/../.." && pwd)/build/gcc/tests/faults/zbq-faults
[ $# -gt 0 ] || set -- --seconds 300
exec "$program" "$@"
