"""WebSocket load and origin, straight at each other and against what misbehaves."""

import asyncio
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect

from benchmarks.clients import Client
from benchmarks.load_ws import MESSAGE_BYTES, text
from benchmarks.measure import BenchmarkError, spawn, stop
from benchmarks.origin import HOST, Origin
from benchmarks.tunnel import Route
from benchmarks.ws_frames import MAX_PAYLOAD_BYTES, Messages, accept_of, frame

if not sys.platform.startswith("linux"):
    pytest.skip("the benchmarks pin cores", allow_module_level=True)

CORE = min(os.sched_getaffinity(0))
KEYS = st.binary(min_size=4, max_size=4)


def test_the_answer_to_a_key_is_the_one_of_the_rfc() -> None:
    # RFC 6455, section 1.3
    assert accept_of("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_frames_are_those_of_the_rfc() -> None:
    # RFC 6455, section 5.7: "Hello", unmasked and masked
    assert frame(b"Hello") == bytes.fromhex("810548656c6c6f")
    key = bytes.fromhex("37fa213d")
    assert frame(b"Hello", key) == bytes.fromhex("818537fa213d7f9f4d5158")


@given(
    st.lists(st.binary(max_size=300), max_size=8),
    KEYS | st.just(b""),
    st.integers(1, 64),
)
def test_messages_arrive_whole_however_they_are_cut(
    sent: list[bytes], key: bytes, step: int
) -> None:
    stream = b"".join(frame(message, key) for message in sent)
    reading = Messages(are_masked=bool(key))
    found: list[bytes] = []
    for begin in range(0, len(stream), step):
        found += reading.feed(stream[begin : begin + step])
    assert found == sent


@pytest.mark.parametrize(
    "sent",
    [
        "820548656c6c6f",  # binary
        "010348656c",  # the first of several frames
        "8900",  # a ping
        "8800",  # a close
        "c10548656c6c6f",  # by an extension
        "817f0000000000010000",  # longer than anything that is sent here
        "818537fa213d7f9f4d5158",  # masked, from a server
    ],
)
def test_what_is_no_echo_is_refused(sent: str) -> None:
    with pytest.raises(BenchmarkError, match="not a whole text message"):
        list(Messages(are_masked=False).feed(bytes.fromhex(sent)))


def test_a_message_that_has_no_short_length_is_refused() -> None:
    frame(bytes(MAX_PAYLOAD_BYTES))
    with pytest.raises(BenchmarkError, match="at most 65535"):
        frame(bytes(MAX_PAYLOAD_BYTES + 1))


def test_messages_differ_and_have_one_size() -> None:
    messages = {text(number) for number in range(1000)}
    assert len(messages) == 1000
    assert {len(message) for message in messages} == {MESSAGE_BYTES}


def client_of(folder: Path) -> Client:
    """A client without a proxy; where to, its `echo` knows."""
    authority = trustme.CA(organization_name="Origin CA")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    leaf = authority.issue_cert(HOST).private_key_and_cert_chain_pem
    leaf.write_to_path(folder / "origin.pem")
    (folder / "small").touch()
    origin = Origin(
        pid=os.getpid(),
        plain_port=1,
        h1_port=1,
        h2_port=1,
        ca_pem=folder / "ca.pem",
        small=folder / "small",
        bulk=folder / "bulk",
        bulk_bytes=0,
        bulk_crc=0,
        upload=folder / "upload",
    )
    route = Route(via=("127.0.0.1", 1), is_proxy=False, host=HOST, port=1)
    return Client(
        route=route,
        ca_pem=origin.ca_pem,
        origin=origin,
        core=CORE,
        folder=folder,
    )


def test_every_message_is_echoed_over_the_connections_kept(tmp_path: Path) -> None:
    with client_of(tmp_path).echo() as (client, pid), client.ws_load(3, 4) as load:
        assert pid > 0
        first, second = load.run(500), load.run(2)
    assert (first.requests, first.errors) == (500, 0)
    assert (second.requests, second.errors) == (2, 0)
    assert first.p50_ms is not None
    assert first.p99_ms is not None
    assert 0 < first.p50_ms <= first.p99_ms


def test_the_origin_is_a_websocket_to_others_too(tmp_path: Path) -> None:
    async def talk(port: int) -> list[str | bytes]:
        context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        async with connect(
            f"wss://{HOST}:{port}/echo", ssl=context, compression=None, proxy=None
        ) as socket:
            await socket.send("one")
            await socket.send("two" * 100)
            heard = [await socket.recv(), await socket.recv()]
            socket.transport.abort()  # it answers no close: it would be an error
            return heard

    with client_of(tmp_path).echo() as (client, _):
        assert asyncio.run(talk(client.route.port)) == ["one", "two" * 100]


BROKEN_ORIGIN = """
import sys
from benchmarks import ws_origin
sent = 0
def broken(payload, key=b""):
    global sent
    sent += 1
    return {change} if sent == 5 else real(payload, key)
real, ws_origin.frame = ws_origin.frame, broken
sys.argv = ["ws_origin", "--leaf", {leaf!r}]
ws_origin.main()
"""


@contextmanager
def broken_echo(folder: Path, change: str) -> Iterator[Client]:
    client = client_of(folder)
    script = BROKEN_ORIGIN.format(change=change, leaf=str(client.origin.leaf_pem))
    command = [sys.executable, "-c", script]
    process = spawn(command, CORE, output=subprocess.DEVNULL, talk=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        route = Route(via=("127.0.0.1", port), is_proxy=False, host=HOST, port=port)
        yield Client(
            route=route,
            ca_pem=client.ca_pem,
            origin=client.origin,
            core=CORE,
            folder=folder,
        )
    finally:
        stop(process)


@pytest.mark.parametrize(
    ("change", "good", "reason"),
    [
        ("real(payload[::-1])", 4, "not the echo of"),
        # Which of the two depends on whether the next one was sent by then.
        ("real(payload) * 2", 5, "not the echo of|that nobody sent"),
        ("b''", 4, "not the echo of"),
        ("real(payload, b'abcd')", 4, "not a whole text message"),
        ("bytes((0x88, 0))", 4, "not a whole text message"),
    ],
    ids=["other", "twice", "lost", "masked", "close"],
)
def test_what_is_not_the_echo_is_an_error(
    tmp_path: Path, change: str, good: int, reason: str
) -> None:
    with broken_echo(tmp_path, change) as client, client.ws_load(1, 2) as load:
        result = load.run(20)
        again = load.run(3)
    assert (result.requests, result.errors) == (good, 20 - good)
    assert re.search(reason, result.error_texts[0])
    assert (again.requests, again.errors) == (0, 3)
