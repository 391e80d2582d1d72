"""`plugins list`, `show`, `enable` and their like: the plugins of a running proxy."""

import json
import sys
import time
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import msgspec
import typer

from int3rceptor.cli.control_client import ControlClient, decoded
from int3rceptor.cli.flags import takes_settings
from int3rceptor.cli.given import Given
from int3rceptor.cli.output.escaping import printable
from int3rceptor.errors import ConfigError
from int3rceptor.link.plugin_reports import (
    PluginDetails,
    PluginLog,
    PluginPage,
    PluginState,
    PluginSummary,
)

WHERE_A_PROXY_IS = ("data_dir", "control")

MAX_FILE_BYTES = 8 * 1024 * 1024
"""Largest file that is sent: the largest module that a plugin may be."""

HEADINGS = ("NAME", "VERSION", "STATE", "CALLS", "FAULTS", "NOTES")

Name = Annotated[str, typer.Argument(metavar="NAME", help="A plugin's name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Permission = Annotated[
    str, typer.Argument(metavar="PERMISSION", help="As `plugins check` writes it.")
]


def _path(name: str, rest: str = "") -> str:
    return f"/api/plugins/{quote(name, safe='')}{rest}"


def _client(given: Given) -> ControlClient:
    return ControlClient(given.load().config)


@takes_settings(WHERE_A_PROXY_IS)
def list_plugins(given: Given, as_json: AsJson = False) -> None:
    """List the plugins of the running proxy."""
    answer = _client(given).ask("GET", "/api/plugins")
    if as_json:
        _print_json(answer)
        return
    page = decoded(answer, PluginPage)
    rows = [HEADINGS, *map(_cells, page.plugins)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


@takes_settings(WHERE_A_PROXY_IS)
def show(given: Given, name: Name, as_json: AsJson = False) -> None:
    """Show one plugin: permissions, limits, counters, its latest faults."""
    answer = _client(given).ask("GET", _path(name))
    if as_json:
        _print_json(answer)
    else:
        _print_details(answer)


@takes_settings(WHERE_A_PROXY_IS)
def enable(given: Given, name: Name) -> None:
    """Have a plugin asked again; ends a quarantine, too."""
    answer = _client(given).send("PUT", _path(name, "/enabled"), {"is_enabled": True})
    _print_state(answer)


@takes_settings(WHERE_A_PROXY_IS)
def disable(given: Given, name: Name) -> None:
    """Have a plugin asked no more, until it is enabled."""
    answer = _client(given).send("PUT", _path(name, "/enabled"), {"is_enabled": False})
    _print_state(answer)


@takes_settings(WHERE_A_PROXY_IS)
def reload(given: Given, name: Name) -> None:
    """Load a plugin's file anew."""
    _print_state(_client(given).ask("POST", _path(name, "/reload")))


@takes_settings(WHERE_A_PROXY_IS)
def grant(given: Given, name: Name, permission: Permission) -> None:
    """Grant a permission, now and after restarts."""
    client = _client(given)
    _print_state(client.send("POST", _path(name, "/grants"), {"grant": permission}))


@takes_settings(WHERE_A_PROXY_IS)
def revoke(given: Given, name: Name, permission: Permission) -> None:
    """Take back a permission that `grant` gave."""
    rest = f"/grants?grant={quote(permission, safe='')}"
    _print_state(_client(given).ask("DELETE", _path(name, rest)))


@takes_settings(WHERE_A_PROXY_IS)
def upload(
    given: Given,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .wasm or .wat file.")],
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="In place of the file's name."),
    ] = None,
) -> None:
    """Put a module into the running proxy's plugin folder; disabled until enabled."""
    module = _read(file)
    kind = "application/octet-stream"
    answer = _client(given).ask("PUT", _path(name or file.stem), module, kind)
    _print_state(answer)


@takes_settings(WHERE_A_PROXY_IS)
def delete(given: Given, name: Name) -> None:
    """Take a plugin out of service, and delete its files."""
    _client(given).ask("DELETE", _path(name))


