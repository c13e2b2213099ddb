#!/bin/bash
# SPDX-License-Identifier: MIT
# The library under Relacy: every scenario in a million schedules of each kind, every order taken
# away, every mutant. run.sh [SCHEDULES]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
schedules=${1:-1000000}

(cd "$root" && cmake --preset gcc >/dev/null && cmake --build --preset gcc --target zbq-relacy)
program=$root/build/gcc/tests/model/relacy/zbq-relacy
bash "$here/mutants.sh"
bash "$here/orders.sh" "$program"
"$program" --schedules "$schedules"
