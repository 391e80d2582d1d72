"""Listening sockets: how an address becomes one, and what address one has."""

import errno
import socket

from int3rceptor.errors import ConfigError, reason_of

BACKLOG = 1024
"""Connections the kernel queues for us: a browser's burst times many browsers."""

Address = tuple[str, int]


def as_resolved(host: str) -> bytes | str:
    """What a resolver is asked for: a text would load the tables of IDNA, 0.4 MB."""
    return host.encode("ascii") if host.isascii() else host


def bind(host: str, port: int, flag: str = "--listen") -> socket.socket:
    """A listening, non-blocking socket; ConfigError when the address cannot be had.

    `flag` is what the user would choose another address with.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            as_resolved(host), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"cannot listen on {host} port {port}: {reason_of(error)}"
        ) from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        hint = ""
        if error.errno == errno.EADDRINUSE:
            hint = f"; another program uses it: stop that, or choose another {flag}"
        raise ConfigError(
            f"cannot listen on {host} port {port}: {error.strerror}{hint}"
        ) from error
    return sock


def own_address(sock: socket.socket) -> Address:
    """The local end of a socket."""
    name = sock.getsockname()
    return str(name[0]), int(name[1])
