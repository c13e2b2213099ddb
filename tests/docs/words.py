# SPDX-License-Identifier: MIT
"""Whether the manual pages say all that the comments of a header do: words.py HEADER PAGES

PAGES has NAME.text for each call, and zbq.text for all else. Each paragraph, list item and
result of a comment must be there, word by word in a row. Reads the header by itself, not by
what made the pages.
"""
import re
import sys
from pathlib import Path

COMMENT = re.compile(r'/\*\*(<?)(.*?)\*/', re.S)
# Where a page may break a comment apart, and the words that tell it to.
BREAK = re.compile(r'\n\s*\n|(?:^|\n)\s*- |@retval\s+\w+|@return\b|@file\b|@cond\b|@endcond\b')


def words(text):
    return re.findall(r'\w+', re.sub(r'\(3\)', '', text))


def pieces(comment):
    """The parts of a comment that a page must have in a row."""
    text = '\n'.join(re.sub(r'^\s*\* ?', '', line) for line in comment.split('\n'))
    return [found for found in map(words, BREAK.split(text)) if found]


def subject(rest):
    """The call that a comment stands before, if it is one."""
    declaration = re.split(r'[;{]', rest, maxsplit=1)[0]
    call = re.search(r'\b(zbq_\w+)\(', declaration)
    return call[1] if call and not declaration.lstrip().startswith(('#', 'typedef')) else 'zbq'


def main():
    header, pages = Path(sys.argv[1]), Path(sys.argv[2])
    text = header.read_text(encoding='utf-8')
    said, count, missing = {}, 0, 0
    for comment in COMMENT.finditer(text):
        page = 'zbq' if comment[1] or '@file' in comment[2] else subject(text[comment.end():])
        if page not in said:
            said[page] = ' ' + ' '.join(words((pages / f'{page}.text').read_text())) + ' '
        for piece in pieces(comment[2]):
            count += 1
            if f" {' '.join(piece)} " not in said[page]:
                missing += 1
                print(f"{header.name}: not in the page of {page}: {' '.join(piece)}")
    print(f'{header.name}: {count} pieces of comments, {missing} missing')
    return 1 if missing or not count else 0


if __name__ == '__main__':
    sys.exit(main())
