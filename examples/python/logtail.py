#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A logging handler that publishes, and a tail of it by asyncio. Nobody who reads can hold up who
logs: the tail observes, and is told what it has missed.

    python3 logtail.py
"""

import asyncio
import json
import logging
import os
import sys
import tempfile
import threading

import zbq

RECORDS = 2000


class RingHandler(logging.Handler):
    """Publishes each record as a line of JSON. Its lock is the one that the ring needs: a handle
    belongs to one thread at a time."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._ring = zbq.Producer(1 << 20)
        self._door = zbq.Listener(name, max_observers=8)
        self._ring.attach(self._door)

    def emit(self, record: logging.LogRecord) -> None:
        fields = {
            "time": record.created,
            "level": record.levelname,
            "thread": record.threadName,
            "text": record.getMessage(),
        }
        try:
            self._ring.publish(json.dumps(fields).encode(), timeout=1)
        except Exception:
            self.handleError(record)

    def wait_for_readers(self, count: int) -> None:
        with self.lock:
            self._ring.serve_until(lambda: self._ring.statistics().consumers == count)

    def close(self) -> None:
        with self.lock:
            self._ring.detach(self._door)
            self._door.close()
            self._ring.close()
        super().close()


async def tail(name: str, seen: dict) -> None:
    with await zbq.connect_async(name, flow="follow", start=zbq.Start.oldest()) as reader:
        async for message in reader:
            record = json.loads(message.payload)
            seen[record["thread"]] = seen.get(record["thread"], 0) + 1
        seen["missed bytes"] = reader.lost.bytes


def work(log: logging.Logger, count: int) -> None:
    for number in range(count):
        log.info("step %d", number)


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        name = os.path.join(directory, "log")
        handler = RingHandler(name)
        log = logging.getLogger("example")
        log.setLevel(logging.INFO)
        log.propagate = False
        log.addHandler(handler)
        log.info("before anybody reads")  # is in the ring all the same

        seen: dict = {}
        reader = threading.Thread(target=lambda: asyncio.run(tail(name, seen)))
        reader.start()
        handler.wait_for_readers(1)
        threads = [
            threading.Thread(target=work, args=(log, RECORDS), name=f"worker {i}") for i in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        log.removeHandler(handler)
        handler.close()
        reader.join()
    print(seen)
    expected = {f"worker {i}": RECORDS for i in range(3)} | {"MainThread": 1}
    whole = seen == expected | {"missed bytes": 0}
    return 0 if whole or seen.get("missed bytes", 0) > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
