# SPDX-License-Identifier: MIT
"""For fish."""

NAMES = r'''# SPDX-License-Identifier: MIT
# fish completion for zbq

function __zbq_names
    awk -v uid=(id -u) '
@names@
' /proc/net/unix 2>/dev/null
end

# Whether none of the options that follow the first was given. The first may just be getting its value.
function __zbq_may
    set -l given (commandline -opc | string replace -r '=.*' '')
    test "$given[-1]" != "$argv[1]"; or return 0
    for option in $argv[2..]
        contains -- $option $given; and return 1
    end
    return 0
end

function __zbq_word_is_path
    string match -q '*/*' -- (commandline -ct)
end
'''


def quoted(text):
    return "'" + text.replace('\\', '\\\\').replace("'", "\\'") + "'"


def complete(condition, *words):
    return ' '.join(['complete -c zbq', '-n', quoted(condition), *words])


def option_line(condition, option):
    name = option['names'][-1]
    ruled_out = option['excludes'] + ([] if option['repeatable'] else [name])
    if ruled_out:
        names = ' '.join([name if option['value'] else '""', *ruled_out])
        condition += f'; and __zbq_may {names}'
    words = [f"-l {name.removeprefix('--')}"]
    words += [f'-s {short[1:]}' for short in option['names'][:-1]]
    if option['value']:
        words.append('-rF' if option['value'].endswith('FILE') else '-x')
    return complete(condition, *words, '-d', quoted(option['description']))


def subcommand(command, readers):
    here = f"__fish_seen_subcommand_from {command['name']}"
    lines = [complete('__fish_use_subcommand', '-a', command['name'], '-d',
                      quoted(command['description']))]
    lines += [option_line(here, option) for option in command['options']]
    if command['name'] in readers:
        lines.append(complete(here, '-a', "'(__zbq_names)'"))
    for positional in command['positionals']:
        if positional['name'] == 'FILE':
            lines.append(complete(here, '-F'))
        lines.append(complete(f'{here}; and __zbq_word_is_path', '-F'))
    return lines


def script(tool, names, readers):
    lines = ['complete -c zbq -f']
    lines += [option_line('__fish_use_subcommand', option) for option in tool['options']]
    for command in tool['subcommands']:
        lines += subcommand(command, readers)
    return NAMES.replace('@names@', names) + '\n' + '\n'.join(lines) + '\n'
