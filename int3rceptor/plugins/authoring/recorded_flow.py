"""Flows as `int3rceptor flows show ID --json` prints them, one or a list of them."""

from pathlib import Path
from typing import Literal

import msgspec

from int3rceptor.model.body import Body
from int3rceptor.model.flow import ClientInfo, Flow, TlsInfo
from int3rceptor.model.headers import Headers, to_bytes
from int3rceptor.model.message import DEFAULT_PORTS, Request, Response, format_authority
from int3rceptor.model.websocket import WebSocketMessage
from int3rceptor.plugins.authoring.recorded import (
    CLIENT,
    Pairs,
    Recording,
    bounded,
    content_of,
    decoded,
    headers_of,
)


class _Head(msgspec.Struct):
    fields: Pairs
    start: str = ""


class _Carried(msgspec.Struct):
    data: str
    encoding: Literal["text", "base64"] = "text"


class _Body(msgspec.Struct):
    data: str = ""
    encoding: Literal["text", "base64"] = "text"
    size: int | None = None
    kept: int | None = None
    is_decoded: bool = False
    original: _Carried | None = None


class _Message(msgspec.Struct):
    received: _Head | None = None
    sent: _Head | None = None
    trailers: Pairs = []
    body: _Body = msgspec.field(default_factory=_Body)


class _Passed(msgspec.Struct):
    sender: Literal["client", "origin"]
    data: str
    encoding: Literal["text", "base64"] = "text"


class _Address(msgspec.Struct):
    host: str
    port: int


class _Client(msgspec.Struct):
    host: str = CLIENT[0]
    port: int = CLIENT[1]
    connect: _Address | None = None
    tls: TlsInfo | None = None


class _Flow(msgspec.Struct):
    method: str
    host: str
    target: str
    request: _Message
    id: int = 1
    scheme: Literal["http", "https"] = "https"
    port: int | None = None
    authority: str = ""
    version: str = "HTTP/1.1"
    status: int | None = None
    origin_version: str = ""
    rule: str = ""
    client: _Client = msgspec.field(default_factory=_Client)
    response: _Message | None = None
    websocket: list[_Passed] = []


def read_flow_file(path: Path) -> list[Recording]:
    """The flow, or the list of flows, in a file; PluginError when it is none."""
    flows = decoded(path, list[_Flow], "flows as `flows show ID --json` prints them")
    bounded(path, flows)
    return [_recording_of(path, one) for one in flows]


def _recording_of(path: Path, one: _Flow) -> Recording:
    name = f"flow {one.id}"
    where = f"{path}: {name}"
    notes = _notes("request", one.request)
    if one.response is not None:
        notes += _notes("response", one.response)

    def make() -> Flow:
        host, port = one.host, one.port or DEFAULT_PORTS[one.scheme]
        flow = Flow(
            client=_client(one.client),
            request=Request(
                method=one.method,
                scheme=one.scheme,
                host=host,
                port=port,
                target=to_bytes(one.target),
                authority=one.authority or format_authority(host, port, one.scheme),
                version=one.version,
                headers=_message_headers(one.request, where),
                body=_message_body(one.request, where),
            ),
            rule=one.rule,
        )
        if one.response is not None:
            flow.response = Response(
                status=one.status or 200,
                version=one.origin_version,
                headers=_message_headers(one.response, where),
                body=_message_body(one.response, where),
            )
        return flow

    make()  # what is wrong with it is told before anything runs
    messages = tuple(_passed(message, where) for message in one.websocket)
    return Recording(name=name, make=make, notes=tuple(notes), messages=messages)


def _client(one: _Client) -> ClientInfo:
    return ClientInfo(
        address=(one.host, one.port),
        connect_host=None if one.connect is None else one.connect.host,
        connect_port=None if one.connect is None else one.connect.port,
        tls=one.tls,
    )


def _passed(message: _Passed, where: str) -> WebSocketMessage:
    is_text = message.encoding == "text"
    return WebSocketMessage(
        data=message.data.encode()
        if is_text
        else content_of(message.data, message.encoding, where),
        is_text=is_text,
        is_from_client=message.sender == "client",
    )


def _notes(side: str, message: _Message) -> list[str]:
    body, notes = message.body, []
    if body.size is not None and body.kept is not None and body.kept < body.size:
        notes.append(f"the {side}'s body was cut: {body.kept} of {body.size} bytes")
    if body.is_decoded:
        notes.append(
            f"the {side}'s body was saved without its content coding (--raw keeps it)"
        )
    return notes


def _message_headers(message: _Message, where: str) -> Headers:
    head = message.received or message.sent
    pairs = [] if head is None else head.fields
    return headers_of(pairs, where, has_coding=not message.body.is_decoded)


def _message_body(message: _Message, where: str) -> Body:
    carried = message.body.original or message.body
    content = content_of(carried.data, carried.encoding, where)
    trailers = headers_of(message.trailers, where) if message.trailers else None
    return Body(content, length=len(content), trailers=trailers)


def sample() -> Recording:
    """A made-up exchange of ordinary size: JSON both ways, a dozen fields."""
    fields = [
        ("host", "api.example.com"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101"),
        ("accept", "application/json, text/plain, */*"),
        ("accept-language", "en-US,en;q=0.5"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("content-type", "application/json"),
        ("origin", "https://www.example.com"),
        ("referer", "https://www.example.com/orders"),
        ("authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2ln"),
        ("cookie", "session=0123456789abcdef; theme=dark"),
    ]
    answered = [
        ("date", "Tue, 14 Jul 2026 10:00:00 GMT"),
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("set-cookie", "session=fedcba9876543210; Secure; HttpOnly"),
        ("server", "example"),
    ]
    order = '{"item":"4711","count":2,"note":"before noon","password":"secret"}'
    made = _Flow(
        method="POST",
        host="api.example.com",
        target="/v1/orders?dry=1",
        request=_Message(received=_Head(fields=fields), body=_Body(data=order)),
        response=_Message(
            received=_Head(fields=answered),
            body=_Body(data="[" + ",".join([order] * 8) + "]"),
        ),
        status=200,
        rule="a rule",
    )
    return _recording_of(Path("sample"), made)
