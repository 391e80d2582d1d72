"""The routes of the plugins, over a proxy that is played."""

import os
import stat
import tempfile
from pathlib import Path

import httpx
import pytest

from int3rceptor.control import uploads
from int3rceptor.control.failures import ApiError
from int3rceptor.control.plugins import MAX_CONFIG_BYTES, PluginRefused
from int3rceptor.control.reading import MAX_BODY_BYTES, MAX_UPLOAD_BYTES
from int3rceptor.control.trials import Trials
from int3rceptor.control.uploads import kept_upload
from int3rceptor.link.plugin_asks import PluginAct, PluginFailure
from tests.support.control import Hub, control_port

FULL = Path("/dev/full")
MODULE = b"\0asm\1\0\0\0"


def message_of(response: httpx.Response) -> str:
    message: str = response.json()["error"]["message"]
    return message


async def test_plugins_are_listed_and_shown() -> None:
    async with control_port() as control:
        listed = await control.client.get("/api/plugins")
        shown = await control.client.get("/api/plugins/demo")
        lines = await control.client.get("/api/plugins/demo/log")
    assert [one["name"] for one in listed.json()["plugins"]] == ["demo"]
    assert shown.json()["summary"] == listed.json()["plugins"][0]
    assert shown.headers["content-type"] == "application/json"
    assert lines.json()["lines"][0]["text"] == "hello"


async def test_a_plugin_is_enabled_and_disabled() -> None:
    async with control_port() as control:
        url = "/api/plugins/demo/enabled"
        off = await control.client.put(url, json={"is_enabled": False})
        on = await control.client.put(url, json={"is_enabled": True})
    assert off.json()["summary"]["state"] == "disabled"
    assert on.json()["summary"]["state"] == "running"


async def test_what_is_asked_reaches_the_proxy() -> None:
    hub = Hub()
    async with control_port(hub=hub) as control:
        client, base = control.client, "/api/plugins/demo"
        await client.post(f"{base}/reload")
        await client.post(f"{base}/grants", json={"grant": "files:/a b/:ro"})
        await client.delete(f"{base}/grants", params={"grant": "topics:*"})
        gone = await client.delete(base)
    assert hub.plugins.asked == [
        (PluginAct.RELOAD, "demo", ""),
        (PluginAct.GRANT, "demo", "files:/a b/:ro"),
        (PluginAct.REVOKE, "demo", "topics:*"),
        (PluginAct.DELETE, "demo", ""),
    ]
    assert (gone.status_code, gone.content) == (204, b"")


async def test_a_configuration_is_written_and_read() -> None:
    config = {"header": "X-é", "list": [1, None, {"a": True}]}
    async with control_port() as control:
        url = "/api/plugins/demo/config"
        await control.client.put(url, json={"config": config})
        read = await control.client.get(url)
        large = {"config": {"a": "x" * MAX_CONFIG_BYTES}}
        refused = await control.client.put(url, json=large)
    assert read.json() == {"config": config}
    assert refused.status_code == 413


@pytest.mark.parametrize(
    "value", ['"\\ud800"', '{"\\udfff": 1}', "NaN", "[1e999]", "[" * 400 + "]" * 400]
)
async def test_a_configuration_that_cannot_be_kept_is_refused(value: str) -> None:
    hub = Hub()
    async with control_port(hub=hub) as control:
        refused = await control.client.put(
            "/api/plugins/demo/config",
            content=f'{{"config": {{"key": {value}}}}}',
            headers={"Content-Type": "application/json"},
        )
    assert refused.status_code == 422
    assert hub.plugins.asked == []


async def test_a_module_is_uploaded_and_its_file_goes(tmp_path: Path) -> None:
    hub = Hub()
    hub.uploads = tmp_path / "uploads"
    async with control_port(hub=hub) as control:
        made = await control.client.put("/api/plugins/new-one", content=MODULE)
        bad = await control.client.put("/api/plugins/bad", content=b"no module")
        empty = await control.client.put("/api/plugins/empty")
    assert made.status_code == 201
    assert made.json()["summary"]["state"] == "disabled"
    assert hub.plugins.uploaded["new-one"] == MODULE
    assert (bad.status_code, message_of(bad)) == (409, "bad: no module")
    assert empty.status_code == 422
    assert list(hub.uploads.iterdir()) == []


async def test_only_an_upload_may_be_large() -> None:
    hub = Hub()
    large = MODULE + bytes(MAX_BODY_BYTES)
    async with control_port(hub=hub) as control:
        made = await control.client.put("/api/plugins/large", content=large)
        url = "/api/plugins/large/config"
        refused = await control.client.put(url, content=large)
        huge = bytes(MAX_UPLOAD_BYTES + 1)
        over = await control.client.put("/api/plugins/huge", content=huge)
    assert made.status_code == 201
    assert hub.plugins.uploaded["large"] == large
    assert [refused.status_code, over.status_code] == [413, 413]


