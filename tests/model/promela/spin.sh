#!/bin/bash
# SPDX-License-Identifier: MIT
# Exhaustive searches by Spin. To be sourced, with a directory in $work and that of the models in
# $models.
: "${work:?}" "${models:?}"

# Safety: assertions and invalid end states. Progress: non-progress cycles, with weak fairness.
# Standstill: without it, since who stands still may do so for good.
short_searches() {
    cat <<'END'
ring safety -DJOINS=2 -DCELLS=2
ring progress -DJOINS=1 -DCELLS=2
order safety -DJOINS=2 -DCELLS=2 -DLONGEST=1
wake safety -DSLEEPERS=1 -DCOMMITS=3
floor safety -DCELLS=2 -DEND=5
floor standstill -DCELLS=2 -DEND=4
END
}

# Those in which each mutant is to be found.
mutant_searches() {
    cat <<'END'
ring safety -DJOINS=2 -DCELLS=2
ring progress -DJOINS=2 -DSTALL_TIMEOUT=0 -DCELLS=2
ring progress -DJOINS=1 -DCELLS=2
order safety -DJOINS=1 -DCELLS=3
order safety -DJOINS=2 -DCELLS=2 -DLONGEST=1
wake safety -DSLEEPERS=1 -DCOMMITS=3
wake safety -DSLEEPERS=1 -DCOMMITS=3 -DPOLLS=1
floor safety -DCELLS=2 -DEND=5
floor standstill -DCELLS=2 -DEND=4
floor safety -DEND=5
END
}

long_searches() {
    cat <<'END'
ring safety -DJOINS=3
ring progress -DJOINS=2
ring progress -DJOINS=2 -DSTALL_TIMEOUT=0
order safety -DJOINS=1 -DCELLS=3
order safety -DJOINS=2 -DCELLS=2 -DLONGEST=2
wake safety -DSLEEPERS=1 -DCOMMITS=6 -DQUIETS=2
wake safety -DSLEEPERS=1 -DCOMMITS=4 -DQUIETS=2 -DPOLLS=1
wake safety -DSLEEPERS=2 -DCOMMITS=2 -DEVICTIONS=0
wake safety -DSLEEPERS=2 -DCOMMITS=1 -DPOLLS=1
floor safety -DEND=7
floor safety -DCELLS=2 -DEND=8
floor safety -DCELLS=4 -DLONGEST=3 -DEND=6
floor standstill -DEND=6
floor standstill -DCELLS=2 -DEND=7
END
}

# What the search says is in $work/log. It goes in depth, or in breadth where $breadth is set: the
# sooner way to an error, which takes more memory.
search() { # model, kind, definitions
    local model=$1 kind=$2 build options
    shift 2
    case $kind in
    safety) build="-DSAFETY ${breadth:+-DBFS}" options= ;;
    progress) build='-DNP -DNFAIR=3' options='-l -f' ;;
    standstill) build=-DNP options=-l ;;
    esac
    mkdir -p "$work/pan"
    # shellcheck disable=SC2086 # lists of words
    (cd "$work/pan" && spin "$@" -a "$models/$model.pml" &&
        gcc -O1 -w -DCOLLAPSE -DVECTORSZ=1024 -DMEMLIM=8000 $build -o pan pan.c &&
        ./pan $options -m2000000 -w22) >"$work/log" 2>&1
}

# A search that left something out proves nothing.
was_exhaustive() {
    grep -q 'errors: 0$' "$work/log" &&
        ! grep -qE 'not completed|too small|out of memory|resource|aborted|truncated' "$work/log"
}

# The kind of the error found: the assertion's name, or "invalid end state", or "non-progress cycle".
error_found() {
    sed -nE 's/^pan:[0-9]+: (assertion violated )?(.*) \(at depth [0-9]+\)$/\2/p' "$work/log"
}
