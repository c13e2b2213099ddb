#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A camera that shares frames with two readers, without a copy. One of them is killed in the midst
of a frame; the camera goes on, and the other one sees every frame, whole.

    python3 camera.py
"""

import multiprocessing
import os
import signal
import socket
import sys

import numpy as np

import zbq

HEIGHT, WIDTH = 480, 640
FRAMES = 200


def paint(picture: "np.ndarray", number: int) -> None:
    """A bar that moves over a gradient."""
    picture[:] = np.arange(WIDTH, dtype="u1")
    picture[:, number % WIDTH] = 255
    picture[0, 0] = number % 256


def read(end: socket.socket, dies_at: int) -> None:
    with zbq.Consumer(end) as reader:
        count = 0
        for frame in zbq.Frames(reader):
            with frame:
                if count == dies_at:
                    os.kill(os.getpid(), signal.SIGKILL)  # with the frame in its hands
                picture = frame.array("u1", (HEIGHT, WIDTH))
                number, bright = int(picture[0, 0]), int((picture[1] == 255).sum())
                del picture
                if not frame.intact() or number != count % 256 or not 1 <= bright <= 4:
                    sys.exit(f"frame {count} differs")
            count += 1
        sys.exit(0 if count == FRAMES else 1)


def main() -> int:
    context = multiprocessing.get_context("spawn")
    with zbq.Producer(stall_timeout=60) as ring:
        pool = zbq.FramePool(ring, frame_size=HEIGHT * WIDTH, frames=4)
        readers = []
        for dies_at in (-1, 50):
            here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with here, there:
                ring.admit(here)
                process = context.Process(target=read, args=(there, dies_at))
                process.start()
            readers.append(process)
        for number in range(FRAMES):
            with pool.acquire() as frame:
                paint(frame.array("u1", (HEIGHT, WIDTH)), number)
                frame.publish()
        ring.wait_released(ring.head)
        counters = ring.statistics()
    statuses = [process.join() or process.exitcode for process in readers]
    gone = counters.evicted[zbq.Eviction.DEAD]
    print(f"{FRAMES} frames; readers ended with {statuses}; evicted as dead: {gone}")
    return 0 if statuses == [0, -signal.SIGKILL] and gone == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
