"""Globs and regexes over bytes, each bounded in size, program and memory.

A pattern fits the whole of a value or does not fit. It knows nothing of flows. RE2 runs
what has to be run: its time is linear in the text, whatever the pattern.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

MAX_PATTERN_CHARS = 1_000
"""Far above what a person writes; a longer one is generated, and belongs in a list."""

MAX_PROGRAM = 500
"""Instructions of a compiled pattern. RE2's slowest way costs about 7 ns for each of
them and each byte: 0.25 s for a pattern made to be slow and a head of 64 KiB."""

MAX_MEMORY_BYTES = 128 * 1024
"""What one program may use with its cache of states. Past it RE2 gets slower, not
larger; the thousand programs of a full set stay under 128 MiB."""

MAX_CAPTURES = 9
"""\\1 to \\9: a template has one digit."""

Captures = tuple[bytes, ...]
Test = Callable[[bytes], bool]


class Shape(Enum):
    """How a pattern is judged."""

    EXACT = "exact"
    PREFIX = "prefix"
    SUFFIX = "suffix"
    INSIDE = "inside"
    PROGRAM = "program"


class _Found(Protocol):
    def groups(self, default: bytes) -> Captures: ...


class _Program(Protocol):
    groups: int
    programsize: int

    def fullmatch(self, text: bytes) -> _Found | None: ...


@dataclass(slots=True, frozen=True, kw_only=True)
class Pattern:
    """One compiled glob or regex.

    `fits` judges a whole value. `captures` does too and gives the groups (b"" for one
    that took no part), or None; `groups` says how many. `shape` tells what `fits` does
    with `literal`; a PROGRAM is run by RE2, and costs memory.
    """

    text: str
    fits: Test
    captures: Callable[[bytes], Captures | None]
    shape: Shape
    literal: bytes = b""
    groups: int = 0


def glob(text: str) -> Pattern:
    """`*` fits any bytes, none too, `?` any one byte; all else fits itself.

    ValueError, in words, for one that is too long.
    """
    _check_size(text)
    data = text.encode()
    shape, literal = _shape(data)
    if shape is Shape.PROGRAM:
        # One star is as good as several, and keeps the program small.
        while b"**" in data:
            data = data.replace(b"**", b"*")
        return _compiled(text, b"".join(map(_GLOB_PARTS.__getitem__, data)))
    fits = _plain_test(shape, literal)
    return Pattern(
        text=text,
        fits=fits,
        captures=lambda value: () if fits(value) else None,
        shape=shape,
        literal=literal,
    )


def regex(text: str, *, is_case_blind: bool = False) -> Pattern:
    """A regular expression in RE2's syntax, over bytes; it has to fit the whole value.

    ValueError, in words, when it is too long or too large, or is no expression.
    """
    _check_size(text)
    if not text.isascii():
        raise ValueError("a regex is ASCII; write other bytes as \\xNN")
    return _compiled(text, text.encode("ascii"), is_case_blind=is_case_blind)


def _check_size(text: str) -> None:
    if len(text) > MAX_PATTERN_CHARS:
        raise ValueError(f"longer than {MAX_PATTERN_CHARS} characters; write several")


def _shape(glob: bytes) -> tuple[Shape, bytes]:
    """The usual shapes of globs need no program."""
    literal = glob.strip(b"*")
    if b"*" in literal or b"?" in literal:
        return Shape.PROGRAM, b""
    starts, ends = glob.startswith(b"*"), glob.endswith(b"*")
    if starts and ends:
        return Shape.INSIDE, literal
    if starts:
        return Shape.SUFFIX, literal
    return (Shape.PREFIX if ends else Shape.EXACT), literal


def _plain_test(shape: Shape, literal: bytes) -> Test:
    match shape:
        case Shape.EXACT:
            return lambda value: value == literal
        case Shape.PREFIX:
            return lambda value: value.startswith(literal)
        case Shape.SUFFIX:
            return lambda value: value.endswith(literal)
        case _:
            return lambda value: literal in value


def any_of(patterns: Sequence[Pattern]) -> Test:
    """One test for all of them, as quick for a block list of thousands as for one."""
    if len(patterns) == 1:
        return patterns[0].fits
    literals: dict[Shape, list[bytes]] = {shape: [] for shape in Shape}
    for one in patterns:
        literals[one.shape].append(one.literal)
    exact = frozenset(literals[Shape.EXACT])
    starts, ends = tuple(literals[Shape.PREFIX]), tuple(literals[Shape.SUFFIX])
    rest = [p.fits for p in patterns if p.shape in (Shape.INSIDE, Shape.PROGRAM)]
    return lambda value: (
        value in exact
        or value.startswith(starts)
        or value.endswith(ends)
        or any(fits(value) for fits in rest)
    )


def _compiled(text: str, source: bytes, *, is_case_blind: bool = False) -> Pattern:
    # 15 ms and 3 MiB, for those who need it. It has no stubs: see _Program.
    import re2  # type: ignore[import-untyped]

    options = re2.Options()
    # Latin-1: every byte is a character, so that no byte is one that `.` passes by.
    options.encoding = re2.Options.Encoding.LATIN1
    options.dot_nl = True
    options.log_errors = False
    options.max_mem = MAX_MEMORY_BYTES
    options.case_sensitive = not is_case_blind
    try:
        program: _Program = re2.compile(source, options)
    except re2.error as error:
        raise ValueError(_in_words(error.args)) from None
    if program.programsize > MAX_PROGRAM:
        raise ValueError(_TOO_LARGE)
    fullmatch = program.fullmatch

    def captures(value: bytes) -> Captures | None:
        found = fullmatch(value)
        return None if found is None else found.groups(default=b"")

    return Pattern(
        text=text,
        fits=lambda value: fullmatch(value) is not None,
        captures=captures,
        shape=Shape.PROGRAM,
        groups=program.groups,
    )


_TOO_LARGE = "too large once compiled; write several, or smaller repetitions"
_GLOB_PARTS = [b"\\x%02x" % byte for byte in range(256)]
_GLOB_PARTS[ord("*")], _GLOB_PARTS[ord("?")] = b".*", b"."


def _in_words(arguments: tuple[object, ...]) -> str:
    said = arguments[0] if arguments else b""
    reason = said.decode("latin-1") if isinstance(said, bytes) else str(said)
    if "too large" in reason:
        return _TOO_LARGE
    return f"not a regex of RE2's syntax: {reason}"
