#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# zbq export, scraped by Prometheus itself, which is then asked; with the dashboard's questions, too.
dashboard=$(realpath "$(dirname "$0")/../../packaging/grafana/zbq.json")
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"
command -v prometheus >/dev/null || { echo "skipped: prometheus is not there"; exit 77; }

"$zbq" export --listen 127.0.0.1:0 2>export.err &
has_begun() { told export.err '/metrics' || told export.err 'without libmicrohttpd'; }
wait_until "the page" has_begun
if told export.err 'without libmicrohttpd'; then
    echo "skipped: built without libmicrohttpd"
    exit 77
fi
page=$(sed -n 's,^zbq: http://\(.*\)/metrics$,\1,p' export.err)

name="ring-$$"
mkfifo input
exec {input}<>input
"$zbq" pub "$name" <&"$input" 2>pub.err &
wait_until "a publisher" test -S "zbq/$name"
"$zbq" sub "$name" >sub.out 2>sub.err &
sub=$!
wait_until "a reader" joined $sub
echo one >&"$input"
wait_until "a message" told sub.out one

cat >prometheus.yml <<END
scrape_configs:
  - job_name: zbq
    scrape_interval: 1s
    static_configs: [{targets: ["$page"]}]
END
prometheus --config.file=prometheus.yml --storage.tsdb.path=tsdb --web.listen-address=127.0.0.1:0 \
    2>prometheus.err &
address() { sed -n 's/.*msg="Listening on" address=\([0-9.:]*\).*/\1/p' prometheus.err; }
listens() { [ -n "$(address)" ]; }
wait_until "Prometheus" listens
cat >ask.py <<'END'
import json, sys, urllib.parse, urllib.request
def ask(question):
    query = urllib.parse.urlencode({"query": question})
    with urllib.request.urlopen(f"http://{sys.argv[1]}/api/v1/query?{query}", timeout=60) as answer:
        return json.load(answer)["data"]["result"]
END
cat ask.py - >published.py <<'END'
answer = ask('zbq_ring_published_bytes_total{ring="%s"}' % sys.argv[2])
assert [one["value"][1] for one in answer] == ["32"], answer
answer = ask('zbq_reader_info{ring="%s", mode="push"}' % sys.argv[2])
assert [one["metric"]["pid"] for one in answer] == [sys.argv[3]], answer
END
scraped() { python3 published.py "$(address)" "$name" $sub 2>published.err; }
wait_until "a scrape" scraped
cat ask.py - >questions.py <<'END'
for panel in json.load(open(sys.argv[2]))["panels"]:
    for target in panel.get("targets", []):
        ask(target["expr"].replace("$__rate_interval", "1m").replace("$ring", ".*"))
END
python3 questions.py "$(address)" "$dashboard" || fail "the dashboard's questions"
