#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The completions of the tool for shells, from what it declares.

generate.py TOOL.JSON OUT: TOOL.JSON is zbq-describe's. Writes OUT/zbq, OUT/_zbq and OUT/zbq.fish.
"""
import json
import sys
from pathlib import Path

import bash
import fish
import zsh


# Commands whose NAME is one that somebody publishes.
READERS = ('sub', 'record', 'stat')


def names_program():
    """awk's program without its comments."""
    text = (Path(__file__).parent / 'names.awk').read_text(encoding='utf-8')
    return '\n'.join(line for line in text.splitlines() if not line.startswith('#'))


def kind(value):
    """What can be offered for it: files, files after a key, nothing; '' where it takes no value."""
    return value if value in ('', 'FILE', 'KEY=FILE') else 'other'


def check(tool):
    """What the scripts rely on."""
    takes = {}
    for command in tool['subcommands']:
        if [positional['name'] for positional in command['positionals']] not in (['NAME'], ['FILE'], []):
            raise SystemExit(f"{command['name']} takes something else than a NAME or a FILE")
        for option in command['options']:
            name, value = option['names'][-1], kind(option['value'])
            if takes.setdefault(name, value) != value:
                raise SystemExit(f'{name} is not the same for each command')


def main():
    tool = json.loads(Path(sys.argv[1]).read_text(encoding='utf-8'))
    out = Path(sys.argv[2])
    check(tool)
    out.mkdir(parents=True, exist_ok=True)
    for name, shell in {'zbq': bash, '_zbq': zsh, 'zbq.fish': fish}.items():
        (out / name).write_text(shell.script(tool, names_program(), READERS), encoding='utf-8')


if __name__ == '__main__':
    main()
