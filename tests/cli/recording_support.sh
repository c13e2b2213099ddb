# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# For the tests of recordings: source it with what support.sh takes.
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"
"$zbq" record --help >help 2>/dev/null || { echo "skipped: a tool without record"; exit 77; }

# is FILE EXPRESSION WANTED...: what Python makes of the file's description, d
is() {
    "$zbq" info --json "$1" >description.json 2>info.err || [ $? -eq 7 ] || fail "info $1"
    python3 -IS -c 'import json, sys
d = json.load(open("description.json"))
def count(topic): return sum(c["messages"] for c in d["channels"] if c["topic"] == topic)
def gaps(cause): return [g for g in d["gaps"] if g["cause"] == cause]
for expression, wanted in zip(sys.argv[1::2], sys.argv[2::2]):
    got = str(eval(expression))
    if got != wanted:
        sys.exit(f"{expression} is {got}, not {wanted}")' "${@:2}" 2>is.err ||
        fail "$1: $(cat is.err)"
}

mkfifo input
exec {input}<>input

# publish NAME OPTIONS: what is written to $input
publish() {
    rm -f "zbq/$1" # of one that was killed
    "$zbq" pub --quiet "${@:2}" "$1" <&"$input" 2>"$1.pub.err" &
    # shellcheck disable=SC2034 # used by tests
    pub=$!
    wait_until "a publisher" test -S "zbq/$1"
}

# record_it NAME... OPTIONS: in the background, once it has joined
record_it() {
    "$zbq" record "$@" 2>record.err &
    record=$!
    wait_until "the recorder" joined $record
}

# witness: a reader of x that misses nothing, in the file here
witness() {
    "$zbq" sub x >here 2>sub.err &
    # shellcheck disable=SC2034 # used by tests
    sub=$!
    wait_until "a reader" joined $sub
}
