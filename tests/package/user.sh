# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# For the tests of the installed library: builds a user's program, runs it, and looks what it loads.
# They have a directory of their own in $work.

skip() { # REASON
    echo "skipped: $1"
    exit 77
}

needs() { # PROGRAMS
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || skip "$program is not installed"
    done
}

skip_if_sanitized() { # SANITIZERS
    [ -z "$1" ] || skip "the user's program is built without sanitizers"
}

# The shared library of the program, by name: nothing for one that is linked statically.
loads() { # PROGRAM
    readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(libzbq.*\)\]/\1/p'
}

runs() { # shared|static PROGRAM ARGUMENTS
    local expected=
    [ "$1" = static ] || expected=libzbq.so.1
    [ "$(loads "$2")" = "$expected" ] || { echo "$2 loads '$(loads "$2")', not '$expected'"; exit 1; }
    "${@:2}" || { echo "$2: status $?"; exit 1; }
}

quietly() { # COMMAND: its output only when it fails
    local said
    said=$("$@" 2>&1) || { echo "$said"; echo "failed: $*"; exit 1; }
}

with_cmake() { # USER BUILD PREFIX OPTIONS -- PROGRAMS
    local options=()
    while [ "$4" != -- ]; do
        options+=("$4")
        set -- "${@:1:3}" "${@:5}"
    done
    quietly cmake -S "$1" -B "$2" -DCMAKE_PREFIX_PATH="$3" "${options[@]}"
    quietly cmake --build "$2" --target "${@:5}"
}

refused_by_cmake() { # USER PREFIX WORDS OPTIONS: find_package says no, in these words
    local said build
    build=$(mktemp -d -p "${work:?}")
    if said=$(cmake -S "$1" -B "$build" -DCMAKE_PREFIX_PATH="$2" "${@:4}" 2>&1); then
        echo "find_package took ${*:4}"
        exit 1
    fi
    [[ $said == *"$3"* ]] || { echo "$said"; echo "not said: $3"; exit 1; }
}
