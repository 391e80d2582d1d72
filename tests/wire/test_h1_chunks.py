"""The guard of chunked bodies, walked in pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.errors import ProtocolError
from int3rceptor.wire.h1.chunks import (
    MAX_CHUNK_EXTENSION_BYTES,
    MAX_CHUNK_SIZE_DIGITS,
    ChunkGuard,
)
from int3rceptor.wire.h1.framing import MAX_TRAILER_BYTES, MAX_TRAILERS
from int3rceptor.wire.peers import Peer
from tests.support.h1_codec import splits


def walk(guard: ChunkGuard, pieces: list[bytes]) -> tuple[bytes, bytes]:
    """The content, and what was left over."""
    buffer, content = bytearray(), b""
    for piece in pieces:
        buffer += piece
        content += guard.walk(buffer)
    return content, bytes(buffer)


@pytest.mark.parametrize(
    ("raw", "content", "trailers", "rest"),
    [
        (b"0\r\n\r\n", b"", None, b""),
        (b"3\r\nabc\r\n0\r\n\r\n", b"abc", None, b""),
        (b"a;x=y\r\n0123456789\r\n000\r\n\r\nGET /", b"0123456789", None, b"GET /"),
        (b'1 ; q="\\""\r\na\r\n1\r\nb\r\n0;z\r\n\r\n', b"ab", None, b""),
        (b"1A\r\n" + b"x" * 26 + b"\r\n0\r\n\r\n", b"x" * 26, None, b""),
        (b"2\r\n\r\n\r\n0\r\nX-t: 1\r\nx-T:\r\n\r\n", b"\r\n",
         [(b"X-t", b"1"), (b"x-T", b"")], b""),
    ],
)  # fmt: skip
def test_accepted(
    raw: bytes, content: bytes, trailers: list[tuple[bytes, bytes]] | None, rest: bytes
) -> None:
    for pieces in splits(raw):
        guard = ChunkGuard(Peer.CLIENT)
        assert walk(guard, pieces) == (content, rest)
        assert guard.is_done
        assert (None if guard.trailers is None else guard.trailers.raw) == trailers


REFUSED = {
    "no size": b"\r\n",
    "sign": b"+3\r\nabc",
    "prefix": b"0x3\r\nabc",
    "underscore": b"1_0\r\n",
    "leading space": b" 3\r\nabc",
    "padding": b"3 \r\nabc",
    "LF only": b"3\nabc\n0\n\n",
    "CR in the line": b"3\r;\r\n",
    "NUL in an extension": b"3;\x00\r\nabc",
    "LF in an extension": b"3;a\nb\r\n",
    "digits": b"0" * (MAX_CHUNK_SIZE_DIGITS + 1) + b"\r\n",
    "size": b"8" + b"0" * (MAX_CHUNK_SIZE_DIGITS - 1) + b"\r\n",
    "longer than its size": b"3\r\nabcd\r\n0\r\n\r\n",
    "shorter than its size": b"4\r\nabc\r\n0\r\n\r\n",
    "LF after the data": b"3\r\nabc\n0\r\n\r\n",
    "two bytes after the data": b"3\r\nabcde0\r\n\r\n",
    "extension bytes": (b"1;" + b"e" * 2000 + b"\r\na\r\n") * 3,
    "endless line": b"3;" + b"e" * (MAX_CHUNK_EXTENSION_BYTES + 20),
    "trailer CL": b"0\r\nContent-Length: 3\r\n\r\n",
    "trailer TE": b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "trailer Host": b"0\r\nhost: a\r\n\r\n",
    "trailer LF": b"0\r\nA: b\n\r\n",
    "trailer folded": b"0\r\nA: b\r\n c\r\n\r\n",
    "trailer space": b"0\r\nA : b\r\n\r\n",
    "trailer NUL": b"0\r\nA: \x00",
    "trailer count": b"0\r\n" + b"A: b\r\n" * (MAX_TRAILERS + 1) + b"\r\n",
    "trailer bytes": b"0\r\nA: " + b"b" * MAX_TRAILER_BYTES,
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
def test_refused(raw: bytes) -> None:
    for pieces in splits(raw, times=2) if len(raw) < 9000 else [[raw]]:
        with pytest.raises(ProtocolError):
            walk(ChunkGuard(Peer.CLIENT), [*pieces, b""])


def test_a_size_that_is_cut_behind_much_content() -> None:
    guard, content = ChunkGuard(Peer.CLIENT), b"x" * 100_000
    pieces = [b"%x\r\n%b\r\n0" % (len(content), content), b"\r\n\r\n"]
    assert walk(guard, pieces) == (content, b"")
    assert guard.is_done


def test_content_in_front_of_a_fault_comes_first() -> None:
    guard = ChunkGuard(Peer.CLIENT)
    buffer = bytearray(b"3\r\nabc\r\nxyz\r\n")
    assert guard.walk(buffer) == b"abc"
    with pytest.raises(ProtocolError, match="invalid chunk line b'xyz"):
        guard.walk(buffer)


def test_an_old_origin_may_pad_its_sizes() -> None:
    guard = ChunkGuard(Peer.ORIGIN)
    assert walk(guard, [b"3  \r\nabc\r\n0\t\r\n\r\n"]) == (b"abc", b"")
    assert guard.is_done


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=5), st.integers(0, 99))
def test_what_was_chunked_comes_out_again(parts: list[bytes], seed: int) -> None:
    raw = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"
    for pieces in splits(raw, seed=seed, times=1):
        guard = ChunkGuard(Peer.CLIENT)
        assert walk(guard, pieces) == (b"".join(parts), b"")
        assert guard.is_done
