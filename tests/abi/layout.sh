#!/bin/bash
# SPDX-License-Identifier: MIT
# The layouts that others have compiled in.
set -euo pipefail
"$1" | diff -u "$2" -
