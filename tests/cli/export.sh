#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# zbq export: what Prometheus reads of it.
dashboards=$(realpath "$(dirname "$0")/../../packaging/grafana")
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"

name="ring-$$"
mkfifo input
exec {input}<>input
"$zbq" pub --capacity 4K --stall-timeout 0 "$name" <&"$input" 2>pub.err &
pub=$!
wait_until "a publisher" test -S "zbq/$name"
"$zbq" sub "$name" >sub.out 2>sub.err &
sub=$!
wait_until "a reader" joined $sub
echo one >&"$input"
wait_until "a message" told sub.out one

# A file, whole.
"$zbq" export --textfile zbq.prom || fail "a file"
says zbq.prom "^zbq_ring_up\{ring=\"$name\"\} 1$"
says zbq.prom "^zbq_ring_published_bytes_total\{ring=\"$name\"\} 32$"
says zbq.prom "^zbq_ring_capacity_bytes\{ring=\"$name\"\} 4096$"
says zbq.prom "^zbq_ring_info\{ring=\"$name\",name=\"$name\",id=\"[0-9a-f]{32}\",pid=\"$pub\",type=\"-\"\} 1$"
says zbq.prom "^zbq_ring_evictions_total\{ring=\"$name\",reason=\"stalled\"\} 0$"
says zbq.prom "^zbq_reader_info\{ring=\"$name\",reader=\"1\",pid=\"$sub\",user=\".*\",mode=\"push\"\} 1$"
says zbq.prom "^zbq_reader_lag_bytes\{ring=\"$name\",reader=\"1\"\} [0-9]+$"
[ ! -e zbq.prom.new ] || fail "a half file is left"
if command -v promtool >/dev/null; then
    promtool check metrics <zbq.prom || fail "promtool finds fault with it"
fi
# What is no metric has its help or type, each once, and each series is there once.
grep -v '^#' zbq.prom | sed 's/ [^ ]*$//' | sort | uniq -d | grep . && fail "a series is there twice"
grep '^# TYPE' zbq.prom | sort | uniq -d | grep . && fail "a family is there twice"
awk '/^# TYPE/ { is[$3] = $4; next } /^#/ { next } { sub(/\{.*/, "") }
    !($0 in is) { print "no type: " $0; bad = 1 }
    /_total$/ != (is[$0] == "counter") { print "a name of another type: " $0; bad = 1 }
    END { exit bad }' zbq.prom || fail "the names"

# The dashboard asks for nothing that is not there.
dashboard=$dashboards/zbq.json
python3 -m json.tool "$dashboard" >/dev/null || fail "the dashboard is no JSON"
while read -r metric; do
    grep -q "^# TYPE $metric " zbq.prom || fail "the dashboard asks for $metric"
done < <(grep -o 'zbq_[a-z_]*' "$dashboard" | sort -u)

# Again and again.
"$zbq" export --interval 10ms --textfile again.prom 2>again.err &
again=$!
wait_until "a file" test -e again.prom
kill -KILL $sub
ended $sub 137
gone() { "$zbq" stat "$name" >/dev/null && grep -qs "reason=\"gone\"} 1$" again.prom; }
wait_until "an eviction" gone
kill -TERM $again
ended $again 143
expect_status 1 "$zbq" export --textfile missing/zbq.prom 2>missing.err
says missing.err 'missing/zbq.prom.new: No such file'

expect_status 2 "$zbq" export 2>usage.err
expect_status 2 "$zbq" export --listen nowhere 2>usage.err
expect_status 2 "$zbq" export --listen 127.0.0.1:0 --textfile x 2>usage.err

# A page.
"$zbq" export --listen 127.0.0.1:0 2>export.err &
export=$!
has_begun() { told export.err 'http://127.0.0.1:[0-9]*/metrics' || told export.err 'without libmicrohttpd'; }
wait_until "the page" has_begun
if told export.err 'without libmicrohttpd'; then
    echo "skipped: built without libmicrohttpd"
    exit 77
fi
url=$(sed -n 's/^zbq: \(http.*\)/\1/p' export.err)
fetch() {
    python3 -c 'import sys, urllib.request
answer = urllib.request.urlopen(sys.argv[1], timeout=60)
assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
sys.stdout.write(answer.read().decode())' "$1"
}
fetch "$url" >page || fail "no page"
says page "^zbq_ring_up\{ring=\"$name\"\} 1$"
# One that connects and says nothing holds up nobody.
address=${url#http://127.0.0.1:}
exec {silent}<>"/dev/tcp/127.0.0.1/${address%/metrics}"
fetch "$url" >page || fail "no page beside who is silent"
exec {silent}>&-

kill -TERM $export
ended $export 143
