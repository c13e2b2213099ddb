# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# For the tests of manual pages: source it with the build tree as first argument.
# Installs what documents, leaves the directory of manual pages in $man.
set -euo pipefail
for program in man mandoc python3; do
    if ! command -v "$program" >/dev/null; then
        echo "skipped: $program is not installed"
        exit 77
    fi
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for component in development tools; do
    DESTDIR=$work cmake --install "$1" --component "$component" >/dev/null
done
man=$(find "$work" -type d -name man)
export LC_ALL=C.UTF-8 MANPATH=$man MANROFFSEQ='' MANWIDTH=80

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# A file as people read it, without bold and underlined.
rendered() { # FILE
    zcat "$1" | mandoc -T utf8 | sed 's/.\x08//g'
}

# Both formatters take them without a word, apropos finds the name and title of each, and the pages
# that they speak of are there. Leaves what apropos finds in $work/titles.
check_pages() { # FILE...
    local said file page section name
    local -a plain=()
    for file in "$@"; do
        plain+=("$work/$(basename "$file" .gz)") # mandoc knows its section by that
        zcat "$file" >"${plain[-1]}"
    done
    # Two things are known to be wrong: the system may be named in pages that are not of a BSD's base
    # system, and mandoc looks for other pages where this system has its own.
    said=$(mandoc -T lint "${plain[@]}" |
        grep -vE 'STYLE: (operating system explicitly specified|referenced manual not found)' || true)
    [ -z "$said" ] || fail "$said"
    said=$(man --warnings -E UTF-8 -l -Tutf8 -Z "$@" 2>&1 >/dev/null)
    [ -z "$said" ] || fail "$said"
    lexgrog "${plain[@]}" >"$work/titles"
    for page in "${plain[@]}"; do
        name=${page##*/}
        grep -qF "$page: \"${name%.*} - " "$work/titles" || fail "apropos does not find $name"
    done
    while read -r _ name section; do
        [ -e "$man/man$section/$name.$section.gz" ] || fail "there is no $name($section)"
    done < <(grep -hoE '\bXr [^ ]+ [0-9]' "${plain[@]}" | sort -u)
}
