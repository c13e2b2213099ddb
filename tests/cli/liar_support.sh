# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# For the tests of what liars publish: publishers of liar.py. Source it with what support.sh takes.
cli=$(realpath "$(dirname "$0")")
# shellcheck source=tests/cli/terminal_support.sh
source "$(dirname "$0")/terminal_support.sh" "$@"
export PYTHONPATH=$cli/../protocol PYTHONDONTWRITEBYTECODE=1

# serve NAMES...
ready_or_dead() { told ready ready || ! kill -0 "$server" 2>/dev/null; }
serve() {
    rm -f ready
    python3 "$cli/liar.py" "$@" >ready 2>serve.err &
    server=$!
    wait_until "the publishers" ready_or_dead
    told ready ready || fail "the publishers"
}
