# SPDX-License-Identifier: MIT
"""What a user's program writes, for mypy alone."""

import zbq


def publish(ring: zbq.Producer) -> int:
    with ring.reserve(8) as view:
        view[:] = bytes(8)
    with ring.batch(100) as batch:
        added: bool = batch.add(b"x")
    return ring.publish(bytearray(b"x"), fds=[1], timeout=0.5) + int(added)


def read(reader: zbq.Consumer) -> list[int]:
    sizes = [len(message) for message in reader]
    with reader.batch() as batch:
        sizes += [message.process(len) for message in batch]
    first: zbq.Copied = reader.recv()
    return sizes + [len(first.payload), reader.process(lambda view: view.nbytes)]


def meet() -> zbq.Consumer:
    def accept(who: zbq.Peer, terms: zbq.Terms) -> bool:
        return who.uid == 0

    with zbq.Listener("name", accept=accept) as door, zbq.Producer() as ring:
        ring.attach(door)
        return zbq.connect("name", flow="follow", start=zbq.Start.oldest())
