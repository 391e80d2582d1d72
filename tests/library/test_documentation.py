"""docs/library.md: its first block is a program, the others run in a running proxy."""

import ast
import inspect
import logging
import re
from pathlib import Path
from types import CodeType

import pytest

import int3rceptor
from int3rceptor import Config, Event, Flow, Proxy
from int3rceptor.model.server_events import MAX_EVENT_BYTES
from tests.support.examples import running_example
from tests.support.h1_peer import response
from tests.support.origin_tls import OriginTls
from tests.support.origins import AnsweringOrigin, fixed
from tests.support.ways import WAYS, an_origin, httpx_through
from tests.support.websockets_ends import client_of, echo_origin

PLAIN, TLS_H1, TLS_H2 = WAYS
PAGE = Path(__file__).resolve().parents[2] / "docs" / "library.md"
BLOCKS: list[str] = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
PROGRAM, *PIECES = BLOCKS
MAX_PROGRAM_LINES = 20


def compiled(piece: str) -> CodeType:
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile(piece, str(PAGE), "exec", flags=flags, dont_inherit=True)
    assert isinstance(code, CodeType)
    return code


async def test_the_program(tmp_path: Path, origin_tls: OriginTls) -> None:
    program = tmp_path / "program.py"
    # A reader's Ctrl-C ends in a traceback there; here it must end well.
    program.write_text(
        PROGRAM.replace(
            "asyncio.run(main())",
            "try:\n    asyncio.run(main())\nexcept KeyboardInterrupt:\n    pass",
        )
    )
    async with (
        an_origin(TLS_H2, origin_tls) as origin,
        running_example(program, tmp_path, origin_tls.ca) as example,
        httpx_through(example.url, example.ca, TLS_H2) as client,
    ):
        assert (await client.get(f"{origin.url}/")).text == "hello"

    assert origin.received[0].headers["x-seen"] == "yes"
    assert len(PROGRAM.strip().splitlines()) <= MAX_PROGRAM_LINES


@pytest.mark.parametrize("piece", PIECES, ids=range(1, len(PIECES) + 1))
async def test_a_piece(
    config: Config, origin_tls: OriginTls, piece: str, caplog: pytest.LogCaptureFixture
) -> None:
    names = {name: getattr(int3rceptor, name) for name in int3rceptor.__all__}
    async with (
        an_origin(TLS_H1, origin_tls, b"a secret") as origin,
        Proxy(config) as proxy,
        httpx_through(proxy.url, proxy.ca_path, TLS_H1) as client,
    ):
        code = compiled(piece)
        run = eval(code, {**names, "proxy": proxy})  # noqa: S307  # our own page
        if inspect.iscoroutine(run):
            await run
        with caplog.at_level(logging.INFO, "int3rceptor"):
            got = await client.post(f"{origin.url}/", content=b"abc")

    assert got.status_code == 200
    expected = {"censor": "a ******", "sink": "3 bytes\n", "shout": "A SECRET"}
    wanted = [text for name, text in expected.items() if f"def {name}(" in piece]
    assert got.text == (wanted[0] if wanted else "a secret")
    ours = [one for one in caplog.records if one.name.startswith("int3rceptor")]
    assert [one.getMessage() for one in ours] == []


def test_there_are_pieces() -> None:
    assert len(PIECES) > 5
    assert any("transform(" in piece for piece in PIECES)


async def test_the_piece_about_messages(config: Config) -> None:
    (piece,) = (one for one in PIECES if "websocket.transform(" in one)
    names = {name: getattr(int3rceptor, name) for name in int3rceptor.__all__}
    async with echo_origin() as origin, Proxy(config) as proxy:
        eval(compiled(piece), {**names, "proxy": proxy})  # noqa: S307  # as above
        async with client_of(origin.url, proxy.url, proxy.ca_path) as client:
            for one in ("damn it", b"noise", b"data"):
                await client.send(one)
            assert [await client.recv(), await client.recv()] == ["**** it", b"data"]
    assert origin.received == ["**** it", b"data"]


EVENTS = b"data: a secret\n\nevent: debug\ndata: b\n\n: hi\n\ndata:c\n\n"


async def test_the_piece_about_events(config: Config) -> None:
    (piece,) = (one for one in PIECES if "transform_events(" in one)
    names = {name: getattr(int3rceptor, name) for name in int3rceptor.__all__}
    head = {"Content-Type": "text/event-stream"}
    answer = fixed(response(EVENTS, headers=head))
    async with AnsweringOrigin(answer) as origin, Proxy(config) as proxy:
        eval(compiled(piece), {**names, "proxy": proxy})  # noqa: S307  # as above
        async with httpx_through(proxy.url, proxy.ca_path, PLAIN) as client:
            got = await client.get(f"{origin.url}/")
    assert got.content == b"data: a ******\n\n: hi\n\ndata:c\n\n"


async def test_a_large_event_is_told_of_in_the_flow(config: Config) -> None:
    large = b"data: a" + b"b" * MAX_EVENT_BYTES + b"\n\n"
    answer = fixed(
        response(large + EVENTS + large, headers={"Content-Type": "text/event-stream"})
    )
    flows: list[Flow] = []

    def see(event: Event) -> None:
        event.text = event.text.upper()

    def watch(flow: Flow) -> None:
        assert flow.response is not None
        flow.response.transform_events(see)

    async with AnsweringOrigin(answer) as origin, Proxy(config) as proxy:
        proxy.on_response(watch)
        proxy.on_capture(flows.append)
        async with httpx_through(proxy.url, proxy.ca_path, PLAIN) as client:
            got = await client.get(f"{origin.url}/")
    assert got.content.startswith(large + b"data: A SECRET\n\n")
    assert got.content.endswith(large)
    told = [one for one in flows[0].changes if one.point == "on_sse_event"]
    what = f"not seen: an event of more than {MAX_EVENT_BYTES} bytes"
    assert told == [("on_sse_event", "see", what)]
