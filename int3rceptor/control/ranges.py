"""Byte ranges of a body that is downloaded (RFC 9110, 14). Pure."""

import re

_RANGES = re.compile(r"bytes=\s*(.*\S)\s*", re.IGNORECASE)
_RANGE = re.compile(r"([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18})")


class UnsatisfiableRange(Exception):
    """The range lies outside the content, or there are several; says which."""


def wanted_range(field: str, size: int) -> range | None:
    """The bytes that a Range field asks for; None when all of them are to be sent.

    A field that is malformed, or in another unit, is as good as none (14.2). Several
    ranges are refused: nobody needs them here, and they are how servers were made to
    send the same bytes over and over (14.2 on overlapping ranges).
    """
    ranges = _RANGES.fullmatch(field)
    if ranges is None:
        return None
    specs = [spec.strip() for spec in ranges[1].split(",")]
    found = [match for spec in specs if (match := _RANGE.fullmatch(spec))]
    if len(found) < len(specs):
        return None
    if len(found) > 1:
        raise UnsatisfiableRange("one range at a time")
    return _range(found[0], size)


def _range(match: re.Match[str], size: int) -> range | None:
    first, last, suffix = match.groups()
    if suffix is not None:
        wanted = range(max(0, size - int(suffix)), size)
    elif last and int(last) < int(first):
        return None  # malformed, says 14.1.1
    else:
        wanted = range(int(first), min(size, int(last) + 1) if last else size)
    if not wanted:
        raise UnsatisfiableRange(f"the content has {size} bytes")
    return wanted
