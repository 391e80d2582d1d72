import json

import pytest

from int3rceptor.cli.output.live import (
    MAX_MARKS,
    MAX_NOTE_CHARS,
    MAX_URL_CHARS,
    TextForm,
    json_form,
    listener,
)
from int3rceptor.hooks.dispatcher import Dispatcher, Listener
from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Drop
from int3rceptor.model.flow import (
    ClientInfo,
    Flow,
    FlowKind,
    OriginInfo,
    Times,
    TlsInfo,
)
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Request, Response

TLS = TlsInfo(version="TLSv1.3", cipher="x", alpn="h2", sni="example.com")
DEFAULT_ORIGIN = OriginInfo(
    address=("192.0.2.1", 443), tls=TLS, version="HTTP/2", is_reused=False
)


def a_flow(
    *,
    target: bytes = b"/a?b=1",
    status: int | None = 200,
    version: str = "HTTP/1.1",
    origin: OriginInfo | None = DEFAULT_ORIGIN,
    kind: FlowKind = FlowKind.HTTP,
    duration_s: float = 0.25,
    host: str = "example.com",
) -> Flow:
    request = Request(
        method="GET",
        scheme="https",
        host=host,
        port=443,
        target=target,
        authority=host,
        version=version,
        headers=Headers(),
    )
    return Flow(
        client=ClientInfo(address=("127.0.0.1", 5), connect_host=host, tls=TLS),
        request=request,
        kind=kind,
        id=7,
        response=None if status is None else Response(status=status),
        origin=origin,
        times=Times(started=10.0, ended=10.0 + duration_s),
        created=1_700_000_000.123,
        bytes_up=3,
        bytes_down=12_345,
    )


def text(flow: Flow) -> str:
    """The line without its clock, which is in local time."""
    return TextForm(has_colours=False)(flow).partition(" ")[2]


def test_line_has_all_that_was_promised() -> None:
    assert text(a_flow()) == (
        "GET     https://example.com/a?b=1 200 12.3 kB 250 ms h1→h2"
    )


@pytest.mark.parametrize(
    ("version", "origin_version", "shown"),
    [
        ("HTTP/1.0", "HTTP/1.1", "h1.0→h1"),
        ("HTTP/2", "HTTP/1.1", "h2→h1"),
        ("HTTP/2", None, "h2→-"),
    ],
)
def test_versions_of_both_sides(
    version: str, origin_version: str | None, shown: str
) -> None:
    origin = None
    if origin_version is not None:
        origin = OriginInfo(
            address=("::1", 443), tls=None, version=origin_version, is_reused=True
        )

    assert text(a_flow(version=version, origin=origin)).endswith(shown)


def test_exchange_without_an_answer_shows_why() -> None:
    flow = a_flow(status=None, origin=None)
    flow.error = "nothing answers\nat \x1b[2Jexample.com"

    assert text(flow).endswith(r"h1→- nothing answers\nat \x1b[2Jexample.com")
    assert " --- " in text(flow)


def test_tunnel_is_shown_with_its_bytes_both_ways() -> None:
    flow = a_flow(kind=FlowKind.TUNNEL, status=None, duration_s=12)

    assert text(flow) == "TUNNEL  example.com:443 ↑3 B ↓12.3 kB 12.0 s"


def test_tunnel_to_an_ipv6_host_has_brackets() -> None:
    flow = a_flow(kind=FlowKind.TUNNEL, status=None, host="::1")

    assert " [::1]:443 " in text(flow)


def test_upgraded_exchange_keeps_url_and_status() -> None:
    shown = text(a_flow(kind=FlowKind.TUNNEL, status=101))

    assert "https://example.com/a?b=1 101 ↑3 B" in shown


def test_url_cannot_drive_the_terminal() -> None:
    shown = text(a_flow(target=b"/\x1b]0;owned\x07\xc2\x9b\xff\xe2\x80\xae"))

    assert shown.isprintable()
    assert r"/\x1b]0;owned\x07\x9b\xff\u202e" in shown


def test_long_texts_are_cut() -> None:
    flow = a_flow(target=b"/" + b"x" * 100_000)
    flow.error = "y" * 100_000

    shown = text(flow)

    assert "…" in shown
    assert len(shown) < MAX_URL_CHARS + MAX_NOTE_CHARS + 100


