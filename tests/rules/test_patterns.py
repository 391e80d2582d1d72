"""Globs against a reference; regexes bounded in everything that can grow."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.rules.patterns import (
    MAX_PATTERN_CHARS,
    Shape,
    any_of,
    glob,
    regex,
)

HEAD_BYTES = 64 * 1024
PATIENCE_S = 3.0
"""Ten times what the slowest pattern takes; a backtracking engine would take years."""


def reference(pattern: bytes, value: bytes) -> bool:
    """Globs by their definition: which prefixes of the value fit so far."""
    fits = [True] + [False] * len(value)
    for sign in pattern:
        if sign == ord("*"):
            row = [any(fits[: at + 1]) for at in range(len(value) + 1)]
        else:
            row = [False] + [
                fits[at] and sign in (ord("?"), byte) for at, byte in enumerate(value)
            ]
        fits = row
    return fits[-1]


GLOBS = st.text(alphabet="ab*?.[\\é\n", max_size=8)
VALUES = st.lists(st.sampled_from(b"ab.[\\\xc3\xa9\n"), max_size=8).map(bytes)


@given(GLOBS, VALUES)
def test_globs_do_what_their_definition_says(pattern: str, value: bytes) -> None:
    assert glob(pattern).fits(value) == reference(pattern.encode(), value)


@given(st.lists(GLOBS, min_size=1, max_size=6), VALUES)
def test_any_of_several_is_one_of_them(patterns: list[str], value: bytes) -> None:
    compiled = [glob(one) for one in patterns]

    assert any_of(compiled)(value) == any(one.fits(value) for one in compiled)


@given(GLOBS, VALUES)
def test_a_glob_captures_nothing(pattern: str, value: bytes) -> None:
    one = glob(pattern)

    assert one.captures(value) == (() if one.fits(value) else None)


@pytest.mark.parametrize(
    ("pattern", "shape"),
    [
        ("a.test", Shape.EXACT),
        ("", Shape.EXACT),
        ("*.a.test", Shape.SUFFIX),
        ("/a/*", Shape.PREFIX),
        ("**a**", Shape.INSIDE),
        ("*", Shape.INSIDE),
        ("a*b", Shape.PROGRAM),
        ("a?", Shape.PROGRAM),
    ],
)
def test_usual_globs_need_no_program(pattern: str, shape: Shape) -> None:
    assert glob(pattern).shape is shape


def test_a_regex_fits_the_whole_value() -> None:
    one = regex("/v[0-9]+/(.*)")

    assert one.captures(b"/v2/a/b") == (b"a/b",)
    assert one.captures(b"x/v2/a") is None
    assert not regex("a|b").fits(b"bc")
    assert not regex("b").fits(b"b\n")


def test_no_byte_is_passed_by() -> None:
    every = bytes(range(256))

    assert regex(".*").fits(every)
    assert regex(r"[\x00-\xff]+").fits(every)
    assert glob("*\x00?*").fits(every)


def test_case() -> None:
    assert not regex("a").fits(b"A")
    assert regex("a", is_case_blind=True).fits(b"A")


def test_a_group_that_took_no_part_is_empty() -> None:
    assert regex("a(b)?(c)").captures(b"ac") == (b"", b"c")


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", "missing"),
        ("[", "missing"),
        ("(?=a)", "RE2"),
        (r"(a)\1", "RE2"),
        ("(a{1,100}){1,100}", "repetition"),
        ("(?:[ab]{1,30}a){1,30}", "too large"),
        (r"(?i)\pL{900}", "too large"),
        ("x" * (MAX_PATTERN_CHARS + 1), "longer"),
        ("é", "ASCII"),
    ],
)
def test_what_is_no_regex_is_said_in_words(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        regex(pattern)


@pytest.mark.parametrize("pattern", ["*" * MAX_PATTERN_CHARS, "?*" * 240 + "b"])
def test_the_worst_globs_are_bounded(pattern: str) -> None:
    assert_quick(pattern, is_glob=True)


@pytest.mark.parametrize(
    "pattern",
    ["(x+x+)+y", "(a|a)*b", "[ab]*a[ab]{400}c", "(.*a){120}c", "(a*)*(a*)*(a*)*b"],
)
def test_the_worst_regexes_are_bounded(pattern: str) -> None:
    assert_quick(pattern, is_glob=False)


def assert_quick(pattern: str, *, is_glob: bool) -> None:
    one = glob(pattern) if is_glob else regex(pattern)
    noise = bytes(b"ab"[at * at % 7 % 2] for at in range(HEAD_BYTES))
    for value in (b"a" * HEAD_BYTES, b"x" * HEAD_BYTES, noise):
        started = time.process_time()
        one.fits(value)
        assert time.process_time() - started < PATIENCE_S


def test_a_glob_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        glob("a*b" * 300)
