#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The README's picture can be made anew, and shows what its words say. picture.sh TOOL SOURCE
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/../cli/support.sh" "$1"
picture=$2/tools/picture.py
command -v tmux >/dev/null || { echo "skipped: tmux is not installed"; exit 77; }
if "$zbq" top 2>&1 </dev/null | grep 'without ncurses'; then
    echo "skipped: built without ncurses"
    exit 77
fi

python3 -B "$picture" "$zbq" fresh.svg || fail "no picture"
python3 - fresh.svg "$2/docs/top.svg" <<'END' || fail "a picture does not show it"
import re, sys
import xml.etree.ElementTree as tree
for path in sys.argv[1:]:
    texts = [(one.text, one.get("fill")) for one in tree.parse(path).iter() if one.tag.endswith("}text")]
    red = [text for text, fill in texts if fill == "#ff6b68"]
    assert any(re.match(r"log .*\[#{10}\]", text) for text in red), red
    assert any(re.match(r"process \d+ of .* holds the stream back: slot", text) for text in red), red
    assert any(re.match(r"quotes: process \d+ gone", text) for text, _ in texts), texts
END
