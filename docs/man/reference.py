# SPDX-License-Identifier: MIT
"""What the headers declare and say, from Doxygen's XML."""
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field


@dataclass
class Code:
    """Lines as they are."""
    text: str


@dataclass
class Words:
    """A comment: paragraphs (strings), lists (of strings) and code, and the results it tells of."""
    blocks: list = field(default_factory=list)
    returns: str = ''
    results: list = field(default_factory=list)  # of (value, when)

    @property
    def brief(self):
        return self.blocks[0] if self.blocks else ''


@dataclass
class Call:
    name: str
    header: str
    type: str
    parameters: list  # of (type, name)
    words: Words


@dataclass
class Type:
    name: str
    kind: str  # struct, enum
    words: Words
    members: list  # of (declaration, words); of an enum: (name = value, words)


@dataclass
class Reference:
    calls: dict
    types: dict
    constants: list  # of (name, value, words)
    handles: dict  # of words
    introductions: dict  # of words, by header


def plain(node):
    return re.sub(r'\s+', ' ', ''.join(node.itertext())).strip()


def add_special(words, node):
    if node.tag == 'verbatim':
        words.blocks.append(Code(node.text.strip('\n')))
    elif node.tag == 'itemizedlist':
        words.blocks.append([plain(item) for item in node.iter('listitem')])
    elif node.tag == 'parameterlist':
        for item in node.iter('parameteritem'):
            words.results.append((plain(item.find('.//parametername')),
                                  plain(item.find('parameterdescription'))))
    else:
        words.returns = plain(node)


def add_paragraph(words, para):
    """A paragraph may have lists within it."""
    text = para.text or ''
    for node in para:
        if node.tag in ('itemizedlist', 'parameterlist', 'simplesect', 'verbatim'):
            if text.strip():
                words.blocks.append(re.sub(r'\s+', ' ', text).strip())
            text = ''
            add_special(words, node)
        elif node.tag in ('ref', 'computeroutput'):
            text += plain(node)
        else:
            raise SystemExit(f'a comment has <{node.tag}>, which the manual pages do not know')
        text += node.tail or ''
    if text.strip():
        words.blocks.append(re.sub(r'\s+', ' ', text).strip())


def words_of(node):
    """The first sentence goes on with its paragraph, from which Doxygen has taken it."""
    words = Words()
    for para in node.find('briefdescription').iter('para'):
        add_paragraph(words, para)
    details = node.find('detaileddescription').findall('para')
    for number, para in enumerate(details):
        first = len(words.blocks)
        add_paragraph(words, para)
        joins = number == 0 and first == 1 and len(words.blocks) > 1
        if joins and isinstance(words.blocks[1], str):
            words.blocks[:2] = [f'{words.blocks[0]} {words.blocks[1]}']
    return words


def call_of(node, header):
    parameters = [(plain(param.find('type')), plain(param.find('declname')))
                  for param in node.findall('param') if param.find('declname') is not None]
    type_words = re.sub(r'\s*\*$', ' *', plain(node.find('type')))
    return Call(node.findtext('name'), header, type_words, parameters, words_of(node))


def member_of(node):
    declaration = f"{plain(node.find('type'))} {node.findtext('name')}"
    declaration = re.sub(r'\* (?=\w)', '*', declaration)
    return declaration + (node.findtext('argsstring') or ''), words_of(node)


def enum_of(node):
    members = [(f"{value.findtext('name')} {plain(value.find('initializer'))}", words_of(value))
               for value in node.findall('enumvalue')]
    return Type(node.findtext('name'), 'enum', words_of(node), members)


def struct_of(node):
    members = [member_of(member) for member in node.iter('memberdef')]
    return Type(node.findtext('compoundname'), 'struct', words_of(node), members)


def add_header(reference, compound, header):
    reference.introductions[header] = words_of(compound)
    for node in compound.iter('memberdef'):
        kind, name = node.get('kind'), node.findtext('name')
        if kind == 'function':
            reference.calls[name] = call_of(node, header)
        elif kind == 'enum':
            reference.types[name] = enum_of(node)
        elif kind == 'define' and node.find('briefdescription/para') is not None:
            reference.constants.append((name, plain(node.find('initializer')), words_of(node)))
        elif kind == 'typedef' and node.find('briefdescription/para') is not None:
            reference.handles[name] = words_of(node)


def read(directory):
    reference = Reference({}, {}, [], {}, {})
    index = ElementTree.parse(directory / 'index.xml')
    for entry in index.getroot().findall('compound'):
        compound = ElementTree.parse(directory / f"{entry.get('refid')}.xml").find('compounddef')
        if entry.get('kind') == 'struct':
            reference.types[entry.findtext('name')] = struct_of(compound)
        elif entry.get('kind') == 'file':
            path = compound.find('location').get('file')
            add_header(reference, compound, path)
    # A typedef that gives a struct or enum its own name is no handle.
    reference.handles = {name: words for name, words in reference.handles.items()
                         if name not in reference.types}
    return reference
