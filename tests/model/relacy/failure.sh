# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# To be sourced.

# Whether a run fails, and for a schedule that the checker found wrong: no crash of its own.
is_found_out() { # command
    local said
    said=$("$@" 2>&1) && return 1
    grep -qE '(ASSERT FAILED|DATA RACE|DEADLOCK|LIVELOCK)$' <<<"$said"
}
