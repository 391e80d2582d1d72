"""`run` around a proxy that is made up: what is printed, where, and in which order."""

import asyncio
import dataclasses
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from int3rceptor.app import ControlReady, PluginLines, Ready, serving
from int3rceptor.cli.run import INSECURE_LINES, curl_line, format_address, run
from int3rceptor.config.model import Config
from int3rceptor.errors import ConfigError
from int3rceptor.hooks.dispatcher import Dispatcher, Listener
from int3rceptor.hooks.points import HookPoint
from int3rceptor.plugins.managing.service import PluginService
from int3rceptor.plugins.managing.upkeep import Places, Upkeep
from int3rceptor.proxy.onboarding import CaFiles
from int3rceptor.tls.authority import Authority
from tests.cli.test_live import a_flow, no_sleep

HOOKS = Dispatcher(sleep=asyncio.sleep)
PLACES = Places(data_dir=Path("/nowhere"))
SERVICE = PluginService(Upkeep(HOOKS, PLACES, log=lambda *_: None))


def authority_at(path: str) -> Authority:
    """As much of a CA as is printed."""
    return cast("Authority", SimpleNamespace(path=Path(path)))


READY = Ready(
    listen=("127.0.0.1", 4711),
    authority=authority_at("/data dir/ca.pem"),
    ca_files=CaFiles(pem=b"", der=b"", mobileconfig=bytes, fingerprint="AA:BB"),
    notes=("one plugin waits for a grant\x1b",),
    open_connections=lambda: 0,
    plugins=SERVICE,
    reload=lambda: asyncio.sleep(0),
    cut=lambda: None,
)


async def fake_serve(
    config: Config,
    *,
    on_ready: Callable[[Ready], None],
    on_control: Callable[[ControlReady], None],
    listeners: Sequence[Listener] = (),
    plugin_lines: PluginLines | None = None,
) -> None:
    """Gets ready, carries one exchange, logs a line and stops."""
    assert plugin_lines is not None
    on_ready(READY)
    dispatcher = Dispatcher(sleep=no_sleep)
    for listener in listeners:
        dispatcher.add(listener)
    await dispatcher.dispatch(HookPoint.CAPTURE, a_flow())
    logging.getLogger("int3rceptor.proxy").warning("odd on port %d", 4711)


@pytest.fixture(autouse=True)
def served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "serve", fake_serve)


def printed(
    capfd: pytest.CaptureFixture[str], config: Config
) -> tuple[list[str], list[str]]:
    """The lines on standard output and on standard error."""
    run(config)
    shown = capfd.readouterr()
    return shown.out.splitlines(), shown.err.splitlines()


def test_ready_line_is_first_and_alone(capfd: pytest.CaptureFixture[str]) -> None:
    out, err = printed(capfd, Config())

    curl = "curl --proxy http://127.0.0.1:4711 --cacert '/data dir/ca.pem'"
    assert out[:4] == [
        "listening on 127.0.0.1:4711",
        "CA certificate: /data dir/ca.pem",
        "  SHA-256 AA:BB",
        f"try: {curl} https://example.com/",
    ]
    assert out[4] == r"one plugin waits for a grant\x1b"
    assert "https://example.com/a?b=1 200" in out[5]
    assert err == ["int3rceptor: warning: odd on port 4711"]


def test_quiet_keeps_the_ready_line(capfd: pytest.CaptureFixture[str]) -> None:
    out, _ = printed(capfd, Config(quiet=True))

    assert out == ["listening on 127.0.0.1:4711"]


def test_every_line_is_json_when_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    config = Config(log_format="json", insecure_upstream=True)

    out, err = printed(capfd, config)

    records = [json.loads(line) for line in out + err]
    types = [record["type"] for record in records]
    assert types == ["ready", "exchange", "log", "log", "log"]
    assert records[0]["message"] == "listening on 127.0.0.1:4711"
    # A script that waits for the ready line finds it in this form too.
    assert "listening on 127.0.0.1:4711" in out[0]


