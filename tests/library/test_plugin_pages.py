"""The modules of docs/plugins/*.md, each taken out of its page, on real sockets.

The one for messages is run by test_websocket_plugins.
"""

import logging
import re
from pathlib import Path

import pytest

from int3rceptor import Config, Flow, Proxy
from tests.support.h1_peer import response
from tests.support.origins import AnsweringOrigin, fixed
from tests.support.ways import WAYS, httpx_through

PAGES = Path(__file__).parents[2] / "docs" / "plugins"
PLAIN = WAYS[0]
EXAMPLES = {
    ("bodies.md", "on_response_chunk"),
    ("bodies.md", "on_sse_event"),
    ("bodies.md", "on_websocket_message"),
    ("languages.md", "on_request"),
}
DROPPED = b"event: debug\ndata: b\n\n"
OTHERS = b"event: debuh\ndata: c\n\n: hi\n\nevent: debugs\ndata: d\n\ndata: e\n\n"


def blocks(page: str) -> dict[str, str]:
    """The modules of a page, by what they export."""
    text = (PAGES / page).read_text()
    found = re.findall(r"^```wat\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return {re.findall(r'\(export "(on_\w+)"\)', one)[0]: one for one in found}


def test_no_example_is_left_out() -> None:
    pages = [page.name for page in PAGES.glob("*.md")]
    assert {(page, hook) for page in pages for hook in blocks(page)} == EXAMPLES


async def passed(
    config: Config, folder: Path, example: tuple[str, str], body: bytes, kind: str
) -> tuple[bytes, Flow]:
    """What a client gets of such a response with the example in the proxy."""
    page, hook = example
    file = folder / "example.wat"
    file.write_text(blocks(page)[hook])
    plugged = Config.of(config.as_table() | {"plugin": (file,)})
    answer = fixed(response(body, headers={"Content-Type": kind}))
    flows: list[Flow] = []
    async with AnsweringOrigin(answer) as origin, Proxy(plugged) as proxy:
        proxy.on_capture(flows.append)
        async with httpx_through(proxy.url, proxy.ca_path, PLAIN) as client:
            got = await client.get(f"{origin.url}/")
    return got.content, flows[0]


async def test_chunks_become_upper_case(config: Config, tmp_path: Path) -> None:
    body = b"`az{ caf\xc3\xa9 " * 5000  # more than one chunk
    example = ("bodies.md", "on_response_chunk")
    got, flow = await passed(config, tmp_path, example, body, "text/plain")
    assert got == body.replace(b"az", b"AZ").replace(b"caf", b"CAF")
    assert not [one for one in flow.changes if "failed" in one.what]


async def test_events_for_debugging_are_dropped(config: Config, tmp_path: Path) -> None:
    body, example = DROPPED + OTHERS + DROPPED, ("bodies.md", "on_sse_event")
    got, flow = await passed(config, tmp_path, example, body, "text/event-stream")
    assert got == OTHERS
    told = [one.what for one in flow.changes if one.point == "on_sse_event"]
    assert told == ["events dropped, from event 1 on"]


async def test_a_request_is_logged(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "int3rceptor"):
        example = ("languages.md", "on_request")
        got, _ = await passed(config, tmp_path, example, b"hello", "text/plain")
    assert got == b"hello"
    assert any("a request" in one for one in caplog.messages)
