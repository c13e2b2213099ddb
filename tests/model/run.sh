#!/bin/bash
# SPDX-License-Identifier: MIT
# The algorithm under model checkers, and each property broken in turn.
set -euo pipefail
cd "$(dirname "$0")"
bash promela/check.sh
bash promela/mutants.sh
[ ! -e relacy/run.sh ] || bash relacy/run.sh "$@"
