#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Two hosts, which are network namespaces: on one the publisher, the exporter and the server, on the other
# the importer. The link between them is cut, and delayed and reordered where the kernel can do that.
# shellcheck source=tests/bridge/support.sh
source "$(dirname "$0")/support.sh" "$@"
command -v ip >/dev/null || { echo "skipped: no iproute2"; exit 77; }
one=zbq-one-$$
two=zbq-two-$$
ip netns add $one 2>/dev/null || { echo "skipped: no network namespaces here"; exit 77; }
remove() {
    clean_up
    ip netns del $one 2>/dev/null || true
    ip netns del $two 2>/dev/null || true
}
trap remove EXIT
ip netns add $two
ip link add one netns $one type veth peer name two netns $two
ip -n $one addr add 10.77.0.1/24 dev one
ip -n $two addr add 10.77.0.2/24 dev two
ip -n $one link set lo up # where its own address answers
ip -n $one link set one up
ip -n $two link set two up

# What is in the background is the program itself: ip becomes it.
answers() {
    ip netns exec $one bash -c 'exec 3<>/dev/tcp/10.77.0.1/4222' 2>/dev/null
}
ip netns exec $one nats-server -js -a 10.77.0.1 -p 4222 -sd "$here/store" >server.err 2>&1 &
wait_until "the server" answers
publish x --capacity 16M
ip netns exec $one "$bridge" export x --to nats://10.77.0.1:4222 --stream X 2>x.export.err &
exporter=$!
ip netns exec $two "$bridge" import y --from nats://10.77.0.1:4222 --stream X --position y.pos 2>y.import.err &
importer=$!
wait_until "the exporter" joined $exporter
witness_it y X 40000

arrived() {
    kill -USR1 $importer
    grep -q "import y from [A-Z]*: $1 messages" y.import.err
}
before=0
has_complained() {
    [ "$(grep -c 'trying again' y.import.err)" -gt "$before" ]
}
numbers X 0 9999 >&"$input"
wait_until "the first" arrived 10000

# ---- cut for long enough that both ends notice, and mended ----
before=$(grep -c 'trying again' y.import.err || true)
ip -n $two link set two down
numbers X 10000 19999 >&"$input"
wait_until "a complaint" has_complained
ip -n $two link set two up
wait_until "what came meanwhile" arrived 20000

# ---- slow, and out of order ----
if ip netns exec $two tc qdisc add dev two root netem delay 20ms 10ms loss 1% reorder 25% 2>/dev/null; then
    ip netns exec $one tc qdisc add dev one root netem delay 20ms 10ms loss 1% reorder 25%
else
    echo "the kernel has no netem: neither delay nor reordering"
fi
numbers X 20000 39999 >&"$input"
witnessed "$seeing"
seen y 'X received 40000 missed 0 gaps 0 duplicates 0 here 0'
