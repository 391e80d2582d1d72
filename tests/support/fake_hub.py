"""A hub that behaves as FAKE_HUB says, for tests of what starts it.

`python -P -m tests.support.fake_hub LINK`: "well" gets ready, watches and ends with the
link; "brief" gets ready and ends; "crash" raises; "deaf" never ends; "talk" sends a
problem; "spin" gets ready and does nothing but turn.
"""

import contextlib
import os
import signal
import socket
import struct
import sys
import threading
import time

import msgspec

from int3rceptor.link.messages import Alive, Message, Problem, Ready, Watch

READ_BYTES = 65536
SIGN_S = 0.05


def frame(message: Message) -> bytes:
    # Not `channel`'s: that would import asyncio, and tests start this by the hundred.
    payload = msgspec.msgpack.encode(message)
    return struct.pack("<I", len(payload)) + payload


def live(link: socket.socket) -> None:
    """Give signs of life, whatever else is done."""

    def say() -> None:
        with contextlib.suppress(OSError):
            while True:
                link.sendall(frame(Alive()))
                time.sleep(SIGN_S)

    threading.Thread(target=say, daemon=True).start()


def spin() -> None:
    from int3rceptor.app.child import heed_no_signal

    heed_no_signal()
    while True:
        pass


def main() -> None:
    link = socket.socket(fileno=int(sys.argv[1]))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    match os.environ["FAKE_HUB"]:
        case "crash":
            raise RuntimeError("no such luck")
        case "deaf":
            link.sendall(frame(Ready()))
            link.close()
            while True:
                time.sleep(60)
        case "brief":
            link.sendall(frame(Ready()))
            return
        case "talk":
            link.sendall(frame(Problem("the disk is full")))
        case "spin":
            link.sendall(frame(Ready()))
            spin()
    live(link)
    link.sendall(frame(Ready()) + frame(Watch(True)))
    while link.recv(READ_BYTES):
        pass


if __name__ == "__main__":
    main()
