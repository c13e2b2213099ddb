#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What ls, stat, top and export make of publishers whose statistics are lies, and of a thousand of them.
protocol=$(realpath "$(dirname "$0")/../protocol")
# shellcheck source=tests/cli/support.sh
source "$(dirname "$0")/support.sh" "$@"
export PYTHONPATH=$protocol PYTHONDONTWRITEBYTECODE=1

# serve NAMES...: pages of every kind, one for each name that begins with the kind's.
cat >serve.py <<'END'
import os, random, resource, selectors, sys
import accounts, zbq

resource.setrlimit(resource.RLIMIT_NOFILE, [resource.getrlimit(resource.RLIMIT_NOFILE)[1]] * 2)
MOST = 2**64 - 1
TEXT = b"\x1b[31m\"\\\n{}\xff" * 11

def fitting(line, kinds):
    most = {"i": 2**31 - 1, "I": 2**32 - 1, "Q": MOST}
    return {name: value & most[kinds[name]] for name, value in line.items()}

def kinds_of(fields, format):
    return dict(zip(fields, format))

RING_KINDS = kinds_of([name for name in accounts.RING_FIELDS if name not in ("ring_id", "name")],
                      "Q" * 20 + "II" + "i" + "I" * 5)
SLOT_KINDS = kinds_of(accounts.SLOT_FIELDS, "Q" * 10 + "i" + "I" * 5)

def page(kind):
    own = accounts.Own(2000 if kind == "loud" else 4)
    if kind == "many":
        own.write({"capacity": 4096, "pid": os.getpid(), "max_consumers": 4})
    elif kind == "loud": # all that can be said at once
        ring = fitting(dict.fromkeys(RING_KINDS, MOST), RING_KINDS)
        slot = fitting(dict.fromkeys(SLOT_KINDS, MOST), SLOT_KINDS)
        own.write({**ring, "ring_id": b"\xff" * 16, "name": TEXT, "slowest_slot": 3},
                  [{**slot, "join_number": i + 1, "uid": i, "eviction": i % 9} for i in range(2000)])
    elif kind == "random":
        chance = random.Random(1)
        ring = fitting({name: chance.getrandbits(64) for name in RING_KINDS}, RING_KINDS)
        own.write({**ring, "name": chance.randbytes(112)},
                  [fitting({name: chance.getrandbits(64) for name in SLOT_KINDS}, SLOT_KINDS)
                   for _ in range(4)])
    elif kind == "zero":
        own.write({"written_at": 0})
    elif kind == "torn": # never whole
        own.memory.put64(own.head_size, 1)
        own.memory.put64(own.head_size + own.copy_size, 3)
    elif kind == "future":
        own.write({"created_at": MOST, "head": 1, "slowest_tail": MOST, "slowest_slot": 0, "capacity": 0},
                  [{"join_number": 1, "moved_at": MOST, "lag": MOST, "in_the_way": 2}])
    return own

listeners, pages = selectors.DefaultSelector(), {}
for name in sys.argv[1:]:
    kind = name.rstrip("0123456789")
    listener = zbq.Listener(name)
    if kind not in pages:
        pages[kind] = page(kind)
    listener.statistics = pages[kind]
    listeners.register(listener.socket, selectors.EVENT_READ, listener)
print("ready", flush=True)
while True:
    for ready, _ in listeners.select():
        ready.data.answer(None)
END
ready_or_dead() { told ready ready || ! kill -0 $server 2>/dev/null; }
serve() {
    rm -f ready
    python3 serve.py "$@" >ready 2>serve.err &
    server=$!
    wait_until "the publishers" ready_or_dead
    told ready ready || fail "the publishers"
}
ended_serving() {
    kill -KILL $server
    wait $server 2>/dev/null || true
    rm -f zbq/*
}
# Nothing that a terminal could take for more than text.
is_text() {
    LC_ALL=C grep -nP '[^\x20-\x7e\n]' "$1" && fail "$1 has what is no text"
    return 0
}

lies="loud random zero future"
# shellcheck disable=SC2086 # a list of words
serve $lies torn
"$zbq" ls --interval 10ms >ls.out || fail "ls"
is_text ls.out
for name in $lies; do
    says ls.out "^$name +-?[0-9]+ "
done
says ls.out '^torn: no answer$'
"$zbq" ls --json --interval 10ms >ls.json || fail "ls --json"
is_text ls.json
python3 -m json.tool ls.json >/dev/null || fail "that is no JSON"
for name in $lies; do
    "$zbq" stat "$name" >stat.out || fail "stat $name"
    is_text stat.out
    says stat.out 'holds? the stream back'
    "$zbq" stat --json "$name" >stat.json || fail "stat --json $name"
    python3 -m json.tool stat.json >/dev/null || fail "that is no JSON"
done
expect_status 1 "$zbq" stat torn 2>stat.err
"$zbq" export --textfile zbq.prom || fail "export"
is_text zbq.prom
for name in $lies; do
    says zbq.prom "^zbq_ring_up\{ring=\"$name\"\} 1$"
done
says zbq.prom '^zbq_ring_up\{ring="torn"\} 0$'
[ "$(grep -c '^zbq_reader_lag_bytes{ring="loud"' zbq.prom)" -le 1000 ] || fail "too many readers"
if command -v promtool >/dev/null; then
    promtool check metrics <zbq.prom || fail "promtool finds fault with it"
fi
if command -v tmux >/dev/null && ! "$zbq" top 2>&1 </dev/null | grep 'without ncurses'; then
    terminal() {
        tmux -S "$here/tmux" -f /dev/null "$@"
    }
    trap 'terminal kill-server 2>/dev/null || true; clean_up' EXIT
    shows() {
        terminal capture-pane -p -t top >screen.txt && grep -Eqs -- "$1" screen.txt
    }
    terminal new-session -d -s top -x 160 -y 40 \
        "env TERM=screen XDG_RUNTIME_DIR=$here '$zbq' top --interval 20ms 2>top.err; echo \"ended with \$?\"; cat"
    for name in $lies; do
        wait_until "$name" shows "^$name +"
        terminal send-keys -t top / "$name" Enter Down Enter
        wait_until "its readers" shows "^$name"
        wait_until "their titles" shows '^PID +LAG'
        terminal send-keys -t top Escape / Escape
        wait_until "all" shows '^NAME +RATE'
    done
    terminal send-keys -t top q
    wait_until "the end" shows '^ended with 0'
    terminal kill-session -t top
fi
ended_serving

# A thousand: in one listing, and on the screen.
mapfile -t many < <(seq -f 'many%04g' 1000)
serve "${many[@]}"
"$zbq" ls --interval 0 --timeout 60s >ls.out || fail "ls of a thousand"
[ "$(grep -c '^many[0-9]* *[0-9]' ls.out)" -eq 1000 ] || fail "not all of a thousand"
if command -v tmux >/dev/null && [ -e top.err ]; then
    terminal new-session -d -s top -x 60 -y 20 \
        "env TERM=screen XDG_RUNTIME_DIR=$here '$zbq' top --timeout 60s 2>top.err; echo \"ended with \$?\"; cat"
    wait_until "a screen full" shows '^many0001 '
    terminal send-keys -t top / many Enter
    wait_until "all" shows '^zbq top: [0-9]{4,} rings, filter: many$'
    terminal send-keys -t top End
    wait_until "the last" shows '^many1000 '
    terminal send-keys -t top PPage
    wait_until "one before" shows '^many0990 '
    terminal send-keys -t top q
    wait_until "the end" shows '^ended with 0'
    terminal kill-session -t top
fi
ended_serving
[ ! -s serve.err ] || fail "the publishers"
