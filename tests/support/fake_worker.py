"""A worker that behaves as FAKE_WORKER says, for tests of what starts it.

`python -P -m tests.support.fake_worker LINK ...`: "well" serves until it is to stop;
"refuse" says why it cannot begin; "crash" raises; "brief" serves and ends; "deaf"
serves and never ends; "talk" serves, and says all that a worker may say; "spin" serves,
and does nothing but turn. "2 crash" is "crash" for number 2 and "well" for the others.
"""

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator

from int3rceptor.link.messages import (
    CaForms,
    CaPair,
    Failed,
    Gap,
    Logged,
    Serving,
    Start,
    Stats,
    Stop,
    ToWorker,
    worker_decoder,
)
from tests.support.fake_hub import READ_BYTES, frame, live, spin

CA = CaForms(pem=b"", der=b"", mobileconfig=b"", fingerprint="AA")
SAID = (
    Logged("int3rceptor", 30, 1.0, "alike"),
    Gap(3),
    Stats({"ended": 5.0, "connections": 2.0}, "the disk is full"),
)


def received(link: socket.socket) -> Iterator[ToWorker]:
    data = b""
    while more := link.recv(READ_BYTES):
        data += more
        while len(data) >= 4 and len(data) >= 4 + int.from_bytes(data[:4], "little"):
            end = 4 + int.from_bytes(data[:4], "little")
            yield worker_decoder.decode(data[4:end])
            data = data[end:]


def _pair(start: Start) -> CaPair:
    """The CA that it was given, else one of its own."""
    return start.authority or CaPair(f"ca of {start.number}", b"", b"")


def begins(start: Start, link: socket.socket) -> str:
    """How it is to go on, if it begins at all; "" when it is over."""
    which, _, how = os.environ["FAKE_WORKER"].rpartition(" ")
    if which and int(which) != start.number:
        how = "well"
    if how == "crash":
        raise RuntimeError("no such luck")
    if how == "refuse":
        link.sendall(frame(Failed("the rules are wrong")))
        return ""
    link.sendall(frame(Serving(CA, _pair(start), ["a note"])))
    return "" if how == "brief" else how


def main() -> None:
    link = socket.socket(fileno=int(sys.argv[1]))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    told = received(link)
    start = next(told)
    assert isinstance(start, Start)
    how = begins(start, link)
    if how == "spin":
        spin()
    live(link)
    while how == "deaf":
        time.sleep(60)
    if how == "talk":
        link.sendall(b"".join(frame(one) for one in SAID))
    if how:
        any(isinstance(message, Stop) for message in told)


if __name__ == "__main__":
    main()
