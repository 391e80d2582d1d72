"""The kept flows: listed, shown, marked, deleted."""

import asyncio
import base64
import threading
from itertools import count

import msgspec
import pytest

from int3rceptor.control.asking import MAX_PAGE
from int3rceptor.control.kept import MAX_WAITING, NoFlows
from int3rceptor.store.records import BodyRecord
from tests.control.test_access import check_error
from tests.support.control import (
    RECORD,
    Control,
    FlowsInMemory,
    control_port,
    records,
    store_that_cannot_be_read,
)


async def ids(control: Control, query: str = "") -> list[int]:
    answer = await control.client.get(f"/api/flows{query}")
    assert answer.status_code == 200, answer.text
    return [flow["id"] for flow in answer.json()["flows"]]


async def test_the_newest_come_first() -> None:
    async with control_port(FlowsInMemory(records(3))) as control:
        assert await ids(control) == [3, 2, 1]
        assert await ids(control, "?limit=2") == [3, 2]
        assert await ids(control, "?before=3") == [2, 1]
        assert await ids(control, "?after=1") == [3, 2]
        assert await ids(control, "?after=1&before=3") == [2]


async def test_a_line_of_the_list() -> None:
    async with control_port(FlowsInMemory([RECORD])) as control:
        answer = await control.client.get("/api/flows")

    assert answer.json() == {
        "flows": [
            {
                "id": 1,
                "created": 1767225600.0,
                "kind": "http",
                "method": "GET",
                "scheme": "https",
                "host": "example.com",
                "port": 443,
                "target": "/a?b=c",
                "version": "HTTP/1.1",
                "status": 200,
                "origin_version": "HTTP/2",
                "request_bytes": 0,
                "response_bytes": 10,
                "total_s": 0.02,
                "error": "",
                "tags": ["seen"],
                "rule": "stamp",
                "is_marked": False,
            }
        ],
        "next": None,
    }


@pytest.mark.parametrize("limit", [1, 3, 7, 50])
async def test_paging_skips_and_repeats_nothing_while_flows_arrive(limit: int) -> None:
    flows = FlowsInMemory(records(20))
    arriving = count(21)
    seen: list[int] = []
    query = f"?limit={limit}"
    async with control_port(flows) as control:
        while True:
            page = (await control.client.get(f"/api/flows{query}")).json()
            seen += [flow["id"] for flow in page["flows"]]
            number = next(arriving)
            flows.records[number] = msgspec.structs.replace(RECORD, id=number)
            if page["next"] is None:
                break
            query = f"?limit={limit}&before={page['next']}"

    assert seen == list(range(20, 0, -1))


async def test_the_last_page_says_so_even_when_it_is_full() -> None:
    async with control_port(FlowsInMemory(records(4))) as control:
        first = (await control.client.get("/api/flows?limit=2")).json()
        last = (
            await control.client.get(f"/api/flows?limit=2&before={first['next']}")
        ).json()

    assert (first["next"], last["next"]) == (3, None)


async def test_every_filter_is_passed_on() -> None:
    flows = FlowsInMemory(
        [
            RECORD,
            msgspec.structs.replace(RECORD, id=2, host="other.example", port=8443),
            msgspec.structs.replace(RECORD, id=3, method="POST", status=404),
            msgspec.structs.replace(RECORD, id=4, created=2e9, tags=["slow"]),
        ]
    )
    expected = {
        "?host=other.*": [2],
        "?host=other.example:8443": [2],
        "?host=other.example:443": [],
        "?method=post": [3],
        "?status=404": [3],
        "?status=4xx": [3],
        "?status=2xx&host=example.com": [4, 1],
        "?since=1900000000": [4],
        "?tag=slow": [4],
        "?is_marked=true": [],
    }
    async with control_port(flows) as control:
        for query, wanted in expected.items():
            assert await ids(control, query) == wanted, query


WRONG = (
    ("limit=0", "limit"),
    (f"limit={MAX_PAGE + 1}", "limit"),
    ("limit=ten", "limit"),
    ("before=0", "before"),
    (f"before={2**53}", "before"),
    ("status=20", "status"),
    ("status=200x", "status"),
    ("since=nan", "since"),
    ("since=-1", "since"),
    ("host=a%20b", "host"),
    ("host=", "host"),
    ("host=a:0", "host"),
    (f"text={'x' * 300}", "text"),
    ("method=G%20T", "method"),
    ("is_marked=maybe", "is_marked"),
    ("stauts=404", "stauts"),
    ("host=a&host=b", "host"),
)


@pytest.mark.parametrize(("query", "name"), WRONG)
async def test_a_wrong_parameter_is_named(query: str, name: str) -> None:
    async with control_port() as control:
        answer = await control.client.get(f"/api/flows?{query}")

    check_error(answer, 422, "invalid_parameter")
    [detail] = answer.json()["error"]["details"]
    assert (detail["in"], detail["name"]) == ("query", name)
    assert detail["message"]
    assert f"query {name}: " in answer.json()["error"]["message"]


