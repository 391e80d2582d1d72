"""Exchanges of an HTTP archive (HAR 1.2), as browsers save it."""

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from int3rceptor.errors import PluginError
from int3rceptor.model.body import Body
from int3rceptor.model.flow import ClientInfo, Flow
from int3rceptor.model.headers import to_bytes
from int3rceptor.model.message import DEFAULT_PORTS, Request, Response, format_authority
from int3rceptor.plugins.authoring.recorded import (
    CLIENT,
    Pairs,
    Recording,
    bounded,
    content_of,
    decoded,
    headers_of,
)


class _HarField(msgspec.Struct):
    name: str
    value: str


class _HarPosted(msgspec.Struct):
    text: str = ""
    encoding: str = ""


class _HarContent(msgspec.Struct):
    text: str = ""
    encoding: str = ""


class _HarRequest(msgspec.Struct, rename="camel"):
    method: str
    url: str
    http_version: str = ""
    headers: list[_HarField] = []
    post_data: _HarPosted | None = None


class _HarResponse(msgspec.Struct, rename="camel"):
    status: int
    http_version: str = ""
    headers: list[_HarField] = []
    content: _HarContent = msgspec.field(default_factory=_HarContent)


class _HarEntry(msgspec.Struct):
    request: _HarRequest
    response: _HarResponse | None = None


class _HarLog(msgspec.Struct):
    entries: list[_HarEntry]


class _Har(msgspec.Struct):
    log: _HarLog


def read_har(path: Path) -> list[Recording]:
    """The exchanges of an HTTP archive; those that are not HTTP are left out.

    An archive holds bodies without their content coding, so that field goes.
    """
    entries = decoded(path, _Har, "an HTTP archive (HAR 1.2)").log.entries
    bounded(path, entries)
    numbered = enumerate(entries, 1)
    return [
        _har_recording(path, number, one)
        for number, one in numbered
        if one.request.url.partition(":")[0].lower() in DEFAULT_PORTS
    ]


def _har_recording(path: Path, number: int, one: _HarEntry) -> Recording:
    name = f"entry {number}"
    where = f"{path}: {name}"

    def make() -> Flow:
        flow = Flow(
            client=ClientInfo(address=CLIENT), request=_har_request(one.request, where)
        )
        response = one.response
        if response is not None and response.status:  # 0: it never came
            kept = response.content
            content = content_of(kept.text, kept.encoding or "text", where)
            flow.response = Response(
                status=response.status,
                version=_version(response.http_version),
                headers=headers_of(_pairs(response.headers), where, has_coding=False),
                body=Body(content, length=len(content)),
            )
        return flow

    make()
    return Recording(name=name, make=make)


def _har_request(one: _HarRequest, where: str) -> Request:
    try:
        parts = urlsplit(one.url)
        host, port = parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme]
    except ValueError as error:
        raise PluginError(f"{where}: {one.url[:100]!r} is no URL: {error}") from None
    if not host:
        raise PluginError(f"{where}: {one.url[:100]!r} names no host")
    posted = one.post_data or _HarPosted()
    content = content_of(posted.text, posted.encoding or "text", where)
    target = parts.path or "/"
    return Request(
        method=one.method,
        scheme=parts.scheme,
        host=host,
        port=port,
        target=to_bytes(f"{target}?{parts.query}" if parts.query else target),
        authority=format_authority(host, port, parts.scheme),
        version=_version(one.http_version),
        headers=headers_of(_pairs(one.headers), where),
        body=Body(content, length=len(content)),
    )


def _version(text: str) -> str:
    """As browsers spell it: HTTP/1.1, http/2.0, h2, h3."""
    return "HTTP/2" if text.lower() in {"h2", "http/2", "http/2.0"} else "HTTP/1.1"


def _pairs(fields: Iterable[_HarField]) -> Pairs:
    return [(one.name, one.value) for one in fields]
