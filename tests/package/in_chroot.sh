#!/bin/bash
# SPDX-License-Identifier: MIT
# in_chroot.sh tool|python|development|purged: for chroot.sh, inside.
set -euo pipefail
XDG_RUNTIME_DIR=$(mktemp -d)
export XDG_RUNTIME_DIR

tool() {
    [[ $(ldconfig -p) == *libzbq.so.1* ]] || { echo "ldconfig was not run"; exit 1; }
    [[ $(ldd /usr/bin/zbq) == *"libzbq.so.1 => /lib/"* ]] || { ldd /usr/bin/zbq; exit 1; }
    timeout 600 zbq sub --wait --raw bare >/tmp/got &
    timeout 600 zbq pub --wait-for 1 --chunks 4096 --input /usr/bin/zbq bare
    wait $!
    cmp /usr/bin/zbq /tmp/got
    rm /tmp/got
}

python() {
    python3 -c '
import zbq
with zbq.Producer(65536) as ring, zbq.Listener("bare") as door:
    ring.attach(door)
    ring.serve_until(lambda: ring.statistics().consumers != 0)
    ring.publish(b"from Python")' &
    [ "$(timeout 600 zbq sub --wait --lines bare)" = "from Python" ]
    wait $!
}

development() {
    pkg-config --cflags --libs zbq
    # shellcheck disable=SC2046 # a list of words
    gcc -o /tmp/shared /tmp/main.c $(pkg-config --cflags --libs zbq)
    [[ $(ldd /tmp/shared) == *"libzbq.so.1 => /lib/"* ]] || { ldd /tmp/shared; exit 1; }
    # shellcheck disable=SC2046
    gcc -static -o /tmp/static /tmp/main.c $(pkg-config --static --cflags --libs zbq)
    /tmp/shared
    /tmp/static
}

purged() {
    [[ $(ldconfig -p) != *libzbq* ]] || { echo "ldconfig still lists it"; exit 1; }
    local left
    left=$(find /usr /etc /var/lib -name '*zbq*' -not -path '/var/lib/apt/*')
    [ -z "$left" ] || { echo "left: $left"; exit 1; }
}

"$1"