async def test_every_port_can_be_asked_for() -> None:
    async with control_port() as control:
        for port in ("1", "80", "9999", "10000", "65535"):
            assert await ids(control, f"?host=example.com:{port}") == []
        for port in ("65536", "99999", "080"):
            answer = await control.client.get(f"/api/flows?host=example.com:{port}")
            check_error(answer, 422, "invalid_parameter")
        for host in ("[::1]", "[::1]:8443", "*"):
            assert await ids(control, f"?host={host}") == []


# --- one ------------------------------------------------------------------------------


async def test_all_of_one_flow() -> None:
    async with control_port(FlowsInMemory([RECORD])) as control:
        flow = (await control.client.get("/api/flows/1")).json()

    assert flow["request"]["received"] == {
        "start": "GET /a?b=c HTTP/1.1",
        "fields": [["Host", "example.com"]],
        "raw": base64.b64encode(RECORD.request_received).decode(),
    }
    assert flow["request"]["sent"]["start"] == ""
    assert flow["request"]["sent"]["fields"] == [
        [":method", "GET"],
        [":path", "/a?b=c"],
        ["x-seen", "yes"],
    ]
    assert flow["response"]["trailers"] == [["x-sum", "1"]]
    assert flow["response"]["body"] == {
        "size": 10,
        "kept": 10,
        "is_replaced": False,
        "content_type": "text/html",
        "content_encoding": "",
    }
    assert flow["informational"][0]["start"] == "HTTP/1.1 103 Early Hints"
    assert flow["changes"] == [
        {"point": "on_request", "author": "rule stamp", "what": "+ x-seen: yes"}
    ]
    assert flow["client"] == {
        "host": "127.0.0.1",
        "port": 50000,
        "connect": {"host": "example.com", "port": 443},
        "tls": {
            "version": "TLSv1.3",
            "cipher": "TLS_AES_128_GCM_SHA256",
            "alpn": "h2",
            "sni": "example.com",
            "is_resumed": False,
        },
    }
    assert flow["origin"]["is_reused"] is True
    assert (flow["head_s"], flow["total_s"]) == (0.01, 0.02)


async def test_a_flow_that_came_to_nothing() -> None:
    failed = msgspec.structs.replace(
        RECORD,
        status=0,
        origin=None,
        client_tls=None,
        connect=None,
        request_sent=b"",
        response_received=b"",
        response_sent=b"",
        head_s=0.0,
        total_s=0.0,
        error="connection refused",
    )
    async with control_port(FlowsInMemory([failed])) as control:
        flow = (await control.client.get("/api/flows/1")).json()

    assert (flow["status"], flow["response"], flow["origin"]) == (None, None, None)
    assert (flow["head_s"], flow["total_s"]) == (None, None)
    assert flow["request"]["sent"] is None
    assert flow["error"] == "connection refused"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"caf\xc3\xa9", "caf\u00e9"),
        (b"caf\xe9", "caf\u00e9"),
        (b"\xff\x00\x80", "\u00ff\x00\u0080"),
        (b"\xed\xa0\x80", "\u00ed\u00a0\u0080"),
        (b"<script>", "<script>"),
    ],
)
async def test_any_byte_can_be_shown(raw: bytes, shown: str) -> None:
    one = msgspec.structs.replace(
        RECORD, target=b"/" + raw, request_received=b"GET / HTTP/1.1\r\nX: " + raw
    )
    async with control_port(FlowsInMemory([one])) as control:
        flow = (await control.client.get("/api/flows/1")).json()
        row = (await control.client.get("/api/flows")).json()["flows"][0]

    assert flow["target"] == row["target"] == f"/{shown}"
    assert flow["request"]["received"]["fields"] == [["X", shown]]


async def test_a_body_that_was_cut_says_how_much_is_kept() -> None:
    body = BodyRecord(size=100_000, content=b"x" * 9)
    flows = FlowsInMemory([msgspec.structs.replace(RECORD, response_body=body)])
    async with control_port(flows) as control:
        flow = (await control.client.get("/api/flows/1")).json()

    assert flow["response"]["body"]["size"] == 100_000
    assert flow["response"]["body"]["kept"] == 9


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_no_such_flow(method: str) -> None:
    async with control_port(FlowsInMemory(records(1))) as control:
        answer = await control.client.request(method, "/api/flows/2")

    check_error(answer, 404, "not_found")


@pytest.mark.parametrize(
    "number", ["0", "-1", "x", "1.5", str(2**53), "9" * 5000, "%00"]
)
async def test_no_id_at_all(number: str) -> None:
    async with control_port() as control:
        for path in ("", "/mark", "/response/body"):
            method = "PUT" if path == "/mark" else "GET"
            url = f"/api/flows/{number}{path}"
            answer = await control.client.request(method, url, json={"is_marked": True})
            check_error(answer, 422, "invalid_parameter")


# --- delete and mark ------------------------------------------------------------------


