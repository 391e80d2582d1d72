"""Plugins on live traffic, judged by what the origin and the client received."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import StartProxy
from tests.support.clients import Proxy, h2_client, raw, secure
from tests.support.guests import guest_file
from tests.support.h2_origin import H2Origin, answer
from tests.support.nginx import SMALL, Nginx
from tests.support.origin_tls import OriginTls
from tests.support.origins import AnsweringOrigin, echo
from tests.support.patience import PATIENT_S
from tests.support.process import ProxyProcess, run_once

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "guest-plugins"
LOGGER = EXAMPLES / "example-logger/example_logger.wasm"
STAMP = EXAMPLES / "header-stamp/header_stamp.wasm"
BLOCK = EXAMPLES / "block-list/block_list.wasm"

BLOCK_CONFIG = """
[plugins.block-list]
name = "block-list"
on_error = "block"
[plugins.block-list.limits]
fuel = 20000000
[plugins.block-list.config]
hosts = ["127.0.0.*", "*.blocked.example"]
"""


async def h1_get(proxy: Proxy, netloc: str, path: str) -> tuple[int, bytes, bytes]:
    """Status, the stamp that the client received, body."""
    host = netloc.partition(":")[0]
    async with secure(proxy, netloc, server_name=host) as client:
        await client.send(f"GET {path} HTTP/1.1\r\nHost: {netloc}\r\n\r\n".encode())
        received = await client.read_response()
        return received.status, received.value("x-int3rceptor") or b"", received.body


async def h2_get(proxy: Proxy, netloc: str, path: str) -> tuple[int, bytes, bytes]:
    host = netloc.partition(":")[0]
    async with h2_client(proxy, netloc, server_name=host) as client:
        stream = await client.request("GET", netloc, path)
        return stream.status, stream.value("x-int3rceptor") or b"", bytes(stream.body)


Get = Callable[[Proxy, str, str], Awaitable[tuple[int, bytes, bytes]]]
GETS = pytest.mark.parametrize("get", [h1_get, h2_get], ids=["h1", "h2"])


@GETS
async def test_example_logger_fires_at_every_point(
    start_proxy: StartProxy, nginx: Nginx, get: Get
) -> None:
    proxy = start_proxy("--plugin", LOGGER)

    status, _, body = await get(proxy, nginx.h2, "/small.txt?logged")

    assert (status, body) == (200, SMALL)
    proxy.wait_for_line(r"^plugin example-logger: \S+ example-logger ready$")
    for point in ("on_connect", "on_request", "on_response", "on_capture"):
        proxy.wait_for_line(rf"^plugin example-logger: \S+ {point}$")
    lines = [line for line in proxy.stderr if line.startswith("plugin example-logger")]
    assert [line.lower() for line in lines if "info" in line.lower()] == [
        line.lower() for line in lines
    ]


async def test_example_logger_fires_on_plain_http(start_proxy: StartProxy) -> None:
    proxy = start_proxy("--plugin", LOGGER)

    async with AnsweringOrigin(echo) as origin, raw(proxy) as client:
        await client.send(
            f"GET {origin.url}/ HTTP/1.1\r\nHost: {origin.netloc}\r\n\r\n".encode()
        )
        assert (await client.read_response()).status == 200

    for point in ("on_connect", "on_request", "on_response", "on_capture"):
        proxy.wait_for_line(rf"^plugin example-logger: \S+ {point}$")


async def test_header_stamp_is_received_by_origin_and_client(
    start_proxy: StartProxy, origin_tls: OriginTls
) -> None:
    proxy = start_proxy("--plugin", STAMP)

    async with AnsweringOrigin(echo, tls=origin_tls.server()) as h1_origin:
        status, stamp, _ = await h1_get(proxy, h1_origin.netloc, "/stamped")
        (request,) = h1_origin.requests
    assert (status, stamp) == (200, b"header-stamp")
    assert request.values("x-int3rceptor") == [b"header-stamp"]

    async with H2Origin(answer, tls=origin_tls.server(["h2"])) as h2_origin:
        status, stamp, _ = await h2_get(proxy, h2_origin.netloc, "/stamped")
        (stream,) = h2_origin.streams
    assert (status, stamp) == (200, b"header-stamp")
    assert stream.values("x-int3rceptor") == [b"header-stamp"]


async def test_header_stamp_replaces_what_the_client_claimed(
    start_proxy: StartProxy, origin_tls: OriginTls
) -> None:
    proxy = start_proxy("--plugin", STAMP)

    async with (
        AnsweringOrigin(echo, tls=origin_tls.server()) as origin,
        secure(proxy, origin.netloc) as client,
    ):
        await client.send(
            f"GET / HTTP/1.1\r\nHost: {origin.netloc}\r\nX-Before: 1\r\n"
            "X-INT3RCEPTOR: forged\r\nX-After: 2\r\n\r\n".encode()
        )
        await client.read_response()

        (request,) = origin.requests
    assert request.values("x-int3rceptor") == [b"header-stamp"]
    # What the plugin did not touch is as the client sent it.
    assert (b"X-Before", b"1") in request.headers
    assert (b"X-After", b"2") in request.headers


async def test_plugin_configuration_is_read(
    start_proxy: StartProxy, origin_tls: OriginTls
) -> None:
    proxy = start_proxy(
        "--plugin",
        STAMP,
        config='[plugins.header-stamp]\nname = "header-stamp"\n'
        '[plugins.header-stamp.config]\nheader = "x-team"\nvalue = "blue"\n',
    )

    async with AnsweringOrigin(echo, tls=origin_tls.server()) as origin:
        await h1_get(proxy, origin.netloc, "/")

        (request,) = origin.requests
    assert request.values("x-team") == [b"blue"]


@GETS
async def test_block_list_answers_403_and_the_origin_hears_nothing(
    start_proxy: StartProxy, nginx: Nginx, get: Get
) -> None:
    proxy = start_proxy("--plugin", BLOCK, config=BLOCK_CONFIG)
    mark = "h2" if get is h2_get else "h1"
    blocked = f"127.0.0.1:{nginx.ports['h2']}"

    status, _, body = await get(proxy, blocked, f"/small.txt?blocked-{mark}")
    allowed, _, text = await get(proxy, nginx.h2, f"/small.txt?allowed-{mark}")

    assert (status, b"block list" in body) == (403, True)
    assert (allowed, text) == (200, SMALL)
    nginx.received(f"/small.txt?allowed-{mark}")
    assert not [one for one in nginx.requests() if f"blocked-{mark}" in str(one["uri"])]


async def test_block_list_judges_every_name_a_request_goes_by(
    start_proxy: StartProxy, nginx: Nginx
) -> None:
    proxy = start_proxy("--plugin", BLOCK, config=BLOCK_CONFIG)

    # The tunnel and the certificate say localhost, Host says otherwise.
    async with secure(proxy, nginx.h1) as client:
        await client.send(
            b"GET /small.txt?fronted HTTP/1.1\r\nHost: www.blocked.example\r\n\r\n"
        )
        received = await client.read_response()

    assert received.status in (403, 421)
    assert not [one for one in nginx.requests() if "fronted" in str(one["uri"])]


async def test_plugins_run_in_order_of_priority(
    start_proxy: StartProxy, nginx: Nginx
) -> None:
    proxy = start_proxy("--plugin", STAMP, "--plugin", BLOCK, config=BLOCK_CONFIG)
    netloc = f"127.0.0.1:{nginx.ports['h2']}"

    status, stamp, _ = await h1_get(proxy, netloc, "/small.txt")

    # The block list's own answer passes on_response like any other.
    assert (status, stamp) == (403, b"header-stamp")


HARMLESS = [
    "unreachable",
    "endless_loop",
    "endless_recursion",
    "division_by_zero",
    "memory_access_outside",
    "memory_grow",
    "table_grow",
    "null_call",
    "log_flood",
    "giant_log",
    "bulk_fill",
    "returns_error",
    "returns_respond",
    "half_change",
    "abort",
    "slow",
]


@pytest.mark.parametrize("guest", HARMLESS)
async def test_hostile_plugin_hurts_nothing_but_itself(
    start_proxy: StartProxy, nginx: Nginx, guest: str
) -> None:
    proxy = start_proxy("--plugin", guest_file(guest))

    async with h2_client(proxy, nginx.h2) as client, asyncio.timeout(PATIENT_S):
        paths = [f"/small.txt?{guest}-{number}" for number in range(20)]
        streams = await asyncio.gather(
            *(client.request("GET", nginx.h2, path) for path in paths)
        )
    status, _, body = await h1_get(proxy, nginx.h1, f"/small.txt?{guest}-after")

    assert {(stream.status, bytes(stream.body)) for stream in streams} == {(200, SMALL)}
    assert (status, body) == (200, SMALL)
    for path in paths:
        assert len(nginx.received(path)) == 1


async def test_change_of_a_plugin_that_then_traps_is_not_kept(
    start_proxy: StartProxy, origin_tls: OriginTls
) -> None:
    proxy = start_proxy("--plugin", guest_file("half_change"))

    async with AnsweringOrigin(echo, tls=origin_tls.server()) as origin:
        status, _, _ = await h1_get(proxy, origin.netloc, "/")

        (request,) = origin.requests
    assert status == 200
    assert not [
        name for name, _ in request.headers if name.lower().startswith(b"x-half")
    ]


async def test_failing_guard_blocks(start_proxy: StartProxy, nginx: Nginx) -> None:
    proxy = start_proxy(
        "--plugin",
        guest_file("unreachable"),
        config='[plugins.unreachable]\nname = "unreachable"\non_error = "block"\n',
    )

    status, _, body = await h1_get(proxy, nginx.h1, "/small.txt?guarded")

    assert status == 502
    assert b"unreachable" in body
    assert not [one for one in nginx.requests() if "guarded" in str(one["uri"])]


async def test_quarantine_is_visible(start_proxy: StartProxy, nginx: Nginx) -> None:
    proxy = start_proxy("--plugin", guest_file("unreachable"))

    async with h2_client(proxy, nginx.h2) as client:
        for _ in range(30):
            await client.request("GET", nginx.h2, "/small.txt")

    proxy.wait_for_line("plugin unreachable is in quarantine")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "module"),
        (b"\0asm\1\0\0\0garbage", ""),
        (b"not a module at all", ""),
        ((guest_file("huge_memory")).read_bytes(), "memory"),
        ((guest_file("init_fails")).read_bytes(), "plugin_init"),
        ((guest_file("init_loops")).read_bytes(), "plugin_init"),
        ((guest_file("start_loops")).read_bytes(), "start"),
        (b'(module (import "env" "no_such" (func)))', "no_such"),
    ],
    ids=[
        "empty", "garbage", "text", "huge-memory", "init-fails", "init-loops",
        "start-loops", "unknown-import",
    ],
)  # fmt: skip
def test_module_that_cannot_be_loaded_refuses_the_start(
    tmp_path: Path, content: bytes, word: str
) -> None:
    is_text = content.startswith((b"(", b";"))
    module = tmp_path / f"broken.{'wat' if is_text else 'wasm'}"
    module.write_bytes(content)

    ended = run_once(
        tmp_path,
        [
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            tmp_path / "data",
            "--plugin",
            module,
        ],
    )

    assert ended.returncode == 2, ended.stderr
    assert "broken" in ended.stderr
    assert word in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_broken_module_in_the_folder_stops_nobody(
    tmp_path: Path, origin_tls: OriginTls, nginx: Nginx
) -> None:
    proxy = ProxyProcess(tmp_path / "proxy", "--upstream-ca", origin_tls.ca)
    folder = proxy.data_dir / "plugins"
    folder.mkdir(parents=True)
    (folder / "broken.wasm").write_bytes(b"no module")
    (folder / "example_logger.wasm").write_bytes(LOGGER.read_bytes())

    with proxy:
        status, _, _ = await h1_get(proxy, nginx.h1, "/small.txt")
        proxy.wait_for_line("broken")
        proxy.wait_for_line(r"^plugin example.logger: \S+ on_request$")

    assert status == 200


async def test_module_in_the_folder_may_look_but_not_touch(
    tmp_path: Path, origin_tls: OriginTls
) -> None:
    proxy = ProxyProcess(tmp_path / "proxy", "--upstream-ca", origin_tls.ca)
    folder = proxy.data_dir / "plugins"
    folder.mkdir(parents=True)
    (folder / "header_stamp.wasm").write_bytes(STAMP.read_bytes())

    with proxy:
        async with AnsweringOrigin(echo, tls=origin_tls.server()) as origin:
            status, stamp, _ = await h1_get(proxy, origin.netloc, "/")
            (request,) = origin.requests

    assert (status, stamp) == (200, b"")
    assert request.value("x-int3rceptor") is None
