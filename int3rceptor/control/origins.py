"""Who may speak to the control port, by the names that a request goes by. Pure.

A browser runs the pages of strangers, and those can reach loopback. Three things stop
them: a Host that is not ours (DNS rebinding), an Origin that is not the Host, and what
the browser itself says of where a request comes from (Sec-Fetch-Site).
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from ipaddress import ip_address

from int3rceptor.config.values import parse_address

HTTP_PORT = 80

Head = Sequence[tuple[bytes, bytes]]

_FOREIGN_SITES = (b"cross-site", b"same-site")
"""same-site is another port of this host: another program, maybe another user's."""


class Names:
    """The names that the control port answers to."""

    def __init__(self, listen_host: str, allowed: Sequence[str]) -> None:
        self._listen_host = listen_host.lower()
        self._allowed = allowed

    def is_ours(self, host: str, local_host: str) -> bool:
        """Whether a Host field names the control port; `local_host` is the address that
        this connection arrived at.

        The port is not compared: tunnels and containers change it, rebinding does not.
        """
        split = split_host(host)
        if split is None:
            return False
        name, port = split
        if name in (self._listen_host, local_host, "localhost"):
            return True
        return _is_loopback(name) or any(
            _matches(pattern, name, port) for pattern in self._allowed
        )


def split_host(host: str) -> tuple[str, int] | None:
    """A Host field as (bare name in lower case, port); None when it is none."""
    try:
        name, port = parse_address(host)
    except ValueError:
        try:
            name, port = parse_address(f"{host}:{HTTP_PORT}")
        except ValueError:
            return None
    return name.lower().removesuffix("."), port


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _matches(pattern: str, name: str, port: int) -> bool:
    """Whether an allowed name (a glob, perhaps with a port) is this one."""
    split = split_host(pattern)
    has_port = split is not None and pattern.endswith(f":{split[1]}")
    if split is None or (has_port and split[1] != port):
        return False
    return fnmatchcase(name, split[0])


def single(head: Head, name: bytes) -> bytes | None:
    """The value of a field that may come once: b"" when absent, None when repeated."""
    found = [value for key, value in head if key == name]
    return None if len(found) > 1 else found[0] if found else b""


def foreign_origin(head: Head, host: str, method: str) -> str:
    """Why a request that a browser sent is not from our own page; "" when it may be."""
    origin = single(head, b"origin")
    if origin is None:
        return "it has several Origin fields"
    if origin and origin.lower() not in _own_origins(host):
        return "its Origin is another site"
    site = single(head, b"sec-fetch-site")
    if site in _FOREIGN_SITES and not _is_visit(head, method):
        return "the browser says that another site asks"
    return ""


def _own_origins(host: str) -> tuple[bytes, ...]:
    own = host.lower().encode("latin-1", "replace")
    return b"http://" + own, b"https://" + own


def _is_visit(head: Head, method: str) -> bool:
    """Whether a person followed a link here: nothing can read the answer but them."""
    return method in ("GET", "HEAD") and single(head, b"sec-fetch-mode") == b"navigate"
