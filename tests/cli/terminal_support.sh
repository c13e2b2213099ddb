# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# For the tests that need a terminal: one of tmux's, with a session "top". Source it with what
# support.sh takes.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"
has_top() {
    command -v tmux >/dev/null && ! "$zbq" top 2>&1 </dev/null | grep 'without ncurses'
}
terminal() {
    tmux -S "$here/tmux" -f /dev/null "$@"
}
end_terminal() {
    terminal kill-server 2>/dev/null || true
    clean_up
}
keys() { terminal send-keys -t top "$@"; }
screen() { terminal capture-pane -p -t top >screen.txt; }
shows() { # PATTERN. For wait_until
    screen && grep -Eqs -- "$1" screen.txt
}
