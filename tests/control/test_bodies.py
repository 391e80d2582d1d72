"""Bodies as downloads."""

import asyncio
import gzip
import hashlib
import threading
import zlib

import httpx
import msgspec
import pytest

from int3rceptor.control import bodies, kept
from int3rceptor.errors import ConfigError
from int3rceptor.store.records import BodyRecord, FlowRecord
from tests.control.test_access import check_error
from tests.support.control import RECORD, Control, FlowsInMemory, control_port
from tests.support.patience import PATIENT_S

BODY = "/api/flows/1/response/body"


def answered(
    content: bytes, *, size: int | None = None, coding: str = ""
) -> FlowRecord:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
    if coding:
        head += f"Content-Encoding: {coding}\r\n".encode()
    body = BodyRecord(size=len(content) if size is None else size, content=content)
    return msgspec.structs.replace(RECORD, response_sent=head, response_body=body)


async def get(control: Control, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await control.client.get(BODY, headers=named)


def check_download(answer: httpx.Response) -> None:
    """No browser shows it, whatever it is."""
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"] == (
        'attachment; filename="flow-1-response.bin"'
    )
    policy = answer.headers["content-security-policy"].split("; ")
    assert {"sandbox", "default-src 'none'"} <= set(policy)
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "content", [b"", b"<script>alert(1)</script>", b"%PDF-1.7", b"\x00" * 300_000]
)
async def test_it_is_a_file_to_keep(content: bytes) -> None:
    async with control_port(FlowsInMemory([answered(content)])) as control:
        answer = await get(control)

    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["x-int3rceptor-body-size"] == str(len(content))
    check_download(answer)


async def test_what_was_cut_says_its_full_size() -> None:
    async with control_port(FlowsInMemory([answered(b"abc", size=999)])) as control:
        answer = await get(control)

    assert answer.content == b"abc"
    assert answer.headers["content-length"] == "3"
    assert answer.headers["x-int3rceptor-body-size"] == "999"


async def test_the_request_has_a_body_of_its_own() -> None:
    one = msgspec.structs.replace(
        RECORD, request_body=BodyRecord(size=4, content=b"sent")
    )
    async with control_port(FlowsInMemory([one])) as control:
        answer = await control.client.get("/api/flows/1/request/body")

    assert answer.content == b"sent"
    assert 'filename="flow-1-request.bin"' in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/flows/2/response/body", 404, "not_found"),
        ("/api/flows/2/response/body?decoded=true", 404, "not_found"),
        ("/api/flows/1/answer/body", 422, "invalid_parameter"),
        (f"{BODY}?decoded=maybe", 422, "invalid_parameter"),
        (f"{BODY}?x=1", 422, "invalid_parameter"),
        (f"{BODY}/", 404, "not_found"),
        ("/api/flows/1/response/body/../../../..//etc/passwd", 404, "not_found"),
    ],
)
async def test_what_is_not_there(path: str, status: int, code: str) -> None:
    async with control_port(FlowsInMemory([RECORD])) as control:
        check_error(await control.client.get(path), status, code)


# --- ranges ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "content", "content_range"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=8-", b"89", "bytes 8-9/10"),
        ("bytes=-1", b"9", "bytes 9-9/10"),
        ("bytes=4-400", b"456789", "bytes 4-9/10"),
    ],
)
async def test_a_part(field: str, content: bytes, content_range: str) -> None:
    async with control_port(FlowsInMemory([RECORD])) as control:
        answer = await get(control, Range=field)

    assert (answer.status_code, answer.content) == (206, content)
    assert answer.headers["content-range"] == content_range
    assert answer.headers["content-length"] == str(len(content))
    check_download(answer)


@pytest.mark.parametrize("field", ["bytes=10-", "bytes=-0", "bytes=0-0,2-2"])
async def test_a_part_that_cannot_be_had(field: str) -> None:
    async with control_port(FlowsInMemory([RECORD])) as control:
        answer = await get(control, Range=field)

    check_error(answer, 416, "range_not_satisfiable")
    assert answer.headers["content-range"] == "bytes */10"


@pytest.mark.parametrize("field", ["bytes=x", "pages=1-2", "bytes=3-2"])
async def test_a_part_that_means_nothing_is_all(field: str) -> None:
    async with control_port(FlowsInMemory([RECORD])) as control:
        answer = await get(control, Range=field)

    assert (answer.status_code, answer.content) == (200, b"0123456789")


async def test_two_range_fields_are_as_good_as_none() -> None:
    async with control_port(FlowsInMemory([RECORD])) as control:
        fields = [("Range", "bytes=0-1"), ("Range", "bytes=2-3")]
        answer = await control.client.get(BODY, headers=fields)

    assert answer.status_code == 200


async def test_a_part_only_of_what_is_still_the_same() -> None:
    async with control_port(FlowsInMemory([RECORD])) as control:
        etag = (await get(control)).headers["etag"]
        same = await get(control, Range="bytes=0-3", If_Range=etag)
        others = [
            await get(control, Range="bytes=0-3", If_Range=condition)
            for condition in (
                f"W/{etag}",
                '"other"',
                "Sun, 06 Nov 1994 08:49:37 GMT",
                f"{etag}, {etag}",
            )
        ]
        beyond = await get(control, Range="bytes=99-", If_Range='"other"')

    assert (same.status_code, same.content) == (206, b"0123")
    assert {one.status_code for one in [*others, beyond]} == {200}


