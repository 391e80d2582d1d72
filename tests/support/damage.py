"""Modules that were in order once: Hypothesis decides what was done to them."""

from collections.abc import Callable

from hypothesis import strategies as st

from tests.support.wasm import EMPTY, leb, sections

Draw = Callable[[st.SearchStrategy[int]], int]
Hurt = Callable[[bytes, Draw], bytes]

MOST_LIES = 1 << 33
"""A length of five bytes can say this much, and more than it may."""


def _place(data: bytes, draw: Draw) -> int:
    return draw(st.integers(0, max(0, len(data) - 1)))


def flip(data: bytes, draw: Draw) -> bytes:
    """One bit."""
    at = _place(data, draw)
    bit = 1 << draw(st.integers(0, 7))
    return data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :] if data else data


def overwrite(data: bytes, draw: Draw) -> bytes:
    """One byte, by those that mean much."""
    at = _place(data, draw)
    byte = draw(st.sampled_from((0, 1, 0x0B, 0x40, 0x7F, 0x80, 0xFC, 0xFD, 0xFF)))
    return data[:at] + bytes([byte]) + data[at + 1 :]


def truncate(data: bytes, draw: Draw) -> bytes:
    """All behind a place."""
    return data[: _place(data, draw)]


def repeat(data: bytes, draw: Draw) -> bytes:
    """A piece comes twice."""
    at = _place(data, draw)
    end = min(len(data), at + draw(st.integers(1, 64)))
    return data[:end] + data[at:end] + data[end:]


def leave_out(data: bytes, draw: Draw) -> bytes:
    """A piece is missing."""
    at = _place(data, draw)
    return data[:at] + data[at + draw(st.integers(1, 64)) :]


def swap(data: bytes, draw: Draw) -> bytes:
    """Two sections change places; or one comes twice, if both are the same."""
    found = _sections(data)
    if not found:
        return data
    last = len(found) - 1
    one, other = draw(st.integers(0, last)), draw(st.integers(0, last))
    if one == other:
        found.insert(one, found[one])
    found[one], found[other] = found[other], found[one]
    return EMPTY + b"".join(bytes([kind]) + leb(len(c)) + c for kind, c in found)


def lie(data: bytes, draw: Draw) -> bytes:
    """A section says another length than its own, or its own at great length."""
    found = _sections(data)
    if not found:
        return data
    liar = draw(st.integers(0, len(found) - 1))
    out = EMPTY
    for place, (kind, content) in enumerate(found):
        length = leb(len(content))
        if place == liar:
            length = _lied(len(content), draw)
        out += bytes([kind]) + length + content
    return out


def _lied(length: int, draw: Draw) -> bytes:
    padding = draw(st.integers(-1, 12))
    if padding < 0:
        return leb(draw(st.integers(0, MOST_LIES)))
    short = leb(length)
    return short[:-1] + bytes([short[-1] | 0x80]) + b"\x80" * padding + b"\0"


def _sections(data: bytes) -> list[tuple[int, bytes]]:
    """Those that can still be told apart."""
    try:
        return sections(data)
    except IndexError:
        return []


HURTS: tuple[Hurt, ...] = (*(flip, overwrite, truncate, repeat, leave_out, swap, lie),)


@st.composite
def damaged(draw: Draw, modules: st.SearchStrategy[bytes]) -> bytes:
    """One of the modules, after one to four accidents."""
    data: bytes = draw(modules)  # type: ignore[arg-type,assignment]  # draws anything
    for _ in range(draw(st.integers(1, 4))):
        hurt = HURTS[draw(st.integers(0, len(HURTS) - 1))]
        data = hurt(data, draw)
    return data
