#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The manual pages of the library's calls, from the comments of its headers.

section3.py XML PAGES.TXT DATE VERSION OUT: XML is Doxygen's, DATE as mdoc(7) wants it. Writes
OUT/*.3.gz; a page's further names are symbolic links, which work wherever man pages are read.
"""
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import mdoc
import output
import reference

INTERFACE = 'zbq.h'
LIBRARY = ['.Sh LIBRARY', 'zbq library', '.Pq Pa libzbq , Fl lzbq']


@dataclass
class Page:
    part: str
    title: str
    names: list


def read_pages(path):
    pages, part = [], None
    for line in path.read_text(encoding='utf-8').splitlines():
        title, colon, names = line.partition(': ')
        if line.startswith('#'):
            continue
        if not colon:
            part = line
        else:
            pages.append(Page(part, title, names.split()))
    return pages


def check_pages(pages, known):
    listed = [name for page in pages for name in page.names]
    for name in sorted(set(listed) ^ set(known)):
        raise SystemExit(f'{name}: not both declared in a header and listed in pages.txt')
    if len(listed) != len(set(listed)):
        raise SystemExit('pages.txt lists a call twice')


class Maker:
    def __init__(self, known, pages, date, version):
        self.known = known
        self.pages = pages
        self.page_of = {name: page for page in pages for name in page.names}
        self.date = date
        self.version = version

    def writer(self, page=None, parameters=()):
        """For words on a page; parameters are marked where they cannot be taken for English."""
        marked = {name for name in parameters if '_' in name or name in ('prod', 'cons')}

        def name_of(word):
            if word in self.page_of:
                here = page is not None and word in page.names
                return ('Fn', [word]) if here else ('Xr', [word, '3'])
            if word in self.known.types or word in self.known.handles:
                return ('Vt', [word])
            if re.fullmatch(r'ZBQ_\w+|NULL', word):
                return ('Dv', [word])
            if word in self.known.introductions:
                return ('Pa', [word])
            if word.endswith('()'):
                return ('Fn', [word[:-2]])
            if word.lstrip('*') in (parameters if word.startswith('*') else marked):
                return ('Fa', [word])
            return None

        return mdoc.Writer(name_of)

    # ---- parts of a page ----

    def prototype(self, call):
        parameters = [mdoc.macro('Fa', [f'{kind} {name}'.replace('* ', '*')])
                      for kind, name in call.parameters] or ['.Fa void']
        inline = 'static inline ' if call.header != INTERFACE else ''
        return [mdoc.macro('Ft', [inline + call.type]), f'.Fo {call.name}', *parameters, '.Fc']

    def synopsis(self, calls):
        lines, header = ['.Sh SYNOPSIS'], None
        for call in sorted(calls, key=lambda call: call.header != INTERFACE):
            if call.header != header:
                header = call.header
                lines.append(f'.In {header}')
            lines += self.prototype(call)
        return lines

    def description(self, page, calls):
        lines = ['.Sh DESCRIPTION']
        for call in calls:
            if len(calls) > 1:
                lines += [f'.Ss {call.name}\\|()']
            lines += self.writer(page, self.parameters(call)).blocks(call.words.blocks)
        return lines

    @staticmethod
    def parameters(call):
        return [name for _, name in call.parameters]

    def members(self, page, kind):
        macro = 'Dv' if kind.kind == 'enum' else 'Va'
        writer = self.writer(page)
        return mdoc.tagged([(mdoc.macro(macro, [declaration])[1:], writer.blocks(words.blocks))
                            for declaration, words in kind.members])

    def type_section(self, page, kind):
        return [f'.Ss {kind.kind} {kind.name}', *self.writer(page).blocks(kind.words.blocks),
                *self.members(page, kind)]

    def types_of(self, calls):
        """What the prototypes name, and what that names in turn, in the order met."""
        found, todo = [], [text for call in calls
                           for text in [call.type, *[kind for kind, _ in call.parameters]]]
        while todo:
            for name in re.findall(r'\w+', todo.pop(0)):
                kind = self.known.types.get(name)
                if kind is not None and kind not in found:
                    found.append(kind)
                    for declaration, words in kind.members:
                        todo += [declaration, words.brief]
        return found

    def returned(self, page, call):
        """What it returns, in the comment's words."""
        words = call.words
        if call.type == 'void':
            return ['returns nothing.']
        if call.type == 'int':
            done = ''.join(f' ({when})' for value, when in words.results if value == 'ZBQ_OK')
            what = re.sub(r', or:$', '', words.returns) or f'ZBQ_OK{done}'
            text = f'{what}, or one of the negative values under ERRORS.'
        elif words.returns:
            text = words.returns.rstrip('.') + '.'
        else:
            text = self.value_sentences(call)
        return self.writer(page, self.parameters(call)).paragraph(f'returns {text}')

    @staticmethod
    def value_sentences(call):
        """A comment that begins with the value itself, and what else it says of it."""
        text = ' '.join(block for block in call.words.blocks if isinstance(block, str))
        first, *others = mdoc.END_OF_SENTENCE.split(text)
        if call.type == 'bool' and not first.startswith('Whether'):
            raise SystemExit(f'{call.name}: nothing tells what it returns; @return is for that')
        chosen = [text for text in others if re.search(r'\bNULL( gives .*)?\.$', text)]
        return ' '.join([first[0].lower() + first[1:], *chosen])

    def return_value(self, page, calls):
        lines = ['.Sh RETURN VALUES']
        for number, call in enumerate(calls):
            lines += ['.Pp'] * (number > 0) + [f'.Fn {call.name}', *self.returned(page, call)]
        return lines

    def failing(self, calls):
        """(calls, their errors): one that says 'As another' fails as that does."""
        groups = []
        for call in sorted(calls, key=lambda call: not call.words.results):
            errors = [result for result in call.words.results if result[0] != 'ZBQ_OK']
            like = re.match(r'As (zbq_\w+)', call.words.brief)
            if errors:
                groups.append(([call], errors))
            elif call.type == 'int' and like:
                next(group for group in groups if group[0][0].name == like[1])[0].append(call)
            elif call.type == 'int':
                raise SystemExit(f'{call.name} returns int, and nothing tells how it fails')
        return groups

    def errors(self, page, calls):
        groups = self.failing(calls)
        lines = ['.Sh ERRORS'] if groups else []
        for number, (who, errors) in enumerate(groups):
            names = ' and '.join(call.name for call in who)
            text = f"{names} {'fails' if len(who) == 1 else 'fail'} with:"
            writer = self.writer(page, self.parameters(who[0]))
            lines += ['.Pp'] * (number > 0) + writer.paragraph(text)
            lines += mdoc.tagged([(f'Bq Dv {value}', writer.paragraph(when + '.'))
                                  for value, when in errors])
        if any(value == 'ZBQ_ERROR_IO' for _, errors in groups for value, _ in errors):
            lines += ['.Pp', 'With', '.Dv ZBQ_ERROR_IO ,', '.Va errno',
                      'is left as the system call that failed set it.']
        return lines

    def spoken_of(self, page):
        """The pages of the calls that a page's words name."""
        calls = [self.known.calls[name] for name in page.names]
        text = ' '.join(map(str, calls + self.types_of(calls)))
        return {self.page_of[name].names[0] for name in re.findall(r'\bzbq_\w+', text)
                if name in self.page_of}

    def see_also(self, page):
        """Every page that this one speaks of, and that speaks of it."""
        first = page.names[0]
        names = self.spoken_of(page) | {other.names[0] for other in self.pages
                                        if first in self.spoken_of(other)}
        names = sorted(names - {first} | {'zbq'})
        return ['.Sh SEE ALSO', *[f'.Xr {name} 3 ,' for name in names[:-1]], f'.Xr {names[-1]} 3']

    # ---- pages ----

    def page(self, page):
        calls = [self.known.calls[name] for name in page.names]
        body = self.synopsis(calls) + self.description(page, calls)
        for kind in self.types_of(calls):
            body += self.type_section(page, kind)
        body += self.return_value(page, calls) + self.errors(page, calls)
        return (mdoc.head(self.date, self.version, page.names[0], 3)
                + mdoc.name_section(page.names, page.title) + LIBRARY + body
                + self.see_also(page))

    def list_of_calls(self):
        lines, part = ['.Sh CALLS'], None
        for page in self.pages:
            if page.part != part:
                lines += ['.El'] * (part is not None)
                part = page.part
                lines += [f'.Ss {part.capitalize()}', '.Bl -tag -width Ds']
            names = ' , '.join(f'Xr {name} 3' for name in page.names)
            lines += [f'.It {names}', page.title]
        return [*lines, '.El']

    def overview(self):
        writer = self.writer()
        first, inline = (self.known.introductions[header] for header in (INTERFACE, 'zbq/inline.h'))
        title = re.sub(r'^zbq: a (.*?)\..*', r'\1', first.brief)
        lines = mdoc.head(self.date, self.version, 'zbq', 3) + mdoc.name_section(['zbq'], title)
        lines += LIBRARY + ['.Sh SYNOPSIS', f'.In {INTERFACE}', '.In zbq/inline.h']
        lines += ['.Sh DESCRIPTION', *writer.blocks(first.blocks)]
        lines += ['.Pp', '.Pa zbq/inline.h :', *writer.blocks(inline.blocks)]
        lines += self.list_of_calls()
        lines += ['.Sh CONSTANTS', *mdoc.tagged(
            [(mdoc.macro('Dv', [f'{name} = {value}'])[1:], writer.blocks(words.blocks))
             for name, value, words in self.known.constants])]
        lines += ['.Sh TYPES']
        for name, words in self.known.handles.items():
            lines += [f'.Ss {name}', *writer.blocks(words.blocks)]
        for kind in self.known.types.values():
            lines += self.type_section(None, kind)
        return [*lines, '.Sh SEE ALSO', '.Xr zbq 1']


def main():
    xml, pages_path, date, version, out = sys.argv[1:]
    known = reference.read(Path(xml))
    pages = read_pages(Path(pages_path))
    check_pages(pages, known.calls)
    maker = Maker(known, pages, date, version)
    directory = output.Directory(Path(out))
    directory.write('zbq.3', maker.overview())
    for page in pages:
        directory.write(f'{page.names[0]}.3', maker.page(page))
        for name in page.names[1:]:
            directory.link(f'{name}.3', f'{page.names[0]}.3')


if __name__ == '__main__':
    main()
