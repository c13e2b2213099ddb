#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The manual pages of the tool, from what it declares.

section1.py TOOL.JSON TOOL.MDOC DATE VERSION OUT: TOOL.JSON is zbq-describe's, TOOL.MDOC has the
sections that it cannot know. Writes OUT/*.1.gz.
"""
import json
import re
import sys
from pathlib import Path

import mdoc
import output

ORDER = ['ENVIRONMENT', 'FILES', 'EXIT STATUS', 'EXAMPLES', 'SEE ALSO']


def name_of(word):
    """The macro of a word of a description."""
    if re.fullmatch(r'--[a-z-]+', word):
        return ('Fl', [word[1:]])
    if word == 'NAME':
        return ('Ar', [word])
    return None


WRITER = mdoc.Writer(name_of)


def read_sections(path):
    sections, lines = {}, []
    for line in path.read_text(encoding='utf-8').splitlines():
        if line.startswith('@ '):
            _, page, title = line.split(' ', 2)
            lines = sections.setdefault((page, title), [])
        else:
            lines.append(line)
    return sections


def option_tag(option):
    names = ' , '.join(f'Fl {name[1:]}' for name in option['names'])
    return f"{names} Ar {option['value']}" if option['value'] else names


def sentence(text):
    return text[0].upper() + text[1:] + ('' if text.endswith('.') else '.')


def option_text(option):
    text = sentence(option['description'])
    if option['excludes']:
        text += f" Not with {', '.join(option['excludes'])}."
    return WRITER.paragraph(text)


def synopsis_groups(options):
    """Options of which only one can be given, side by side."""
    groups = []
    for option in options:
        among = {option['names'][-1], *option['excludes']}
        same = next((group for known, group in groups if known == among), None)
        if same is None:
            groups.append((among, [option]))
        else:
            same.append(option)
    return [group for _, group in groups]


def synopsis(command, name):
    lines = ['.Sh SYNOPSIS', f'.Nm zbq Cm {name}' if name else '.Nm']
    for group in synopsis_groups(command['options']):
        tags = ' | '.join(option_tag({**option, 'names': option['names'][-1:]})
                          for option in group)
        dots = ' ...' if group[0]['repeatable'] else ''
        lines.append(f".{tags}" if group[0].get('required') else f'.Op {tags}{dots}')
    lines += [f".Ar {positional['name']}{' ...' if positional['repeatable'] else ''}"
              for positional in command['positionals']]
    return lines + ([] if name else ['.Ar COMMAND', '.Op Ar ARGUMENTS'])


def arguments(command):
    items = [(f"Ar {positional['name']}", WRITER.paragraph(sentence(positional['description'])))
             for positional in command['positionals']]
    items += [(option_tag(option), option_text(option)) for option in command['options']]
    return mdoc.tagged(items)


def subcommands(command):
    items = [(f"Xr zbq-{sub['name']} 1", WRITER.paragraph(sentence(sub['description'])))
             for sub in command['subcommands']]
    return ['The commands have pages of their own:', *mdoc.tagged(items)]


def statuses(command):
    about = command['about_statuses']
    lines = WRITER.paragraph(about[0].upper() + about[1:] + ':') if about else []
    return lines + mdoc.tagged([(entry['status'], WRITER.paragraph(sentence(entry['meaning'])))
                                for entry in command['statuses']])


def page(command, name, sections, date, version):
    title = f'zbq-{name}' if name else 'zbq'
    description = command['description'].rstrip('.')
    body = sections[title, 'DESCRIPTION']
    if command['remarks']:
        body = [*body, '.Pp', *WRITER.paragraph(' '.join(command['remarks'].split()))]
    if 'subcommands' in command:
        body = [*body, '.Pp', *subcommands(command)]
    lines = (mdoc.head(date, version, title, 1)
             + mdoc.name_section([title], description[0].lower() + description[1:])
             + synopsis(command, name) + ['.Sh DESCRIPTION', *body, '.Sh OPTIONS']
             + arguments(command))
    made = {'EXAMPLES': ['.Bd -literal -offset indent',
                         *map(mdoc.escape, command['examples']), '.Ed']}
    if command['statuses']:
        made['EXIT STATUS'] = statuses(command)
    for section in ORDER:
        text = made.get(section) or sections.get((title, section))
        lines += [f'.Sh {section}', *text] if text else []
    return lines


def main():
    tool, sections_path, date, version, out = sys.argv[1:]
    command = json.loads(Path(tool).read_text(encoding='utf-8'))
    sections = read_sections(Path(sections_path))
    directory = output.Directory(Path(out))
    directory.write('zbq.1', page(command, None, sections, date, version))
    for sub in command['subcommands']:
        name = sub['name']
        directory.write(f'zbq-{name}.1', page(sub, name, sections, date, version))


if __name__ == '__main__':
    main()
