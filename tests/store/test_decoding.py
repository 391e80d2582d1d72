"""Content codings undone, bounded, whatever comes."""

import gzip
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.model.codings import MAX_CODINGS, MAX_FRAMES
from int3rceptor.store.decoding import decode_content, text_of

PLAIN = b"some words, " * 20_000
CODED = {
    "gzip": gzip.compress(PLAIN, mtime=0),
    "x-gzip": gzip.compress(PLAIN[:50], mtime=0) + gzip.compress(PLAIN[50:], mtime=0),
    "deflate": zlib.compress(PLAIN),
    "br": brotli.compress(PLAIN),
    "zstd": zstandard.compress(PLAIN),
    "gzip, br": brotli.compress(gzip.compress(PLAIN, mtime=0)),
    "": PLAIN,
    "identity": PLAIN,
}


@pytest.mark.parametrize("coding", CODED)
def test_undoes_each_up_to_a_limit(coding: str) -> None:
    exact = decode_content(CODED[coding], coding.upper(), len(PLAIN))
    less = decode_content(CODED[coding], coding, len(PLAIN) - 1)

    assert (exact.data, exact.problem, exact.is_cut) == (PLAIN, "", False)
    assert (less.data, less.problem, less.is_cut) == (PLAIN[:-1], "", True)


def test_deflate_without_its_wrapper() -> None:
    raw = zlib.compress(PLAIN)[2:-4]

    assert decode_content(raw, "deflate", len(PLAIN)).data == PLAIN


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_what_ends_early_is_given_so_far(coding: str) -> None:
    found = decode_content(CODED[coding][:-20], coding, len(PLAIN))

    assert found.data
    assert PLAIN.startswith(found.data)
    assert found.problem == "it ends early"


@pytest.mark.parametrize(
    ("content", "coding", "problem"),
    [
        (b"abc", "gzip", "not decoded as gzip: incorrect header check"),
        (b"abc", "compress", "compress is not decoded"),
        (b"abc", ",".join(["gzip"] * (MAX_CODINGS + 1)), "more than 4 codings"),
    ],
)
def test_what_cannot_be_decoded_stays(
    content: bytes, coding: str, problem: str
) -> None:
    found = decode_content(content, coding, 100)

    assert (found.data, found.problem) == (content, problem)


def test_a_flood_of_members_ends() -> None:
    found = decode_content(gzip.compress(b"x", mtime=0) * 50_000, "gzip", 100_000)

    assert MAX_FRAMES < len(found.data) < 2 * MAX_FRAMES
    assert found.problem == "it has too many members"


@given(st.binary(max_size=200), st.sampled_from(sorted(CODED)), st.integers(0, 50))
def test_never_raises_and_never_passes_the_limit(
    content: bytes, coding: str, limit: int
) -> None:
    assert len(decode_content(content, coding, limit).data) <= limit


@pytest.mark.parametrize(
    ("data", "content_type", "text"),
    [
        (b"caf\xc3\xa9", "", "café"),
        (b"caf\xe9", "text/plain; charset=ISO-8859-1", "café"),
        (b"caf\xe9", "text/plain", "caf\\xe9"),
        (b"caf\xe9", "application/octet-stream", None),
        (b"a\0b", "", None),
        (b"a\0b", "application/problem+json", "a\0b"),
        (b"abc", "text/plain; charset=nonsense", "abc"),
        (b"abc", "image/png; charset=rot13", None),
    ],
)
def test_text(data: bytes, content_type: str, text: str | None) -> None:
    assert text_of(data, content_type) == text
