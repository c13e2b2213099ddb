# SPDX-License-Identifier: MIT
"""Words to mdoc(7): sentences on lines of their own, names in the macros that are for them."""
import re

from reference import Code

WIDTH = 78
END_OF_SENTENCE = re.compile(r'(?<=[a-z0-9)_"][.!?]) +(?=[A-Z0-9*])|(?<=[A-Z]\.) +(?=[A-Z])')
WORD = re.compile(r'^(\(?)(\w+\(\)|.*?)([).,;:!?]*)$')


def escape(text):
    text = text.replace('\\', '\\e').replace('…', '...')
    return text.translate({0x2018: "'", 0x2019: "'"})


def text_line(line):
    return '\\&' + line if line[0] in ".'" else line


def macro(name, arguments):
    """A line of one macro; arguments with spaces are one argument all the same."""
    quoted = [f'"{word}"' if ' ' in word else word for word in arguments]
    return '.' + ' '.join([name, *quoted])


class Writer:
    """Sets running text; `name_of` tells the macro of a word: (macro, arguments), or None."""

    def __init__(self, name_of):
        self.name_of = name_of

    def word(self, word):
        """A line of its own for a name, None for any other word."""
        before, core, after = WORD.match(word).groups()
        known = self.name_of(core)
        if known is None:
            return None
        line = ' '.join([macro(known[0], [escape(part) for part in known[1]]), *after])
        return f'.Pf {before} {line[1:]}' if before else line

    def sentence(self, sentence):
        lines, line = [], ''
        for word in sentence.split():
            name = self.word(word)
            if name is None and len(line) + len(word) < WIDTH:
                line = f'{line} {escape(word)}'.strip()
                continue
            if line:
                lines.append(text_line(line))
            line = '' if name else escape(word)
            if name:
                lines.append(name)
        return lines + ([text_line(line)] if line else [])

    def paragraph(self, text):
        lines = []
        for sentence in END_OF_SENTENCE.split(text):
            lines += self.sentence(sentence)
        return lines

    def blocks(self, blocks):
        """Paragraphs (strings), lists (of strings) and code, in a row."""
        lines, first = [], True
        for block in blocks:
            if isinstance(block, str):
                lines += ([] if first else ['.Pp']) + self.paragraph(block)
            elif isinstance(block, Code):
                lines += code(block.text)
            else:
                lines += bullets(self.paragraph(item) for item in block)
            first = False
        return lines


def code(text):
    indented = [text_line(escape(line)) if line else '' for line in text.split('\n')]
    return ['.Bd -literal -offset indent', *indented, '.Ed']


def bullets(items):
    lines = ['.Bl -bullet']
    for item in items:
        lines += ['.It', *item]
    return [*lines, '.El']


def tagged(items, width='Ds'):
    """A list of (line of the tag, without its .It, and lines)."""
    lines = [f'.Bl -tag -width {width}']
    for tag, text in items:
        lines += [f'.It {tag}', *text]
    return [*lines, '.El']


def head(date, version, page, section):
    return ['.\\" SPDX-License-Identifier: MIT', f'.Dd {date}', f'.Dt {page.upper()} {section}',
            f'.Os zbq {version}']


def name_section(names, title):
    return ['.Sh NAME', *[f'.Nm {name} ,' for name in names[:-1]], f'.Nm {names[-1]}',
            f'.Nd {title}']
