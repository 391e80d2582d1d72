"""Plugins of a running proxy, changed by the command line and over the control port."""

import json
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.support.control import api_client
from tests.support.origins import AnsweringOrigin, echo
from tests.support.patience import PATIENT_S
from tests.support.process import BOTH_PLANES, ProxyProcess, run_once

pytestmark = pytest.mark.measured


ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "guest-plugins"
LOGGER = EXAMPLES / "example-logger/example_logger.wasm"
STAMP = EXAMPLES / "header-stamp/header_stamp.wasm"


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[ProxyProcess]:
    planes = (*BOTH_PLANES, "--no-store")
    with ProxyProcess(tmp_path / "proxy", planes=planes) as started:
        assert started.control
        yield started


def command(proxy: ProxyProcess, *words: str | Path) -> CompletedProcess[str]:
    where = ("--data-dir", proxy.data_dir, "--control", proxy.control.split("//")[1])
    return run_once(proxy.folder, ("plugins", words[0], *where, *words[1:]))


def done(proxy: ProxyProcess, *words: str | Path) -> str:
    result = command(proxy, *words)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    return result.stdout


def refused(proxy: ProxyProcess, *words: str | Path) -> str:
    result = command(proxy, *words)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("int3rceptor: error: ").rstrip("\n")


async def stamp_of(proxy: ProxyProcess) -> str | None:
    """What the origin's answer was stamped with on its way."""
    async with (
        AnsweringOrigin(echo) as origin,
        httpx.AsyncClient(proxy=proxy.url, timeout=PATIENT_S) as c,
    ):
        response = await c.get(f"{origin.url}/")
    stamp: str | None = response.headers.get("x-int3rceptor")
    return stamp


async def test_a_module_is_uploaded_granted_enabled_and_deleted(
    proxy: ProxyProcess,
) -> None:
    assert done(proxy, "list").split() == [
        *("NAME", "VERSION", "STATE", "CALLS", "FAULTS", "NOTES")
    ]
    told = done(proxy, "upload", STAMP, "--name", "stamp")
    assert told.startswith("stamp: disabled")
    assert await stamp_of(proxy) is None

    assert "waits for request.modify, response.modify" in done(proxy, "enable", "stamp")
    assert await stamp_of(proxy) is None

    done(proxy, "grant", "stamp", "response.modify")
    assert await stamp_of(proxy) == "header-stamp"

    done(proxy, "revoke", "stamp", "response.modify")
    assert await stamp_of(proxy) is None

    done(proxy, "delete", "stamp")
    assert "stamp" not in done(proxy, "list")
    assert list((proxy.data_dir / "plugins").iterdir()) == []


async def test_a_configuration_is_read_and_replaced(
    proxy: ProxyProcess, tmp_path: Path
) -> None:
    done(proxy, "upload", STAMP, "--name", "stamp")
    done(proxy, "enable", "stamp")
    done(proxy, "grant", "stamp", "response.modify")
    assert json.loads(done(proxy, "config", "stamp")) == {}

    settings = tmp_path / "settings.json"
    settings.write_text('{"value": "by command"}')
    done(proxy, "config", "stamp", "--set", settings)

    assert await stamp_of(proxy) == "by command"
    assert json.loads(done(proxy, "config", "stamp")) == {"value": "by command"}


async def test_what_it_writes_is_told_live_and_kept(proxy: ProxyProcess) -> None:
    done(proxy, "upload", LOGGER)
    events = proxy.control.replace("http", "ws") + "/api/events"
    headers = {"Authorization": f"Bearer {proxy.token}"}
    async with connect(events, additional_headers=headers) as socket:
        await socket.recv()
        done(proxy, "enable", "example_logger")
        await stamp_of(proxy)
        lines: list[str] = []
        while "on_response" not in lines:
            event = json.loads(await socket.recv())
            if event["type"] == "plugin.line":
                lines.append(event["line"]["text"])

    assert lines == ["example-logger ready", "on_connect", "on_request", "on_response"]
    assert "info on_response" in done(proxy, "log", "example_logger")


