"""Heads of HTTP/1 that are nearly right, and the tables that remember heads."""

from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import strategies as st

from int3rceptor.wire.h1 import framing as h1_framing
from int3rceptor.wire.h1 import serialise as h1_serialise

TABLES = (h1_framing._requests, h1_framing._responses, h1_serialise._known)

REQUESTS = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: x\r\n\r\n",
    b"GET / HTTP/1.0\r\nHost: a\r\nUser-Agent: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nCookie: s=1\r\nUser-Agent: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nUser-Agent: x\r\n\r\n",
    b"GET / HTTP/1.0\r\nUser-Agent: x\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST /p HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
    b"GET http://b/ HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
)
RESPONSES = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nServer: x\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\nServer: x\r\n\r\n",
    b"HTTP/1.1 304 Not\r\nContent-Length: 3\r\nServer: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n",
)
# What makes two parsers read one head differently, put in anywhere.
TROUBLE = (
    *(b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b",", b"0", b"+", b"\xff", b""),
    *(b"\r\nContent-Length: 4", b"\r\nTransfer-Encoding: chunked", b"\r\nHost: c"),
    *(b"\r\nConnection: close", b"\r\n folded", b"\r\nX : y", b"\r\nCookie: s=1"),
)


@st.composite
def mutated(draw: st.DrawFn, heads: tuple[bytes, ...]) -> bytes:
    """A head of the corpus, some bytes of it taken out and others put in."""
    head = draw(st.sampled_from(heads))[:-4]
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(head)))
        without = draw(st.integers(0, 2))
        put_in = draw(st.sampled_from(TROUBLE) | st.binary(max_size=2))
        head = head[:at] + put_in + head[at + without :]
    return head + b"\r\n\r\n"


@contextmanager
def nothing_known() -> Iterator[None]:
    """The tables are their modules' own: each test finds and leaves them empty."""
    forget()
    yield
    forget()


def forget() -> None:
    for table in TABLES:
        table.clear()
