#!/bin/bash
# SPDX-License-Identifier: MIT
# Reads a list of mutants and puts one of them in place. To be sourced.

# Replaces the one place that has the original; fails when there are none or several.
apply() { # file, original, replacement
    ORIGINAL=$2 REPLACEMENT=$3 perl -0pi -e '
        my $count = () = /\Q$ENV{ORIGINAL}\E/g;
        die "$count places match: $ENV{ORIGINAL}\n" if $count != 1;
        s/\Q$ENV{ORIGINAL}\E/$ENV{REPLACEMENT}/' "$1"
}

# Lines of the original begin with "- ", lines of the replacement with "+ ". What a mutant breaks
# is said by `tests`: the tests of which one must fail, or the property that a model loses.
each_mutant() { # list, command to run with name, file, tests, original, replacement
    local name='' file='' tests='' original='' replacement='' line
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
        '- '* | '-')
            line=${line#-}
            original+=${line# }$'\n'
            ;;
        '+ '* | '+')
            line=${line#+}
            replacement+=${line# }$'\n'
            ;;
        'mutant '* | 'file '* | 'tests '* | '#'* | '')
            [ -z "$replacement" ] ||
                "$2" "$name" "$file" "$tests" "${original%$'\n'}" "${replacement%$'\n'}"
            original='' replacement=''
            ;;&
        'mutant '*) name=${line#mutant } ;;
        'file '*) file=${line#file } ;;
        'tests '*) tests=${line#tests } ;;
        '#'* | '') ;;
        *) echo "not understood: $line" && exit 1 ;;
        esac
    done < <(cat "$1" && echo)
}
