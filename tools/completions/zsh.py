# SPDX-License-Identifier: MIT
"""For zsh."""
import re

SCRIPT = r'''#compdef zbq
# SPDX-License-Identifier: MIT

_zbq_names() {
    local -a names
    names=(${(f)"$(awk -v uid="$EUID" '
@names@
' /proc/net/unix 2>/dev/null)"})
    if [[ $PREFIX == */* ]]; then
        _files
    else
        compadd -a names
    fi
}

_zbq_new_name() {
    if [[ $PREFIX == */* ]]; then
        _files
    else
        _message 'a new name'
    fi
}

_zbq() {
    local curcontext=$curcontext state line
    typeset -A opt_args
    _arguments -C @options@ \
        '1: :->command' \
        '*:: :->arguments'
    case $state in
    command)
        local -a commands
        commands=(@commands@)
        _describe -t commands command commands
        ;;
    arguments)
        case $words[1] in
@subcommands@
        esac
        ;;
    esac
}

_zbq "$@"
'''


ACTIONS = {'FILE': '_files', 'KEY=FILE': '{compset -P "*=" && _files}'}


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def words(text):
    return re.sub(r'([\[\]:\\])', r'\\\1', text)


def specification(option):
    name = option['names'][-1]
    text = f"[{words(option['description'])}]"
    if option['names'][0] == '-h' or name == '--version':
        each = [quoted(f'(- *){one}{text}') for one in option['names']]
        return ' '.join(each)
    before = f"({' '.join(option['excludes'])})" if option['excludes'] else ''
    before += '*' if option['repeatable'] else ''
    value = option['value']
    if value:
        name += '='
        text += f":{value}:{ACTIONS.get(value, ' ')}"
    return quoted(f'{before}{name}{text}')


def joined(options, indent):
    return f' \\\n{indent}'.join(specification(option) for option in options)


def positional(command, readers):
    for what in command['positionals']:
        action = ('_files' if what['name'] == 'FILE' else
                  '_zbq_names' if command['name'] in readers else '_zbq_new_name')
        place = '*' if what['repeatable'] else '1'
        return f" \\\n                '{place}:{what['name']}:{action}'"
    return ''


def subcommand(command, readers):
    return f'''        {command['name']})
            _arguments {joined(command['options'], ' ' * 16)}{positional(command, readers)}
            ;;'''


def script(tool, names, readers):
    commands = [quoted(f"{command['name']}:{words(command['description'])}")
                for command in tool['subcommands']]
    filled = {'names': names, 'options': joined(tool['options'], ' ' * 8),
              'commands': ' '.join(commands),
              'subcommands': '\n'.join(subcommand(command, readers)
                                       for command in tool['subcommands'])}
    text = SCRIPT
    for key, value in filled.items():
        text = text.replace(f'@{key}@', value)
    return text
