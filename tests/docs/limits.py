# SPDX-License-Identifier: MIT
"""Whether the table of limits in docs/protocol.md is that of the code. limits.py SOURCE"""
import re
import sys
from pathlib import Path


def value_of(text):
    one_shifted = re.fullmatch(r'uint64_t\{1\} << (\d+)', text)
    return 1 << int(one_shifted[1]) if one_shifted else int(text.replace("'", ''))


def of_the_code(source):
    own = re.findall(r'^inline constexpr \w+ (\w+) = (.*);$', (source / 'src/limits.hpp').read_text(), re.M)
    public = re.findall(r'^#define (ZBQ_(?:MAX_\w+|MSG_ALIGN|PARKING_PLACES|WAIT_SLICE_NS)) (\d+)$',
                        (source / 'include/zbq.h').read_text(), re.M)
    return {name: value_of(value) for name, value in own + public}


def of_the_document(source):
    rows = re.findall(r'^\| `(\w+)` \| ([\d,]+)', (source / 'docs/protocol.md').read_text().split('## 16. Limits')[1],
                      re.M)
    return {name: int(value.replace(',', '')) for name, value in rows}


def main():
    source = Path(sys.argv[1])
    code, document = of_the_code(source), of_the_document(source)
    wrong = {name for name in code.keys() | document.keys() if code.get(name) != document.get(name)}
    for name in sorted(wrong):
        print(f'{name}: {code.get(name)} in the code, {document.get(name)} in docs/protocol.md')
    sys.exit(1 if wrong or not code else 0)


main()