CONTROL = ControlReady(
    address=("0.0.0.0", 8081),  # noqa: S104 - printed, not bound
    token="secret",
    token_path=Path("/data dir/control-token"),
)


@pytest.fixture
def with_control(monkeypatch: pytest.MonkeyPatch) -> None:
    async def serve_both(
        *_config: Config, on_control: Callable[[ControlReady], None], **_: object
    ) -> None:
        on_control(CONTROL)

    monkeypatch.setattr(serving, "serve", serve_both)


@pytest.mark.usefixtures("with_control")
def test_the_token_is_shown_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    to_a_pipe, _ = printed(capfd, Config())
    monkeypatch.setattr(os, "isatty", lambda _descriptor: True)
    to_a_person, _ = printed(capfd, Config())

    assert to_a_pipe == [
        "control on http://127.0.0.1:8081",
        "  token in /data dir/control-token",
    ]
    assert to_a_person == ["control on http://127.0.0.1:8081/#token=secret"]


@pytest.mark.usefixtures("with_control")
def test_the_control_line_of_quiet_and_json(capfd: pytest.CaptureFixture[str]) -> None:
    quiet, _ = printed(capfd, Config(quiet=True))
    (line,), _ = printed(capfd, Config(log_format="json"))

    assert quiet == ["control on http://127.0.0.1:8081"]
    assert json.loads(line) == {
        "type": "control",
        "url": "http://127.0.0.1:8081",
        "token_file": "/data dir/control-token",
        "message": "control on http://127.0.0.1:8081",
    }


@pytest.mark.parametrize("is_quiet", [False, True])
def test_insecure_upstream_is_loud(
    is_quiet: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    _, err = printed(capfd, Config(insecure_upstream=True, quiet=is_quiet))

    assert err[: len(INSECURE_LINES)] == list(INSECURE_LINES)


def test_failed_start_is_passed_on_after_the_log(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async def failing(*_config: Config, **_callbacks: object) -> None:
        logging.getLogger("int3rceptor").warning("first this")
        raise ConfigError("port in use")

    monkeypatch.setattr(serving, "serve", failing)

    with pytest.raises(ConfigError, match="port in use"):
        run(Config())
    assert capfd.readouterr().err == "int3rceptor: warning: first this\n"


def loop_of_a_run(monkeypatch: pytest.MonkeyPatch) -> str:
    """The module of the event loop that `run` chose."""
    found: list[str] = []

    async def looking(*_config: Config, **_callbacks: object) -> None:
        found.append(type(asyncio.get_running_loop()).__module__)

    monkeypatch.setattr(serving, "serve", looking)
    run(Config())
    return found[0]


def test_runs_on_uvloop_where_it_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("uvloop")

    assert loop_of_a_run(monkeypatch).startswith("uvloop")


def test_runs_on_asyncio_where_uvloop_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)

    assert loop_of_a_run(monkeypatch).startswith("asyncio")


@pytest.mark.parametrize(
    ("host", "proxy"),
    [
        ("127.0.0.1", "http://127.0.0.1:1"),
        ("0.0.0.0", "http://127.0.0.1:1"),  # noqa: S104  # printed, not bound
        ("::", "'http://[::1]:1'"),
        ("192.0.2.7", "http://192.0.2.7:1"),
    ],
)
def test_curl_line_can_be_pasted(host: str, proxy: str) -> None:
    ready = dataclasses.replace(
        READY, listen=(host, 1), authority=authority_at("/ca.pem")
    )

    assert curl_line(ready) == (
        f"curl --proxy {proxy} --cacert /ca.pem https://example.com/"
    )


def test_ipv6_addresses_have_brackets() -> None:
    assert format_address("::1", 80) == "[::1]:80"


def test_colours_on_a_terminal_unless_refused(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "isatty", lambda _descriptor: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured, _ = printed(capfd, Config())
    monkeypatch.setenv("NO_COLOR", "1")
    plain, _ = printed(capfd, Config())

    assert "\x1b[" in coloured[5]
    assert "\x1b[" not in "".join(plain)
