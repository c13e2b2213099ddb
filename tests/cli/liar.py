# SPDX-License-Identifier: MIT
"""Publishers whose statistics are lies: liar.py NAMES..., of which each begins with the kind of its page.

Needs tests/protocol in PYTHONPATH. Says when they are ready.
"""
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
                  [{**slot, "join_number": i + 1, "uid": i, "eviction": i % 9 if i % 2 else 0} for i in range(2000)])
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