@takes_settings(WHERE_A_PROXY_IS)
def log(given: Given, name: Name, as_json: AsJson = False) -> None:
    """Print the latest lines that a plugin wrote."""
    answer = _client(given).ask("GET", _path(name, "/log"))
    if as_json:
        _print_json(answer)
        return
    for line in decoded(answer, PluginLog).lines:
        when = time.strftime("%H:%M:%S", time.localtime(line.time))
        typer.echo(printable(f"{when} {line.level} {line.text}"))


@takes_settings(WHERE_A_PROXY_IS)
def config(
    given: Given,
    name: Name,
    file: Annotated[
        Path | None,
        typer.Option("--set", metavar="FILE", help="A JSON object; - for stdin."),
    ] = None,
) -> None:
    """Print a plugin's configuration, or replace it with what a file holds."""
    client = _client(given)
    if file is None:
        answer = client.ask("GET", _path(name, "/config"))
        held = decoded(answer, _Config).config
        typer.echo(json.dumps(held, indent=2, ensure_ascii=False))
        return
    text = sys.stdin.buffer.read(MAX_FILE_BYTES) if str(file) == "-" else _read(file)
    try:
        value: object = json.loads(text)
        body = json.dumps({"config": value})
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{file}: not a JSON object")
    _print_state(client.ask("PUT", _path(name, "/config"), body.encode()))


class _Config(msgspec.Struct):
    config: dict[str, object]


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"{file}: larger than {MAX_FILE_BYTES} bytes")
    if not data:
        raise ConfigError(f"{file}: the file is empty")
    return data


def _print_json(answer: bytes) -> None:
    decoded(answer, dict[str, object])
    typer.echo(msgspec.json.format(answer).decode())


def _print_state(answer: bytes) -> None:
    summary = decoded(answer, PluginDetails).summary
    typer.echo(printable(f"{summary.name}: {summary.state.value}{_notes(summary)}"))


def _notes(summary: PluginSummary) -> str:
    """What a person has to know beside the state, or has to do."""
    notes = [summary.why] if summary.why else []
    if summary.until:
        notes.append(f"until {time.strftime('%X', time.localtime(summary.until))}")
    if summary.asks_more:
        notes.append(f"asks for {', '.join(summary.asks_more)} more")
    if summary.withheld:
        notes.append(f"waits for {', '.join(summary.withheld)}")
    if summary.in_service and summary.state in _IN_DOUBT:
        notes.append("an older version serves")
    return f" ({'; '.join(notes)})" if notes else ""


_IN_DOUBT = frozenset({PluginState.HELD_BACK, PluginState.BROKEN})


def _cells(summary: PluginSummary) -> tuple[str, ...]:
    cells = (
        summary.name,
        summary.version or "-",
        summary.state.value,
        str(summary.calls),
        str(summary.faults),
        _notes(summary).strip(" ()"),
    )
    return tuple(map(printable, cells))


def _print_details(answer: bytes) -> None:
    details = decoded(answer, PluginDetails)
    one, counters = details.summary, details.counters
    lines = [
        f"{one.name} {one.version}".rstrip(),
        *([one.description] if one.description else []),
        f"State: {one.state.value}{_notes(one)}",
        f"File: {one.source} ({details.size_bytes} bytes, {one.digest})",
        f"Hooks: {', '.join(one.hooks) or 'none'}",
        f"Asked for: {', '.join(details.hosts)}",
        f"Priority: {one.priority}; on error: {details.on_error}",
        "Permissions:",
        *(
            f"  {permission.grant}: {permission.words} "
            f"({permission.by or 'not granted'})"
            for permission in details.permissions
        ),
        "Limits:",
        *(f"  {name} = {value:g}" for name, value in details.limits.items()),
        f"Calls: {counters.calls} in {counters.seconds:.3f} s, {one.faults} faults",
        f"HTTP requests sent: {counters.fetches}",
        f"Log lines: {counters.lines}, {counters.lines_left_out} more left out",
        f"Quarantines: {counters.quarantines}, {counters.skipped} calls skipped",
        f"Time of a call: {details.micros.p50:g} us, p99 {details.micros.p99:g} us",
        f"Fuel of a call: {details.fuel.p50:g}, p99 {details.fuel.p99:g}",
        *(
            f"Fault: {fault.hook}, flow {fault.flow}: {fault.reason}"
            for fault in details.faults
        ),
    ]
    for line in lines:
        typer.echo(printable(line))