@pytest.mark.parametrize("name", ["..", "a%2Fb", "%2e%2e", "-a", "a" * 65, "a%00"])
async def test_a_name_is_checked_where_it_enters(name: str) -> None:
    hub = Hub()
    async with control_port(hub=hub) as control:
        answer = await control.raw(
            f"PUT /api/plugins/{name} HTTP/1.1\r\nHost: {control.netloc}\r\n"
            f"Authorization: {control.client.headers['authorization']}\r\n"
            f"Content-Length: 8\r\nConnection: close\r\n\r\n".encode()
            + MODULE
        )
    assert answer.split(b" ", 2)[1] in {b"404", b"405", b"422"}
    assert hub.plugins.asked == []


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (PluginFailure.NOT_FOUND, 404),
        (PluginFailure.REFUSED, 409),
        (PluginFailure.UNAVAILABLE, 503),
    ],
)
async def test_what_the_proxy_does_not_do_is_told(
    failure: PluginFailure, status: int
) -> None:
    hub = Hub()
    hub.plugins.broken = PluginRefused(failure, "because")
    async with control_port(hub=hub) as control:
        response = await control.client.post("/api/plugins/demo/reload")
    assert (response.status_code, message_of(response)) == (status, "because")


async def test_a_plugin_is_tried_on_a_flow() -> None:
    async with control_port() as control:
        url = "/api/plugins/demo/trial"
        tried = await control.client.post(url, json={"flow": 7})
        no_flow = await control.client.post(url, json={"flow": 2_000})
        no_plugin = await control.client.post(
            "/api/plugins/none/trial", json={"flow": 7}
        )
    assert tried.json() == {"report": "plugins/demo.wasm on 7"}
    assert [no_flow.status_code, no_plugin.status_code] == [404, 404]


@pytest.mark.parametrize("flow", ["true", '"1"', "1.5", "null", "[1]"])
async def test_a_flow_to_try_on_is_a_number(flow: str) -> None:
    json_type = {"Content-Type": "application/json"}
    async with control_port() as control:
        url = "/api/plugins/demo/trial"
        refused = await control.client.post(
            url, content=f'{{"flow": {flow}}}', headers=json_type
        )
        tried = await control.client.post(
            url, content='{"flow": 7.0}', headers=json_type
        )
    assert [refused.status_code, tried.status_code] == [422, 200]


async def test_what_is_sent_as_something_else_is_asked_for_as_json() -> None:
    async with control_port() as control:
        url = "/api/plugins/demo/enabled"
        # What curl -d sends.
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        refused = await control.client.put(
            url, content='{"is_enabled": true}', headers=form
        )
        a_list = await control.client.put(url, json=[])
        too_deep = await control.client.put(
            url,
            content="[" * 60_000,
            headers={"Content-Type": "application/json"},
        )
    assert refused.status_code == 422
    assert "as Content-Type: application/json" in message_of(refused)
    assert message_of(a_list) == message_of(refused)
    assert too_deep.status_code == 400
    assert "nests too deep" in message_of(too_deep)


def test_an_upload_is_this_users_alone(tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    with kept_upload(folder, MODULE) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not path.exists()


def test_an_upload_that_cannot_be_kept_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "uploads"
    blocked.write_text("in the way")
    with (
        pytest.raises(ApiError, match="the upload cannot be kept: "),
        kept_upload(blocked, MODULE),
    ):
        pass
    monkeypatch.setattr(uploads.secrets, "token_hex", lambda _size: "same")
    with kept_upload(tmp_path / "other", MODULE) as path:
        with (
            pytest.raises(ApiError, match="File exists"),
            kept_upload(tmp_path / "other", MODULE),
        ):
            pass
        assert path.exists()


@pytest.mark.skipif(not FULL.exists(), reason="a disk that is full, by its name")
def test_an_upload_that_finds_no_room_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = os.open(FULL, os.O_WRONLY)
    monkeypatch.setattr(os, "open", lambda *_given: full)
    with (
        pytest.raises(ApiError, match="cannot be kept: No space left") as caught,
        kept_upload(tmp_path, MODULE),
    ):
        pass
    assert caught.value.status_code == 503


async def test_a_trial_that_has_no_place_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(ApiError, match="cannot be run: No such file") as caught:
        await Trials(tmp_path).run(tmp_path / "one.wasm", 1)
    assert caught.value.status_code == 503
