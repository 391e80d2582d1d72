"""The control port's listening socket: bound by the proxy process, so that the port is
known at the start, and so that clients wait while a hub that died is started again.
"""

import asyncio
import contextlib
import errno
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from int3rceptor.config.model import Config
from int3rceptor.control.token import load_or_create, path_of
from int3rceptor.errors import ConfigError
from int3rceptor.net.listening import Address, as_resolved, bind, own_address

PREDECESSOR_S = 2.0
"""How long the port may still be in use: the hub of a proxy that was killed lets go of
it as soon as it notices, at the latest when it has started."""

_POLL_S = 0.05


@dataclass(slots=True, frozen=True, kw_only=True)
class ControlReady:
    """What is known once the control port serves."""

    address: Address
    token: str
    token_path: Path


@dataclass(slots=True, frozen=True, kw_only=True)
class Control:
    """The control port's socket, and who is told when a hub serves there."""

    sock: socket.socket
    ready: ControlReady
    on_ready: Callable[[ControlReady], None]

    def announce(self) -> None:
        """It serves."""
        self.on_ready(self.ready)


async def opened_control(
    config: Config,
    on_ready: Callable[[ControlReady], None],
    stack: contextlib.AsyncExitStack,
) -> Control | None:
    """The control port's socket and token; None when it is off."""
    sock = await control_socket(config)
    if sock is None:
        return None
    stack.callback(sock.close)
    ready = ControlReady(
        address=own_address(sock),
        token=load_or_create(config.data_dir),
        token_path=path_of(config.data_dir),
    )
    return Control(sock=sock, ready=ready, on_ready=on_ready)


async def control_socket(config: Config) -> socket.socket | None:
    """The listening socket that `config.control` asks for; None when it is off.

    ConfigError when the address cannot be had, or when other machines could reach it
    and nobody said that they may.
    """
    address = config.control_address
    if address is None:
        return None
    host, port = address
    found = _resolve(host, port)
    if not config.control_port.allow_remote:
        for one in found:
            _refuse_remote(host, one)
    give_up = time.monotonic() + PREDECESSOR_S
    while True:
        try:
            return bind(found[0], port, flag="--control")
        except ConfigError as error:
            if not _is_in_use(error) or time.monotonic() > give_up:
                raise
        await asyncio.sleep(_POLL_S)


def _is_in_use(error: ConfigError) -> bool:
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE


def _resolve(host: str, port: int) -> list[str]:
    """What `host` stands for now: what was judged is what is bound."""
    try:
        found = socket.getaddrinfo(
            as_resolved(host), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise ConfigError(f"--control {host}: the host does not resolve: {why}") from (
            error
        )
    return [str(address[0]) for *_, address in found]


def _refuse_remote(host: str, resolved: str) -> None:
    if ip_address(resolved.partition("%")[0]).is_loopback:
        return
    what = host if host == resolved else f"{host} ({resolved})"
    raise ConfigError(
        f"--control {what}: other machines could reach the control port there; use"
        " 127.0.0.1, or set control_port.allow_remote = true"
    )
