"""HTTP/1.1 as people and attackers send it, over real sockets."""

import asyncio
import contextlib
import json
import logging
import socket
import time
from collections.abc import AsyncIterator

import pytest

from int3rceptor.control import connections, reading, server
from int3rceptor.store.records import FlowRecord
from tests.support import control as control_ports
from tests.support.control import (
    TOKEN,
    Control,
    FlowsInMemory,
    api_client,
    connection,
    control_port,
    listening,
    records,
)
from tests.support.patience import PATIENT_S

AUTH = f"Authorization: Bearer {TOKEN}\r\n".encode()
HOST = b"Host: localhost\r\n"


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def code_of(answer: bytes) -> str:
    """The error's code; the answer must be in the shape of all errors."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head.lower(), answer
    assert b"x-content-type-options: nosniff" in head.lower(), answer
    error = json.loads(body)["error"]
    assert error["message"]
    return str(error["code"])


def request(
    line: bytes, *fields: bytes, body: bytes = b"", close: bool = True
) -> bytes:
    head = [line, HOST + AUTH.removesuffix(b"\r\n"), *fields]
    if close:
        head.append(b"Connection: close")
    return b"\r\n".join(head) + b"\r\n\r\n" + body


UNSENT_BYTES = 1024 * 1024
"""More than systems take of what a client does not read, given little room."""


def listening_with_little_room() -> socket.socket:
    """For connections that the system keeps no more than a few KiB of."""
    sock = listening()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return sock


GARBAGE = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x00" * 200 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nBad\x00Name: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
    b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
    b"get nowhere\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1, 2\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
)
REFUSALS = ("bad_request", "not_a_proxy", "version_not_supported", "wrong_host")


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
async def test_garbage_is_refused_in_our_shape(garbage: bytes) -> None:
    async with control_port() as control:
        answer = await control.raw(garbage)

    assert status_of(answer) in (400, 421, 505)
    assert code_of(answer) in REFUSALS


async def test_two_ways_to_say_how_long_a_body_is() -> None:
    async with control_port() as control:
        answer = await control.raw(
            request(
                b"PUT /api/flows/1/mark HTTP/1.1",
                b"Content-Length: 5",
                b"Transfer-Encoding: chunked",
                body=b"0\r\n\r\n",
            )
        )

    assert (status_of(answer), code_of(answer)) == (400, "bad_request")


async def test_a_broken_chunk_is_refused() -> None:
    async with control_port() as control:
        answer = await control.raw(
            request(
                b"PUT /api/flows/1/mark HTTP/1.1",
                b"Transfer-Encoding: chunked",
                body=b"zz\r\n",
            )
        )

    assert (status_of(answer), code_of(answer)) == (400, "bad_request")


@pytest.mark.parametrize(
    "line",
    [
        b"GET http://example.com/ HTTP/1.1",
        b"CONNECT example.com:443 HTTP/1.1",
    ],
)
async def test_who_takes_it_for_the_proxy_is_told(line: bytes) -> None:
    async with control_port() as control:
        answer = await control.raw(request(line))

    assert (status_of(answer), code_of(answer)) == (400, "not_a_proxy")


async def test_a_head_that_is_too_large() -> None:
    async with control_port() as control:
        answer = await control.raw(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "
            + b"a" * (connections.MAX_HEAD_BYTES * 4)
        )

    assert (status_of(answer), code_of(answer)) == (431, "head_too_large")


async def test_requests_in_a_row_are_answered_in_order() -> None:
    lines = (b"/api/version", b"/api/nope", b"/api/flows")
    sent = b"".join(
        request(b"GET %s HTTP/1.1" % path, close=path == lines[-1]) for path in lines
    )
    async with control_port() as control:
        answer = await control.raw(sent)

    found = answer.split(b"HTTP/1.1 ")[1:]
    assert [one[:3] for one in found] == [b"200", b"404", b"200"]
    assert b'"api"' in found[0]
    assert b'"flows"' in found[2]


async def test_http_1_0_is_answered_and_closed() -> None:
    async with control_port() as control:
        answer = await control.raw(
            b"GET /api/health HTTP/1.0\r\nHost: localhost\r\n\r\n"
        )

    assert status_of(answer) == 200


# --- methods --------------------------------------------------------------------------


async def test_head_is_get_without_the_content() -> None:
    async with control_port(FlowsInMemory(records(1))) as control:
        for path in ("/", "/api/health", "/api/flows", "/api/flows/1", "/metrics"):
            get = await control.client.get(path)
            head = await control.client.head(path)
            assert head.status_code == get.status_code == 200
            assert head.content == b""
            if path != "/metrics":  # which counts its own scrapes
                assert head.headers["content-length"] == get.headers["content-length"]
        body = "/api/flows/1/response/body"
        head = await control.client.head(body, headers={"Range": "bytes=0-1"})

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == "10"


async def test_options_says_what_a_path_takes() -> None:
    takes = {
        "/api/flows": "DELETE, GET, HEAD, OPTIONS",
        "/api/flows/1": "DELETE, GET, HEAD, OPTIONS",
        "/api/flows/1/mark": "OPTIONS, PUT",
        "/api/health": "GET, HEAD, OPTIONS",
    }
    async with control_port() as control:
        for path, allow in takes.items():
            answer = await control.client.options(path)
            assert (answer.status_code, answer.headers["allow"]) == (204, allow)
            refused = await control.client.request("PATCH", path)
            assert (refused.status_code, refused.headers["allow"]) == (405, allow)
            assert refused.json()["error"]["code"] == "method_not_allowed"
        star = await control.raw(request(b"OPTIONS * HTTP/1.1"))

    assert status_of(star) == 204
    assert b"DELETE, GET, HEAD, OPTIONS, POST, PUT" in star


@pytest.mark.parametrize("method", [b"TRACE", b"POST", b"FOO", b"get"])
async def test_other_methods_are_refused(method: bytes) -> None:
    async with control_port() as control:
        answer = await control.raw(request(method + b" /api/flows HTTP/1.1"))

    assert (status_of(answer), code_of(answer)) == (405, "method_not_allowed")


# --- bodies ---------------------------------------------------------------------------

MARK = "/api/flows/1/mark"
TOO_LARGE = b" " * (reading.MAX_BODY_BYTES + 1)


async def test_a_body_that_is_too_large_is_read_and_refused() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(80):
            yield b" " * 1024 * 64

    flows = FlowsInMemory(records(1))
    async with control_port(flows) as control:
        declared = await control.client.put(MARK, content=TOO_LARGE)
        chunked = await control.client.put(MARK, content=chunks())

    for answer in (declared, chunked):
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "body_too_large"
    assert flows.marked == set()


async def test_a_body_of_the_largest_size_is_taken() -> None:
    body = b'{"is_marked": true}'.ljust(reading.MAX_BODY_BYTES)
    async with control_port(FlowsInMemory(records(1))) as control:
        answer = await control.client.put(
            MARK, content=body, headers={"Content-Type": "application/json"}
        )

    assert answer.status_code == 200, answer.text


async def test_who_asks_first_need_not_send() -> None:
    async with control_port() as control:
        answer = await control.raw(
            request(
                f"PUT {MARK} HTTP/1.1".encode(),
                b"Content-Length: 999999999",
                b"Expect: 100-continue",
            )
        )

    assert (status_of(answer), code_of(answer)) == (413, "body_too_large")


async def test_an_endless_body_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_DISCARDED_BYTES", 256 * 1024)
    async with control_port() as control, connection(control.port) as (_, writer):
        writer.write(
            request(f"PUT {MARK} HTTP/1.1".encode(), b"Transfer-Encoding: chunked")
        )

        async def send_for_ever() -> None:
            while True:
                writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
                await writer.drain()

        with pytest.raises(ConnectionError):
            await send_for_ever()


async def test_a_body_that_does_not_come_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading, "BODY_S", 0.05)
    async with control_port() as control:
        answer = await control.raw(
            request(f"PUT {MARK} HTTP/1.1".encode(), b"Content-Length: 10", body=b"{")
        )

    assert (status_of(answer), code_of(answer)) == (408, "too_slow")


# --- deadlines and limits -------------------------------------------------------------


async def test_who_sends_a_head_slowly_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.2)
    async with (
        asyncio.timeout(PATIENT_S),
        control_port() as control,
        connection(control.port) as (reader, writer),
    ):

        async def drip() -> None:
            writer.write(b"GET / HTTP/1.1\r\n")
            while not reader.at_eof():
                writer.write(b"X: y\r\n")
                await asyncio.sleep(0.02)

        async with asyncio.TaskGroup() as group:
            dripping = group.create_task(drip())
            answer = await reader.read()
            dripping.cancel()

    assert (status_of(answer), code_of(answer)) == (408, "too_slow")


@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\nHost: localhost\r\n"])
async def test_who_says_nothing_more_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.05)
    async with control_port() as control, asyncio.timeout(PATIENT_S):
        answer = await control.raw(sent)

    assert status_of(answer) == 408


async def test_the_deadline_holds_for_the_second_head_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with (
        asyncio.timeout(PATIENT_S),
        control_port() as control,
        connection(control.port) as (reader, writer),
    ):
        writer.write(request(b"GET /api/health HTTP/1.1", close=False))
        first = await reader.readuntil(b"}")
        monkeypatch.setattr(connections, "HEAD_S", 0.05)
        writer.write(b"GET /api/hea")
        rest = await reader.read()

    assert status_of(first) == 200
    assert b"HTTP/1.1 408 " in rest


async def test_an_answer_may_take_longer_than_a_head(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.5)

    class Slow(FlowsInMemory):
        def row(self, flow_id: int) -> None:
            time.sleep(0.6)

    async with control_port(Slow()) as control:
        answer = await control.client.get("/api/flows/1")

    assert answer.status_code == 404


async def test_more_connections_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 2)
    async with (
        control_port() as control,
        connection(control.port) as first,
        connection(control.port) as second,
    ):
        for reader, writer in (first, second):  # both have been accepted
            writer.write(request(b"GET /api/health HTTP/1.1", close=False))
            await reader.readuntil(b"}")
        refused = await control.raw(b"")
        for reader, writer in (first, second):
            writer.write(request(b"GET /api/health HTTP/1.1"))
            assert status_of(await reader.read()) == 200

    assert (status_of(refused), code_of(refused)) == (503, "unavailable")


async def free_place(control: Control) -> None:
    """Until there is room for a connection again: nothing else tells that one ended
    whose client does not look."""
    async with asyncio.timeout(PATIENT_S):
        while status_of(await control.raw(request(b"GET / HTTP/1.1"))) == 503:
            pass


@pytest.mark.parametrize("close", [True, False])
async def test_who_does_not_read_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, *, close: bool
) -> None:
    monkeypatch.setattr(connections, "STALL_S", 0.1)
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 1)
    monkeypatch.setattr(server, "TICK_S", 0.02)
    monkeypatch.setattr(control_ports, "listening", listening_with_little_room)

    class Large(FlowsInMemory):
        def body(self, flow_id: int, side: str, start: int, stop: int) -> bytes:
            return b"x" * (stop - start)

        def kept_bytes(self, record: FlowRecord, side: str) -> int:
            return UNSENT_BYTES

    async with (
        control_port(Large(records(1))) as control,
        connection(control.port) as (reader, writer),
    ):
        line = b"GET /api/flows/1/response/body HTTP/1.1"
        writer.write(request(line, close=close))
        await reader.readuntil(b"\r\n\r\n")
        transport = writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()
        await free_place(control)
        transport.resume_reading()
        got = 0
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(1 << 20):
                got += len(chunk)

    assert got < UNSENT_BYTES


HANDSHAKE = (
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        (b"GET /api/events HTTP/1.1", HANDSHAKE[:2]),
        (b"GET /api/events HTTP/1.1", HANDSHAKE[:3]),
        (b"GET /api/events HTTP/1.1", (*HANDSHAKE[:3], b"Sec-WebSocket-Key: \xff")),
        (b"GET /api/events HTTP/1.1", (*HANDSHAKE, b"Sec-WebSocket-Protocol: \xff,;")),
        (b"POST /api/events HTTP/1.1", HANDSHAKE),
        # What follows got no answer at all.
        (b"GET /api/events HTTP/1.1", (*HANDSHAKE, b"Content-Length: 5")),
        (b"GET /api/events HTTP/1.1", (*HANDSHAKE, b"X: \x01")),
        (b"GET /api/events HTTP/1.1", (*HANDSHAKE, *[b"X: y"] * 300)),
        (b"GET /api/events HTTP/1.1", (*HANDSHAKE, b"X: " + b"y" * 10_000)),
        (b"GET /api/events?" + b"x" * 10_000 + b" HTTP/1.1", HANDSHAKE),
    ],
    ids=range(10),
)
async def test_a_handshake_that_opens_no_websocket_is_refused_in_our_shape(
    line: bytes, fields: tuple[bytes, ...]
) -> None:
    async with control_port() as control, asyncio.timeout(PATIENT_S):
        answer = await control.raw(request(line, *fields, close=False))

    assert (status_of(answer), code_of(answer)) == (400, "bad_request")


async def test_pings_of_who_takes_no_answers_are_not_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(control_ports, "listening", listening_with_little_room)
    ping = b"\x89\xfd\0\0\0\0" + b"p" * 125
    many = 2 * UNSENT_BYTES // len(ping)
    async with (
        asyncio.timeout(PATIENT_S),
        control_port() as control,
        connection(control.port) as (reader, writer),
    ):
        line = b"GET /api/events HTTP/1.1"
        writer.write(request(line, *HANDSHAKE, close=False))
        await reader.readuntil(b'"}')  # the hello
        transport = writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()
        writer.write(ping * many)
        while transport.get_write_buffer_size():
            await control.client.get("/api/health")
        transport.resume_reading()
        writer.write(b"\x88\x80\0\0\0\0")  # a close frame: the last to be answered
        answered = await reader.read()

    assert 0 < answered.count(b"p" * 125) < many


# --- errors of our own ----------------------------------------------------------------


async def test_an_internal_error_is_told_in_the_log_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    flows = FlowsInMemory()
    flows.broken = RuntimeError("the secret inside")
    async with control_port(flows) as control:
        answer = await control.client.get("/api/flows")
        again = await control.client.get("/api/health")

    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal_error"
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert again.status_code == 200
    [line] = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert line.name == "int3rceptor.control"
    assert line.getMessage() == "internal error in the control port"


async def test_requests_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    async with control_port() as control:
        await control.client.get("/api/flows?text=private")
        await control.raw(b"\x00private\r\n\r\n")

    # The client of the test logs too.
    ours = [
        one.getMessage()
        for one in caplog.records
        if not one.name.startswith(("httpcore", "httpx"))
    ]
    assert not [line for line in ours if "private" in line or TOKEN in line]


async def test_nobody_can_say_that_they_are_someone_else() -> None:
    async with control_port() as control, api_client() as client:
        answer = await client.get(
            f"{control.url}/api/flows",
            headers={"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "localhost"},
        )

    assert answer.status_code == 401
    assert "server" not in answer.headers


async def test_an_answer_does_not_wait_for_the_receipt_of_its_head() -> None:
    async with control_port() as control, connection(control.port) as (reader, writer):
        took = []
        for _ in range(20):
            began = time.perf_counter()
            writer.write(request(b"GET /api/health HTTP/1.1", close=False))
            await reader.readuntil(b"}")
            took.append(time.perf_counter() - began)

    # Systems delay a receipt by 40 ms and more, but for a connection's first ones.
    assert min(took[10:]) < 0.035
