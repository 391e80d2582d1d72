"""Which connections are left alone: host globs with an optional port. Pure."""

from collections.abc import Sequence
from fnmatch import fnmatchcase


def is_passed_through(
    patterns: Sequence[str], hosts: tuple[str | None, ...], port: int
) -> bool:
    """Whether a pattern matches any name that the connection goes by."""
    names = [host.lower().rstrip(".") for host in hosts if host]
    return any(_matches(pattern, name, port) for pattern in patterns for name in names)


def _matches(pattern: str, name: str, port: int) -> bool:
    glob, wanted_port = _split(pattern)
    return wanted_port in (0, port) and fnmatchcase(name, glob)


def _split(pattern: str) -> tuple[str, int]:
    """A pattern's glob and port; 0 stands for any."""
    glob, colon, port = pattern.rpartition(":")
    if colon and port.isdecimal() and not glob.endswith(":"):
        return glob.strip("[]").lower(), int(port)
    return pattern.strip("[]").lower(), 0
