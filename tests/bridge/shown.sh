#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The tool shows bridges: what they have carried, how far behind they are, and a server that is away.
# shellcheck source=tests/bridge/support.sh
source "$(dirname "$0")/support.sh" "$@"
# shellcheck disable=SC2119 # not these
serve
publish x
export_it x S
import_it y S
wait_until "the ring" test -S zbq/y
numbers A 1 1000 >&"$input"

# account PID WORDS: the tool's words of that process's bridges have these
# shellcheck disable=SC2317 # called by wait_until
account() {
    "$zbq" stat "bridge.$1" >account.txt 2>account.err && grep -Eq -- "$2" account.txt
}
wait_until "the exporter's account" account $exporter \
    '^export x to S: 1000 messages, 12.7 KiB; 0 B behind; [0-9]+ frames, [0-9]+ acknowledged$'
wait_until "the importer's account" account $importer '^import y from S: 1000 messages, 12.7 KiB; '
"$zbq" stat --json bridge.$exporter >json
python3 -IS - <<'END' || fail "the account in JSON: $(cat json)"
import json, sys
(one,) = json.load(open("json"))["bridges"]
sys.exit(one["bridge"] != "export" or one["ring"] != "x" or one["messages"] != 1000)
END
"$zbq" export --textfile prom
grep -Fxq 'zbq_bridge_messages_total{bridge="export",ring="x",stream="S"} 1000' prom || fail "no metric"
grep -Fxq 'zbq_bridge_messages_total{bridge="import",ring="y",stream="S"} 1000' prom || fail "no metric"
grep -Fxq 'zbq_bridge_server_silent_seconds{bridge="export",ring="x",stream="S"} 0' prom || fail "silent"

# Nobody may hold its ring back.
expect_status 1 "$zbq" sub bridge.$exporter 2>sub.err
says sub.err 'refused'

# ---- the server is away, and there again ----
kill -KILL $server
wait_until "it to be missed" account $exporter 'no answer from the server for '
"$zbq" export --textfile prom
grep -Eq '^zbq_bridge_server_silent_seconds\{bridge="export",.*\} [0-9.e-]*[1-9]' prom || fail "not silent"
# shellcheck disable=SC2119
serve
wait_until "it to be there" account $exporter ', [1-9][0-9]* reconnections$'

# ---- in zbq top ----
if command -v tmux >/dev/null; then
    terminal() { tmux -S "$here/tmux" "$@"; }
    trap 'terminal kill-server 2>/dev/null || true; clean_up' EXIT
    terminal new-session -d -s top -x 120 -y 20 \
        "env TERM=screen XDG_RUNTIME_DIR=$here '$zbq' top --interval 50ms 2>top.err"
    # shellcheck disable=SC2317 # called by wait_until
    shows() { terminal capture-pane -p -t top >screen && grep -Eq -- "$1" screen; }
    wait_until "the rings" shows "^bridge.$exporter "
    terminal send-keys -t top / "bridge.$exporter" Enter Down Enter
    wait_until "its bridge" shows '^export x to S: 1000 messages'
    terminal kill-server
fi
kill -TERM $exporter $importer
ended $exporter 143
ended $importer 143
