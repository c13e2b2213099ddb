#!/bin/bash
# SPDX-License-Identifier: MIT
# The MCAP project's own reader, @mcap/core for Node.js, reads what is written here, and finds the same
# messages, by the index and from start to end. It is taken from npm into the build's directory.
set -euo pipefail
sample=$1 build=$2
here=$(cd "$(dirname "$0")" && pwd)

skip() {
    echo "skipped: $*"
    exit 77
}

command -v node >/dev/null || skip "no node"
command -v npm >/dev/null || skip "no npm"
modules=$build/node
mkdir -p "$modules"
if [ ! -e "$modules/node_modules/@mcap/core/package.json" ]; then
    npm install --prefix "$modules" --no-audit --no-fund --ignore-scripts \
        @mcap/core@2.2.0 fzstd@0.1.1 lz4js@0.2.0 >"$modules/log" 2>&1 ||
        skip "npm has no @mcap/core: $(tail -n 1 "$modules/log")"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$sample" "$work"
cp "$here/other_reader.mjs" "$modules/"
for file in "$work"/*.mcap; do
    for how in indexed streamed; do
        [ "$how ${file##*/}" != "indexed bare.mcap" ] || continue # has no index
        node "$modules/other_reader.mjs" $how "$file" >"$work/found"
        [ $how = indexed ] || { sort -s -n -k3,3 "$work/found" >"$work/sorted" && mv "$work/sorted" "$work/found"; }
        cmp "$work/messages" "$work/found" || { echo "$how: ${file##*/} reads otherwise"; exit 1; }
    done
done
echo "all as written"