async def test_two_flows_and_two_sides_are_not_the_same() -> None:
    later = msgspec.structs.replace(RECORD, created=RECORD.created + 1e-3)
    etags = set()
    for one in (RECORD, later):
        async with control_port(FlowsInMemory([one])) as control:
            for side in ("request", "response"):
                answer = await control.client.get(f"/api/flows/1/{side}/body")
                etags.add(answer.headers["etag"])

    assert len(etags) == 4


# --- large ones -----------------------------------------------------------------------


async def test_a_large_body_is_read_piece_by_piece() -> None:
    content = hashlib.shake_128(b"seed").digest(3 * bodies.CHUNK_BYTES + 17)
    asked: list[int] = []

    class Counting(FlowsInMemory):
        def body(self, flow_id: int, side: str, start: int, stop: int) -> bytes:
            asked.append(stop - start)
            return super().body(flow_id, side, start, stop)

    async with control_port(Counting([answered(content)])) as control:
        whole = await get(control)
        part = await get(control, Range=f"bytes=5-{2 * bodies.CHUNK_BYTES}")

    assert whole.content == content
    assert part.content == content[5 : 2 * bodies.CHUNK_BYTES + 1]
    assert max(asked) == bodies.CHUNK_BYTES


@pytest.mark.parametrize("why", ["flow 1 was deleted", "the disk is gone"])
async def test_half_a_download_never_looks_like_all_of_it(
    why: str, caplog: pytest.LogCaptureFixture
) -> None:
    content = b"x" * (8 * bodies.CHUNK_BYTES)

    class Vanishing(FlowsInMemory):
        def body(self, flow_id: int, side: str, start: int, stop: int) -> bytes:
            if start < bodies.CHUNK_BYTES:
                return super().body(flow_id, side, start, stop)
            if "deleted" in why:
                return b""
            raise ConfigError(why)

    async with control_port(Vanishing([answered(content)])) as control:
        with pytest.raises(httpx.RemoteProtocolError):
            await get(control)
        again = await control.client.get("/api/health")

    assert again.status_code == 200
    [line] = [one for one in caplog.records if one.name == "int3rceptor.control"]
    assert line.getMessage().startswith(f"control port: an answer was cut short: {why}")
    assert line.exc_info is None


async def test_a_download_that_has_begun_is_not_told_to_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = b"x" * (8 * bodies.CHUNK_BYTES)
    waits, goes_on = threading.Event(), threading.Event()

    class Slow(FlowsInMemory):
        def body(self, flow_id: int, side: str, start: int, stop: int) -> bytes:
            waits.set()
            goes_on.wait(PATIENT_S)
            return super().body(flow_id, side, start, stop)

    async with control_port(Slow([answered(content)])) as control:
        download = asyncio.ensure_future(get(control))
        await asyncio.to_thread(waits.wait, PATIENT_S)
        # From here on there is no room for one question more.
        monkeypatch.setattr(kept, "MAX_WAITING", -kept.MAX_THREADS)
        refused = await control.client.get("/api/flows")
        goes_on.set()
        whole = await download

    assert refused.json()["error"]["code"] == "busy"
    assert whole.content == content


# --- decoded --------------------------------------------------------------------------


async def decoded(record: FlowRecord) -> httpx.Response:
    async with control_port(FlowsInMemory([record])) as control:
        answer = await control.client.get(
            f"{BODY}?decoded=true", headers={"Range": "bytes=0-1"}
        )
    assert answer.status_code == 200
    assert "accept-ranges" not in answer.headers
    check_download(answer)
    return answer


@pytest.mark.parametrize(
    ("coding", "content"),
    [
        ("", b"plain"),
        ("gzip", gzip.compress(b"plain", mtime=0)),
        ("deflate", zlib.compress(b"plain")),
        ("gzip, gzip", gzip.compress(gzip.compress(b"plain", mtime=0), mtime=0)),
    ],
)
async def test_codings_are_undone(coding: str, content: bytes) -> None:
    answer = await decoded(answered(content, coding=coding))

    assert answer.content == b"plain"
    assert answer.headers["x-int3rceptor-body-size"] == str(len(content))
    assert "x-int3rceptor-decoding" not in answer.headers


async def test_what_cannot_be_decoded_says_so() -> None:
    answer = await decoded(answered(b"not gzip", coding="gzip"))

    assert answer.content == b"not gzip"
    assert "gzip" in answer.headers["x-int3rceptor-decoding"]


async def test_a_bomb_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_DECODED_BYTES", 1000)
    answer = await decoded(
        answered(gzip.compress(b"0" * 10_000_000, mtime=0), coding="gzip")
    )

    assert answer.content == b"0" * 1000
    assert answer.headers["x-int3rceptor-decoding"] == "cut after 1000 bytes"


async def test_a_coding_with_any_name_is_no_header_of_ours() -> None:
    coding = "x\u00e9\u2028y"
    answer = await decoded(answered(b"as it is", coding=coding))

    assert answer.content == b"as it is"
    assert answer.headers["x-int3rceptor-decoding"].isascii()
