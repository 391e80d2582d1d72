"""Checks of values that are more than a type: addresses, host globs, paths."""

import re
from pathlib import Path

MAX_PORT = 65_535

_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.%A-Za-z_-]+)\]:([0-9]{1,5})")
_PLAIN = re.compile(r"([^\s:\[\]/@]+):([0-9]{1,5})")
_PATTERN = re.compile(r"(\[[0-9A-Fa-f:.*?]+\]|[^\s:\[\]/@,]+)(?::([0-9]{1,5}))?")


def parse_address(text: str) -> tuple[str, int]:
    """`HOST:PORT` or `[IPV6]:PORT` as (host, port); ValueError when it is neither."""
    match = _BRACKETED.fullmatch(text) or _PLAIN.fullmatch(text)
    if match is None:
        raise ValueError(
            "not an address; write HOST:PORT, an IPv6 host in brackets: [::1]:8080"
        )
    if int(match[2]) > MAX_PORT:
        raise ValueError(f"port {match[2]} is too large; the largest is {MAX_PORT}")
    return match[1], int(match[2])


def address(text: str) -> str:
    """`text`, checked to be an address."""
    parse_address(text)
    return text


def address_or_off(text: str) -> str:
    """`text`, checked to be an address, or `off`."""
    return text if text == "off" else address(text)


def host_pattern(text: str) -> str:
    """A host glob with an optional port, in lower case."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(
            "not a host pattern; write HOST or HOST:PORT (* matches any text)"
        )
    if match[2] is not None and not 0 < int(match[2]) <= MAX_PORT:
        raise ValueError(f"port {match[2]} is not between 1 and {MAX_PORT}")
    return text.lower()


def absolute_path(path: str | Path) -> Path:
    """`path` from the root, a leading ~ replaced by the home directory."""
    if path == "":
        # Python takes it for the working directory, where nobody wants a key.
        raise ValueError("a path cannot be empty")
    path = Path(path)
    if "\0" in str(path):
        raise ValueError("a path cannot contain a NUL character")
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise ValueError("~ cannot be used: the home directory is unknown") from None
    except FileNotFoundError:
        raise ValueError(
            "a relative path cannot be used: the working directory is gone"
        ) from None


def default_data_dir() -> Path:
    """The data directory of this user on this platform; ValueError without a home."""
    # Imported where it is needed: most starts name a directory.
    from platformdirs import user_data_path

    try:
        return user_data_path("int3rceptor", appauthor=False)
    except RuntimeError:
        raise ValueError(
            "the home directory is unknown; name a directory with --data-dir"
        ) from None
