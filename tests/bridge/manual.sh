#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The manual page has each option; the example's server takes what its users may do, and no more.
# shellcheck source=tests/bridge/support.sh
source "$(dirname "$0")/support.sh" "$@"
tree=$(cd "$OLDPWD" && cd "$(dirname "$0")/../.." && pwd)
for command in export import run origin; do
    "$bridge" $command --help
done | sed 's/as pub --[a-z]*//' >help
grep -oE -- '--[a-z-]+' help | sort -u >options
grep -oE 'Fl -[a-z-]+' "$tree/docs/man/zbq-bridge.mdoc" | sed 's/Fl -/--/' | sort -u >described
echo --help >>described
comm -23 options <(sort -u described) >missing
[ ! -s missing ] || fail "the manual page lacks: $(xargs <missing)"
if command -v mandoc >/dev/null; then
    sed 's/@date@/November 30, 2026/; s/@PROJECT_VERSION@/1/' "$tree/docs/man/zbq-bridge.mdoc" >page.1
    mandoc -T lint -W warning page.1 >mistakes || fail "$(cat mistakes)"
fi

sed '/^listen/d' "$tree/examples/bridge/hub.conf" >hub.conf
serve -c hub.conf
echo export >exporter
echo import >importer
sed "s|nats://hub:4222|$url|; s|/run/secrets/||; s|--max-bytes 8G|--max-bytes 1G|" \
    "$tree/examples/bridge/one.conf" >one.conf
sed "s|nats://hub:4222|$url|; s|/run/secrets/||; s|^import camera|import watched|" \
    "$tree/examples/bridge/two.conf" >two.conf
publish camera
"$bridge" run one.conf 2>one.err &
"$bridge" run two.conf 2>two.err &
witness_it watched C 1000
numbers C 0 999 >&"$input"
witnessed $seeing
seen watched 'C received 1000 missed 0 gaps 0'
# Who imports may not write.
"$bridge" export camera --to "$url" --stream OTHER --user importer --password-file importer 2>other.err &
other=$!
wait_until "a refusal" told other.err 'trying again'
kill -TERM $other
ended $other 143