async def test_one_is_deleted() -> None:
    async with control_port(FlowsInMemory(records(3))) as control:
        answer = await control.client.delete("/api/flows/2")
        again = await control.client.delete("/api/flows/2")

        assert (answer.status_code, answer.content) == (204, b"")
        check_error(again, 404, "not_found")
        assert await ids(control) == [3, 1]


async def test_what_fits_a_filter_is_deleted() -> None:
    flows = FlowsInMemory(
        [*records(3), msgspec.structs.replace(RECORD, id=4, status=404)]
    )
    async with control_port(flows) as control:
        answer = await control.client.delete("/api/flows?status=4xx&confirm=true")
        assert answer.json() == {"deleted": 1}
        assert await ids(control) == [3, 2, 1]
        answer = await control.client.delete("/api/flows?confirm=true")
        assert answer.json() == {"deleted": 3}


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?confirm=",
        "?confirm=false",
        "?confirm=1",
        "?confirm=true&confirm=true",
        "?confirm=true&hots=example.com",
        "?confirm=true&limit=1",
        "?host=example.com",
    ],
)
async def test_nothing_is_deleted_by_a_slip(query: str) -> None:
    async with control_port(FlowsInMemory(records(3))) as control:
        answer = await control.client.delete(f"/api/flows{query}")

        check_error(answer, 422, "invalid_parameter")
        assert await ids(control) == [3, 2, 1]


async def test_a_mark_is_put_and_taken_away() -> None:
    async with control_port(FlowsInMemory(records(1))) as control:
        for is_marked in (True, False):
            mark = {"is_marked": is_marked}
            answer = await control.client.put("/api/flows/1/mark", json=mark)
            assert (answer.status_code, answer.json()) == (200, mark)
            flow = (await control.client.get("/api/flows/1")).json()
            assert flow["is_marked"] is is_marked
        missing = await control.client.put(
            "/api/flows/2/mark", json={"is_marked": True}
        )

    check_error(missing, 404, "not_found")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{}", 422),
        (b"null", 422),
        (b'{"is_marked": "true"}', 422),
        (b'{"is_marked": 1}', 422),
        (b'{"is_marked": true, "x": 1}', 422),
        (b'{"is_marked": true, "\\ud800": 1}', 422),
        (b'{"is_marked": true', 422),
        (b"[" * 60_000, 400),
        (b'{"is_marked": ' + b"9" * 5000 + b"}", 400),
        (b"\xff\xfe", 422),
    ],
    ids=range(11),
)
async def test_a_mark_that_is_none(body: bytes, status: int) -> None:
    flows = FlowsInMemory(records(1))
    async with control_port(flows) as control:
        answer = await control.client.put(
            "/api/flows/1/mark",
            content=body,
            headers={"Content-Type": "application/json"},
        )

    codes = {400: "bad_request", 422: "invalid_parameter"}
    check_error(answer, status, codes[status])
    assert flows.marked == set()


async def test_a_form_of_a_strange_page_is_no_json() -> None:
    async with control_port(FlowsInMemory(records(1))) as control:
        answer = await control.client.put(
            "/api/flows/1/mark",
            content=b'{"is_marked": true}',
            headers={"Content-Type": "text/plain"},
        )

    check_error(answer, 422, "invalid_parameter")


async def test_an_answer_names_only_so_many_faults() -> None:
    body = {f"x{number}": 1 for number in range(2_000)}
    async with control_port(FlowsInMemory(records(1))) as control:
        answer = await control.client.put("/api/flows/1/mark", json=body)

    check_error(answer, 422, "invalid_parameter")
    assert len(answer.json()["error"]["details"]) == 20


# --- the store ------------------------------------------------------------------------


async def test_a_store_that_cannot_be_read() -> None:
    flows = FlowsInMemory(records(1))
    flows.broken = store_that_cannot_be_read()
    async with control_port(flows) as control:
        for path in ("", "/1", "/1/response/body", "/1/response/body?decoded=true"):
            answer = await control.client.get(f"/api/flows{path}")
            check_error(answer, 503, "store_unavailable")
            assert "it is locked" in answer.text
            assert answer.headers["retry-after"] == "1"


async def test_without_a_store_there_are_no_flows() -> None:
    async with control_port(NoFlows()) as control:
        assert await ids(control) == []
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/request/body")):
            answer = await control.client.request(method, f"/api/flows/1{path}")
            check_error(answer, 404, "not_found")
        answer = await control.client.delete("/api/flows?confirm=true")
        assert answer.json() == {"deleted": 0}


async def test_too_many_questions_are_told_to_come_again() -> None:
    go_on = threading.Event()

    class Stuck(FlowsInMemory):
        def row(self, flow_id: int) -> None:
            go_on.wait(10)

    async with control_port(Stuck()) as control:
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(control.client.get("/api/flows/1"))
                for _ in range(MAX_WAITING + 20)
            ]
            await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            go_on.set()
        answers = [one.result() for one in asked]

    refused = [one for one in answers if one.status_code == 503]
    assert refused
    check_error(refused[0], 503, "busy")
    assert refused[0].headers["retry-after"] == "1"
    assert {one.status_code for one in answers} == {404, 503}
