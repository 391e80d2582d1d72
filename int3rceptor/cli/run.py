"""`run`: choose a loop, start the proxy, say that it is ready, show what passes."""

import asyncio
import contextlib
import os
import shlex
from collections.abc import Callable, Iterator

from int3rceptor.app import ControlReady, Ready, serve
from int3rceptor.cli.escaping import printable
from int3rceptor.cli.json_lines import json_line
from int3rceptor.cli.line_writer import LineWriter
from int3rceptor.cli.live import TextForm, json_form, listener
from int3rceptor.cli.logs import logging_to
from int3rceptor.cli.plugin_lines import lines_to
from int3rceptor.config.model import Config
from int3rceptor.hooks.dispatcher import Listener

STDOUT, STDERR = 1, 2

INSECURE_LINES = (
    "WARNING: --insecure-upstream: the certificates of origins are NOT verified;",
    "WARNING: whoever is between this proxy and an origin can read and change it all.",
)

# What a client on this machine dials when the proxy listens on every address.
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # printed, not bound

Write = Callable[[str], None]


def run(config: Config) -> None:
    """Serve until SIGINT or SIGTERM. Raises what `serve` raises, ConfigError first."""
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(_lines_to(STDOUT, config))
        err = stack.enter_context(_lines_to(STDERR, config))
        stack.enter_context(logging_to(err, config))
        if config.insecure_upstream:
            for line in INSECURE_LINES:
                err(_warning(line, config))
        runner = stack.enter_context(asyncio.Runner(loop_factory=_loop_factory()))
        runner.run(
            serve(
                config,
                on_ready=lambda ready: _announce(ready, config, out),
                on_control=lambda ready: _announce_control(ready, config, out),
                listeners=_listeners(config, out),
                plugin_lines=lines_to(err, config),
            )
        )


def _listeners(config: Config, out: Write) -> tuple[Listener, ...]:
    if config.quiet:
        return ()
    if config.log_format == "json":
        return (listener(out, json_form),)
    has_colours = os.isatty(STDOUT) and not os.environ.get("NO_COLOR")
    return (listener(out, TextForm(has_colours=has_colours)),)


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


def _announce_control(ready: ControlReady, config: Config, out: Write) -> None:
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


@contextlib.contextmanager
def _lines_to(descriptor: int, config: Config) -> Iterator[Write]:
    def gap(count: int) -> str:
        if config.log_format == "json":
            return json_line({"type": "gap", "lines": count})
        return f"… {count} lines not shown"

    writer = LineWriter(descriptor, gap=gap)
    try:
        yield writer.write
    finally:
        writer.close()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop where it exists: not on Windows, not on PyPy."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