def test_marks_name_authors_but_no_header_value() -> None:
    flow = a_flow()
    flow.record("on_request", "stamp", "+ authorization: secret")
    flow.record("on_request", "stamp", "- cookie: secret")
    flow.record("on_response", "block-list", "answered 403")
    flow.record("on_response", "one", "body replaced by 5 bytes")
    flow.tag("slow")

    shown = text(flow)

    marks = "[stamp: 2 edits; block-list: answered 403; one: 1 edit] #slow"
    assert shown.endswith(marks)
    assert "secret" not in shown + json_form(flow)


def test_a_redacted_flow_shows_no_earlier_value() -> None:
    flow = a_flow()
    flow.record("on_request", "x", "GET http://a/?secret -> GET http://a/")
    assert "secret" in text(flow)
    flow.is_redacted = True
    assert "secret" not in text(flow)
    assert "secret" not in json_form(flow)
    assert "start line" in text(flow)


def test_many_authors_are_counted() -> None:
    flow = a_flow()
    for number in range(MAX_MARKS + 2):
        flow.record("on_request", f"p{number}", "held")

    assert "; and 2 more]" in text(flow)


def test_colours_only_when_asked_for() -> None:
    flow = a_flow(status=500)
    plain = TextForm(has_colours=False)(flow)
    coloured = TextForm(has_colours=True)(flow)

    assert "\x1b" not in plain
    assert "\x1b[31m500\x1b[0m" in coloured


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, " 0 B "),
        (999, " 999 B "),
        (1_000, " 1 kB "),
        (999_000, " 999 kB "),
        (5_600_000, " 5.6 MB "),
        (123_000_000_000, " 123.0 GB "),
    ],
)
def test_sizes_are_short(count: int, shown: str) -> None:
    flow = a_flow()
    flow.bytes_down = count

    assert shown in text(flow)


def test_json_has_the_documented_fields() -> None:
    flow = a_flow()
    flow.record("on_request", "stamp", "+ x: y")

    assert json.loads(json_form(flow)) == {
        "type": "exchange",
        "time": "2023-11-14T22:13:20.123+00:00",
        "id": 7,
        "method": "GET",
        "url": "https://example.com/a?b=1",
        "status": 200,
        "bytes_up": 3,
        "bytes_down": 12_345,
        "duration_ms": 250.0,
        "client": "127.0.0.1:5",
        "client_version": "HTTP/1.1",
        "origin": "192.0.2.1:443",
        "origin_version": "HTTP/2",
        "connect_host": "example.com",
        "sni": "example.com",
        "marks": [{"author": "stamp", "edits": 1, "notes": []}],
        "tags": [],
        "error": None,
    }


def test_json_has_null_for_what_there_was_not() -> None:
    flow = a_flow(status=None, origin=None, kind=FlowKind.TUNNEL)
    flow.client.tls = None
    flow.times.ended = 0.0

    shown = json.loads(json_form(flow))

    assert shown["type"] == "tunnel"
    empty = ("status", "origin", "origin_version", "sni", "duration_ms", "error")
    assert [shown[name] for name in empty] == [None] * 6


async def no_sleep(_seconds: float) -> None:
    raise AssertionError("nobody asked for a delay")


async def test_listener_sees_each_finished_flow_after_all_others() -> None:
    lines: list[str] = []
    dispatcher = Dispatcher(sleep=no_sleep)
    dispatcher.add(listener(lines.append, lambda flow: f"{flow.id} {flow.tags}"))
    tagger = Listener(
        name="zz",
        point=HookPoint.CAPTURE,
        call=lambda flow: flow.tag("late") and None,
        priority=999_999,
    )
    dispatcher.add(tagger)

    assert await dispatcher.dispatch(HookPoint.CAPTURE, a_flow()) is None
    assert lines == ["7 ['late']"]


async def test_flow_that_is_not_to_be_kept_is_not_shown() -> None:
    lines: list[str] = []
    dispatcher = Dispatcher(sleep=no_sleep)
    dispatcher.add(listener(lines.append, json_form))
    drop = Listener(name="p", point=HookPoint.CAPTURE, call=lambda _flow: Drop())
    dispatcher.add(drop)

    await dispatcher.dispatch(HookPoint.CAPTURE, a_flow())

    assert lines == []
