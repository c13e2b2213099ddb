#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What a shell really offers, the same of each. completions.sh TOOL COMPLETIONS bash|zsh|fish
completions=$(realpath "$2")
shell=$3
tests=$(cd "$(dirname "$0")" && pwd)
if ! command -v "$shell" >/dev/null; then
    echo "skipped: $shell is not installed"
    exit 77
fi
# shellcheck source=tests/cli/support.sh
source "$tests/../cli/support.sh" "$1"
export HOME=$here

# offers LINE: what the shell would complete the end of the line to, one on each line.
offers() {
    # shellcheck disable=SC2016 # fish's variables
    case $shell in
    bash) bash --norc "$tests/complete.bash" "$completions/zbq" "$1" ;;
    zsh) zsh -f "$tests/complete.zsh" "$completions" "$1" ;;
    fish) fish --no-config -c 'source $argv[1]; complete -C $argv[2]' "$completions/zbq.fish" "$1" |
        cut -f 1 ;;
    esac | sed 's/=$//' | sort -u
}

expect() { # LINE WANTED...: these and no others
    local line=$1 got
    shift
    got=$(offers "$line")
    [ "$got" = "$(printf '%s\n' "$@" | sort -u)" ] ||
        fail "'$line' is completed to: ${got//$'\n'/ }; wanted: $*"
}

offered() { # LINE WORD
    grep -qxF -- "$2" <<<"$(offers "$1")" || fail "'$1' does not offer $2"
}

not_offered() { # LINE WORD
    ! grep -qxF -- "$2" <<<"$(offers "$1")" || fail "'$1' offers $2"
}

listed() { # COMMAND...: the options that its help lists
    "$zbq" "$@" --help | grep -oE '^  (-[a-z],)?--[a-z0-9-]+' | grep -oE -- '--.*'
}

mapfile -t options < <(listed pub)
expect 'zbq pub --' "${options[@]}"
mapfile -t options < <(listed sub)
expect 'zbq sub --' "${options[@]}"
mapfile -t options < <(listed)
expect 'zbq --' "${options[@]}"
expect 'zbq ' collect export info ls pub record replay stat sub top
expect 'zbq s' stat sub
mapfile -t options < <(listed ls)
expect 'zbq ls --' "${options[@]}"
expect 'zbq top ./' ''

# What was given, and what it rules out, is not offered again; but what can be repeated is.
expect 'zbq pub --lines --l' ''
not_offered 'zbq pub --lines --' --chunks
offered 'zbq pub --lines --' --quiet
offered 'zbq pub --fd x --' --fd
not_offered 'zbq pub --input x --' --input

# Values.
touch some-file
offered 'zbq pub --input so' some-file
offered 'zbq pub --fd so' some-file
case $shell in
fish) offered 'zbq pub --input=so' --input=some-file ;;
*) offered 'zbq pub --input=so' some-file ;;
esac
case $shell in
fish) offered 'zbq pub --retain 1=so' 1=some-file ;;
*)
    offered 'zbq pub --retain 1=so' some-file
    expect 'zbq pub --retain so' ''
    ;;
esac
expect 'zbq pub --retain 1=some-file ' ''
offered 'zbq pub --retain 1=some-file --re' --retain
expect 'zbq pub --capacity ' ''
expect 'zbq pub --rate s' ''

listens() { # ABSTRACT-NAME
    awk -v name="$1" '$4 == "00010000" && $8 == name { found = 1 } END { exit !found }' /proc/net/unix
}

# Names: of those who publish now.
"$zbq" pub stale <&"$never" 2>stale.err &
stale=$!
"$zbq" pub live <&"$never" 2>live.err &
"$zbq" pub co:lon <&"$never" 2>colon.err &
"$zbq" pub "@zbq-$$-completions" <&"$never" 2>abstract.err &
wait_until "the directory" test -d zbq
python3 -c '
import socket, sys
bound = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
bound.bind(sys.argv[1])
sys.stdin.read()' "$here/zbq/mute" <&"$never" &
wait_until "the socket that does not listen" test -S zbq/mute
for name in stale live co:lon; do # there once it listens
    wait_until "$name" test -S "zbq/$name"
done
wait_until "the abstract name" listens "@zbq-$$-completions"
kill -KILL "$stale"
wait "$stale" 2>/dev/null || true
[ -S zbq/stale ] || fail "the socket of who was killed is gone"
offered 'zbq sub ' live
expect 'zbq sub li' live
expect 'zbq stat li' live
expect 'zbq sub --pull li' live
not_offered 'zbq ls ' live
not_offered 'zbq sub ' stale
not_offered 'zbq sub ' mute
offered 'zbq sub @' "@zbq-$$-completions"
expect "zbq sub @zbq-$$-" "@zbq-$$-completions"
expect 'zbq sub co' co:lon
case $shell in
bash) expect 'zbq sub co:l' lon ;; # the rest is on the line already
*) expect 'zbq sub co:l' co:lon ;;
esac
case $shell in
zsh) offered 'zbq sub ./so' some-file ;;
*) offered 'zbq sub ./so' ./some-file ;;
esac
expect 'zbq pub li' ''
