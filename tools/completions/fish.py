# SPDX-License-Identifier: MIT
"""For fish."""

NAMES = r'''# SPDX-License-Identifier: MIT
# fish completion for zbq

function __zbq_names
    awk -v uid=(id -u) '
@names@
' /proc/net/unix 2>/dev/null
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
    ruled_out = option['excludes'] + ([] if option['repeatable'] else [option['names'][-1]])
    if ruled_out:
        names = ' '.join(name.removeprefix('--') for name in ruled_out)
        condition += f'; and not __fish_contains_opt {names}'
    words = [f"-l {option['names'][-1].removeprefix('--')}"]
    words += [f'-s {name[1:]}' for name in option['names'][:-1]]
    if option['value']:
        words.append('-rF' if option['value'] == 'FILE' else '-x')
    return complete(condition, *words, '-d', quoted(option['description']))


def subcommand(command):
    here = f"__fish_seen_subcommand_from {command['name']}"
    lines = [complete('__fish_use_subcommand', '-a', command['name'], '-d',
                      quoted(command['description']))]
    lines += [option_line(here, option) for option in command['options']]
    if command['name'] == 'sub':
        lines.append(complete(here, '-a', "'(__zbq_names)'"))
    return [*lines, complete(f'{here}; and __zbq_word_is_path', '-F')]


def script(tool, names):
    lines = ['complete -c zbq -f']
    lines += [option_line('__fish_use_subcommand', option) for option in tool['options']]
    for command in tool['subcommands']:
        lines += subcommand(command)
    return NAMES.replace('@names@', names) + '\n' + '\n'.join(lines) + '\n'
