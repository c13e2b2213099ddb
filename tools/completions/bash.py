# SPDX-License-Identifier: MIT
"""For bash. Needs nothing of the bash-completion package but that it loads the file."""

SCRIPT = r'''# SPDX-License-Identifier: MIT
# bash completion for zbq
# shellcheck shell=bash

_zbq_names() {
    awk -v uid="$EUID" '
@names@
' /proc/net/unix 2>/dev/null
}

# Whether an option's value is the next word.
_zbq_takes_value() {
    case $1 in
    @values@) return 0 ;;
    esac
    return 1
}

# Offers an option unless one of those that follow it was given.
_zbq_offer() {
    local option=$1 given other
    shift
    for given in "${COMP_WORDS[@]:1:at-1}"; do
        for other; do
            [[ $given != "$other" ]] || return 0
        done
    done
    [[ $option != "$word"* ]] || COMPREPLY+=("$option")
}

_zbq_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
    COMPREPLY=("${COMPREPLY[@]#"$kept"}")
}

# Of KEY=FILE.
_zbq_keyed_files() {
    [[ $word == *=* ]] || return
    word=${word#*=}
    kept=${kept#*=}
    _zbq_files
}

_zbq_name() {
    local name
    if [[ $command == @nameless@ ]]; then
        return
    elif [[ $word == */* || $command == @of_file@ ]]; then
        _zbq_files
    elif [[ $command == @of_name@ ]]; then
        while IFS= read -r name; do
            [[ $name == "$word"* ]] || continue
            name=$(printf %q "$name")
            COMPREPLY+=("${name#"$kept"}")
        done < <(_zbq_names)
    fi
}

_zbq_options() {
    case $command in
@options@
    esac
}

# The word at the cursor, also where it has a : or an @, at which bash divides it: $word, of which
# $kept stays on the line, and where it begins among the words.
_zbq_find_word() {
    local typed=${COMP_LINE:0:COMP_POINT} joined='' i
    typed=${typed##*[[:space:]]}
    [[ $typed != --*=* ]] || typed=${typed#*=}
    at=$COMP_CWORD
    word=${COMP_WORDS[at]}
    if [[ $typed && $typed != -* ]]; then
        for ((i = COMP_CWORD; i > 1; i--)); do
            joined=${COMP_WORDS[i]}$joined
            [[ $joined == "$typed" ]] || continue
            at=$i
            word=$typed
            break
        done
    fi
    kept=${word%"$1"}
}

_zbq() {
    local word kept at command='' name='' given last='' divided=''
    _zbq_find_word "$2"
    local before=${COMP_WORDS[at-1]}
    COMPREPLY=()
    if [[ $word == = ]]; then
        word=''
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[at-2]}
    fi
    for given in "${COMP_WORDS[@]:1:at-1}"; do
        if [[ $given == = ]]; then
            divided=yes # --option=value comes as three words, as does KEY=FILE
            continue
        elif [[ ! $divided && $given != -* ]] && ! _zbq_takes_value "$last"; then
            [[ $command ]] && name=$given || command=$given
        fi
        last=$given divided=''
    done
    case $before in
    @files@) _zbq_files ;;
    @keyed@) _zbq_keyed_files ;;
    @others@) ;;
    *)
        if [[ ! $command && $word == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W '@main@' -- "$word")
        elif [[ ! $command ]]; then
            mapfile -t COMPREPLY < <(compgen -W '@commands@' -- "$word")
        elif [[ $word == -* || $name && $command != @of_names@ ]]; then
            _zbq_options
        else
            _zbq_name
        fi
        ;;
    esac
}

complete -F _zbq zbq
'''


def offer(option):
    name = option['names'][-1]
    rules_out = option['excludes'] + ([] if option['repeatable'] else [name])
    return ' '.join(['        _zbq_offer', name, *rules_out])


def pattern(commands):
    return '@(' + '|'.join(commands) + ')'


def script(tool, names, readers):
    options, values = [], {}
    for command in tool['subcommands']:
        options += [f"    {command['name']})", *map(offer, command['options']), '        ;;']
        values.update({name: option['value'] for option in command['options']
                       for name in option['names'] if option['value']})
    files = [name for name, value in values.items() if value == 'FILE']
    keyed = [name for name, value in values.items() if value == 'KEY=FILE']
    others = [name for name, value in values.items() if not value.endswith('FILE')]
    commands = [command['name'] for command in tool['subcommands']]
    main = [option['names'][-1] for option in tool['options']]
    of = {command['name']: command['positionals'][0] for command in tool['subcommands']
          if command['positionals']}
    nameless = [name for name in commands if name not in of]
    filled = {'of_file': pattern(name for name, what in of.items() if what['name'] == 'FILE'),
              'of_names': pattern(name for name, what in of.items() if what['repeatable']),
              'of_name': pattern(readers),
              'names': names, 'values': ' | '.join(values), 'files': ' | '.join(files),
              'keyed': ' | '.join(keyed), 'others': ' | '.join(others), 'options': '\n'.join(options),
              'commands': ' '.join(commands), 'main': ' '.join(main), 'nameless': pattern(nameless)}
    text = SCRIPT
    for key, value in filled.items():
        text = text.replace(f'@{key}@', value)
    return text