async def test_one_plugin_is_shown_whole(proxy: ProxyProcess) -> None:
    done(proxy, "upload", STAMP, "--name", "stamp")
    done(proxy, "enable", "stamp")
    await stamp_of(proxy)

    shown = done(proxy, "show", "stamp")
    details = json.loads(done(proxy, "show", "stamp", "--json"))

    assert "State: running" in shown
    assert "response.modify: " in shown
    assert "(not granted)" in shown
    assert details["summary"]["calls"] == 2
    assert details["limits"]["fuel"] == 1_000_000


async def test_a_plugin_is_tried_on_a_kept_flow_before_it_is_enabled(
    tmp_path: Path,
) -> None:
    with ProxyProcess(tmp_path / "proxy", planes=BOTH_PLANES) as proxy:
        done(proxy, "upload", STAMP, "--name", "stamp")
        await stamp_of(proxy)
        headers = {"Authorization": f"Bearer {proxy.token}"}
        async with api_client(base_url=proxy.control, headers=headers) as client:
            flows = (await client.get("/api/flows")).json()["flows"]
            url = "/api/plugins/stamp/trial"
            tried = await client.post(url, json={"flow": flows[0]["id"]})
            missing = await client.post(url, json={"flow": 2**50})

        report = tried.json()["report"]
        assert "+ x-int3rceptor: header-stamp" in report
        assert "on_response" in report
        assert str(tmp_path) not in report
        assert missing.status_code == 404
        assert "no flow" in missing.json()["error"]["message"]
        assert await stamp_of(proxy) is None


async def test_a_trial_in_which_a_call_fails_is_reported(tmp_path: Path) -> None:
    trap = tmp_path / "trap.wat"
    trap.write_text('(module (func (export "on_response") (result i32) unreachable))')
    with ProxyProcess(tmp_path / "proxy", planes=BOTH_PLANES) as proxy:
        done(proxy, "upload", trap)
        await stamp_of(proxy)
        headers = {"Authorization": f"Bearer {proxy.token}"}
        async with api_client(base_url=proxy.control, headers=headers) as client:
            (flow,) = (await client.get("/api/flows")).json()["flows"]
            url = "/api/plugins/trap/trial"
            tried = await client.post(url, json={"flow": flow["id"]})

    assert tried.status_code == 200, tried.text
    report = tried.json()["report"]
    assert "on_response: failed: trap" in report
    assert "FAILED" in report
    assert str(tmp_path) not in report


async def test_what_cannot_be_done_is_one_line(
    proxy: ProxyProcess, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.wasm"
    broken.write_bytes(b"\0asm nonsense")
    empty = tmp_path / "empty.wasm"
    empty.write_bytes(b"")
    done(proxy, "upload", STAMP, "--name", "stamp")

    assert refused(proxy, "show", "none") == "there is no plugin named none"
    assert "not a usable WebAssembly module" in refused(proxy, "upload", broken)
    assert refused(proxy, "upload", empty) == f"{empty}: the file is empty"
    assert "cannot be read" in refused(proxy, "upload", tmp_path / "none.wasm")
    assert "does not ask for respond" in refused(proxy, "grant", "stamp", "respond")
    assert "no such permission" in refused(proxy, "grant", "stamp", "all")
    assert "was not granted at run time" in refused(
        proxy, "revoke", "stamp", "request.modify"
    )
    assert "not JSON" in refused(proxy, "config", "stamp", "--set", broken)
    broken.write_text('{"a": ' + "[" * 100_000)
    assert "not JSON" in refused(proxy, "config", "stamp", "--set", broken)
    broken.write_text("[1]")
    assert "not a JSON object" in refused(proxy, "config", "stamp", "--set", broken)


def test_without_a_proxy_the_command_says_how_to_reach_one(tmp_path: Path) -> None:
    result = run_once(tmp_path, ("plugins", "list", "--data-dir", tmp_path))
    assert result.returncode == 2
    assert "control: off: there is no proxy to ask" in result.stderr

    there = ("plugins", "list", "--data-dir", tmp_path, "--control", "127.0.0.1:9")
    result = run_once(tmp_path, there)
    assert "control-token: No such file or directory; a proxy with" in result.stderr

    (tmp_path / "control-token").write_text("x" * 43)
    result = run_once(tmp_path, there)
    assert "no proxy answers at 127.0.0.1:9: " in result.stderr

    any_port = (*there[:-1], "127.0.0.1:0")
    result = run_once(tmp_path, any_port)
    assert "port 0 names no running proxy" in result.stderr
