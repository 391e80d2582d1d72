"""`run`: choose a loop, start the proxy, say that it is ready, show what passes."""

import asyncio
import contextlib
import os
import shlex
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from int3rceptor.cli.output.escaping import printable
from int3rceptor.cli.output.json_lines import json_line
from int3rceptor.cli.output.line_writer import Write
from int3rceptor.cli.output.logs import logging_to
from int3rceptor.cli.output.streams import (
    STDERR,
    STDOUT,
    lines_to,
    live_view,
    loop_factory,
)
from int3rceptor.cli.output.turns import Turn
from int3rceptor.cli.plugins.lines import lines_to as plugin_lines_to
from int3rceptor.config.model import Config
from int3rceptor.files.unnamed import unnamed_file
from int3rceptor.net.descriptors import refuse_too_few

if TYPE_CHECKING:
    from int3rceptor.app import ControlReady

INSECURE_LINES = (
    "WARNING: --insecure-upstream: the certificates of origins are NOT verified;",
    "WARNING: whoever is between this proxy and an origin can read and change it all.",
)

WORKER = "int3rceptor.cli.worker"

# What a client on this machine dials when the proxy listens on every address.
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # printed, not bound


class _CaFiles(Protocol):
    @property
    def fingerprint(self) -> str: ...


class Ready(Protocol):
    """What is announced of a proxy that is ready, of one process or several."""

    @property
    def listen(self) -> tuple[str, int]: ...
    @property
    def ca_path(self) -> Path: ...
    @property
    def ca_files(self) -> _CaFiles: ...
    @property
    def notes(self) -> Sequence[str]: ...


def run(config: Config) -> None:
    """Serve until SIGINT or SIGTERM. Raises what `serve` raises, ConfigError first."""
    refuse_too_few()
    with contextlib.ExitStack() as stack:
        turns = stack.enter_context(unnamed_file()) if config.workers > 1 else None
        out = stack.enter_context(_shared_lines(STDOUT, config, turns))
        err = stack.enter_context(_shared_lines(STDERR, config, turns))
        stack.enter_context(logging_to(err, config))
        if config.insecure_upstream:
            for line in INSECURE_LINES:
                err(_warning(line, config))
        runner = stack.enter_context(asyncio.Runner(loop_factory=loop_factory()))
        if turns is None:
            runner.run(_serve(config, out, err))
        else:
            # Beside the streams of a worker, which are for what nobody expects.
            streams = [os.dup(STDOUT), os.dup(STDERR)]
            for one in streams:
                stack.callback(os.close, one)
            runner.run(_serve_crew(config, out, [turns, *streams]))


def _serve(config: Config, out: Write, err: Write) -> Coroutine[object, object, None]:
    # Each way loads what it needs: with workers this process is none of them.
    from int3rceptor.app.serving import serve

    return serve(
        config,
        on_ready=lambda ready: _announce(ready, config, out),
        on_control=lambda ready: _announce_control(ready, config, out),
        listeners=live_view(config, out, STDOUT),
        plugin_lines=plugin_lines_to(err, config),
    )


def _serve_crew(
    config: Config, out: Write, files: Sequence[int]
) -> Coroutine[object, object, None]:
    from int3rceptor.app.serving_crew import serve_crew

    return serve_crew(
        config,
        program=WORKER,
        files=files,
        on_ready=lambda ready: _announce(ready, config, out),
        on_control=lambda ready: _announce_control(ready, config, out),
    )


def _shared_lines(
    descriptor: int, config: Config, turns: int | None
) -> contextlib.AbstractContextManager[Write]:
    turn = None if turns is None else Turn(turns, descriptor)
    return lines_to(descriptor, config, turn)


def _announce(ready: Ready, config: Config, out: Write) -> None:
    """The ready line, alone and first: scripts wait for it. Then what to do next."""
    address = format_address(*ready.listen)
    if config.log_format == "json":
        out(json_line(_ready_record(ready, address)))
        return
    out(f"listening on {address}")
    if config.quiet:
        return
    out(f"CA certificate: {printable(str(ready.ca_path))}")
    out(f"  SHA-256 {ready.ca_files.fingerprint}")
    out(f"try: {printable(curl_line(ready))}")
    for note in ready.notes:
        out(printable(note))


def _ready_record(ready: Ready, address: str) -> dict[str, object]:
    return {
        "type": "ready",
        "listen": address,
        "ca": str(ready.ca_path),
        "ca_fingerprint": ready.ca_files.fingerprint,
        "notes": list(ready.notes),
        # Last, so that a script's `listening on (\S+):(\d+)` finds no more than this.
        "message": f"listening on {address}",
    }


def _announce_control(ready: "ControlReady", config: Config, out: Write) -> None:
    """Where the control port is. Its token is shown to a person only: what goes to a
    file or a pipe may be read by others."""
    host, port = ready.address
    url = f"http://{format_address(_LOOPBACK.get(host, host), port)}"
    token_path = str(ready.token_path)
    if config.log_format == "json":
        record = {"type": "control", "url": url, "token_file": token_path}
        out(json_line({**record, "message": f"control on {url}"}))
    elif config.quiet:
        out(f"control on {url}")
    elif os.isatty(STDOUT):
        out(f"control on {url}/#token={ready.token}")
    else:
        out(f"control on {url}")
        out(f"  token in {printable(token_path)}")


def curl_line(ready: Ready) -> str:
    """A command that sends a request through the proxy, to be pasted into a shell."""
    host, port = ready.listen
    proxy = f"http://{format_address(_LOOPBACK.get(host, host), port)}"
    ca = shlex.quote(str(ready.ca_path))
    return f"curl --proxy {shlex.quote(proxy)} --cacert {ca} https://example.com/"


def format_address(host: str, port: int) -> str:
    """HOST:PORT, an IPv6 host in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _warning(line: str, config: Config) -> str:
    if config.log_format == "json":
        return json_line({"type": "log", "level": "warning", "message": line})
    return line
