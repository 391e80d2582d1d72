"""Flows out of files: what `flows show --json` prints, HAR, and what is neither."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.errors import PluginError
from int3rceptor.model.websocket import WebSocketMessage
from int3rceptor.plugins.authoring import recorded
from int3rceptor.plugins.authoring.recorded import Recording
from int3rceptor.plugins.authoring.recorded_flow import read_flow_file, sample
from int3rceptor.plugins.authoring.recorded_har import read_har

Read = Callable[[Path], list[Recording]]

FLOW: dict[str, object] = {
    "id": 7,
    "method": "POST",
    "scheme": "http",
    "host": "a.test",
    "port": 8080,
    "target": "/p?q=1",
    "status": 201,
    "origin_version": "HTTP/2",
    "rule": "mine",
    "client": {
        "host": "10.0.0.1",
        "port": 5,
        "connect": {"host": "c.test", "port": 443},
        "tls": {
            "version": "TLSv1.3",
            "cipher": "x",
            "alpn": "h2",
            "sni": "s.test",
            "is_resumed": True,
        },
    },
    "request": {
        "received": {"start": "", "fields": [[":method", "POST"], ["X-A", "1"]]},
        "sent": {"start": "", "fields": [["X-A", "changed"]]},
        "trailers": [["X-Sum", "42"]],
        "body": {"encoding": "base64", "data": "AAE=", "size": 9, "kept": 2},
    },
    "response": {
        "received": {"fields": [["Content-Encoding", "gzip"], ["X-B", "2"]]},
        "body": {
            "data": "replaced",
            "is_decoded": True,
            "original": {"encoding": "text", "data": "as it came"},
        },
    },
}

HAR = {
    "log": {
        "version": "1.2",
        "entries": [
            {
                "request": {
                    "method": "GET",
                    "url": "https://[::1]:8443/a?b=c#d",
                    "httpVersion": "h2",
                    "headers": [
                        {"name": ":authority", "value": "x"},
                        {"name": "Accept", "value": "é"},
                    ],
                    "postData": {"mimeType": "text/plain", "text": "hello"},
                },
                "response": {
                    "status": 200,
                    "httpVersion": "HTTP/1.1",
                    "headers": [{"name": "content-encoding", "value": "br"}],
                    "content": {"text": "AAE=", "encoding": "base64"},
                },
            },
            {"request": {"method": "GET", "url": "data:text/plain,x"}},
            {
                "request": {"method": "GET", "url": "http://a.test"},
                "response": {"status": 0},
            },
        ],
    }
}


def written(folder: Path, what: object) -> Path:
    path = folder / "recorded.json"
    path.write_bytes(what if isinstance(what, bytes) else json.dumps(what).encode())
    return path


def test_a_flow_is_as_it_came_in(tmp_path: Path) -> None:
    (recording,) = read_flow_file(written(tmp_path, FLOW))
    flow = recording.make()
    request, response = flow.request, flow.response
    assert recording.name == "flow 7"
    assert (request.method, request.url) == ("POST", "http://a.test:8080/p?q=1")
    assert request.headers.raw == [(b"X-A", b"1")]
    assert request.body.content == b"\0\1"
    assert request.body.trailers is not None
    assert request.body.trailers["x-sum"] == "42"
    assert flow.hosts() == ("a.test", "c.test", "s.test")
    assert flow.rule == "mine"
    assert response is not None
    assert (response.status, response.version) == (201, "HTTP/2")
    assert response.headers.raw == [(b"X-B", b"2")]
    assert response.body.content == b"as it came"


def test_what_could_not_be_kept_is_noted(tmp_path: Path) -> None:
    (recording,) = read_flow_file(written(tmp_path, FLOW))
    assert recording.notes == (
        "the request's body was cut: 2 of 9 bytes",
        "the response's body was saved without its content coding (--raw keeps it)",
    )


def test_each_flow_is_made_anew(tmp_path: Path) -> None:
    (recording,) = read_flow_file(written(tmp_path, FLOW))
    first = recording.make()
    first.request.headers["X-A"] = "spoiled"
    assert recording.make().request.headers["X-A"] == "1"


def test_a_list_of_flows_and_a_flow_of_little(tmp_path: Path) -> None:
    little = {"method": "GET", "host": "a.test", "target": "/", "request": {}}
    first, second = read_flow_file(written(tmp_path, [FLOW, little]))
    flow = second.make()
    assert first.name == "flow 7"
    assert flow.request.url == "https://a.test/"
    assert flow.response is None


def test_the_messages_of_a_websocket(tmp_path: Path) -> None:
    passed = [
        {"sender": "client", "data": "grüße"},
        {"sender": "origin", "data": "AAE=", "encoding": "base64"},
    ]
    (recording,) = read_flow_file(written(tmp_path, {**FLOW, "websocket": passed}))
    assert recording.messages == (
        WebSocketMessage(data="grüße".encode(), is_text=True, is_from_client=True),
        WebSocketMessage(data=b"\0\1", is_text=False, is_from_client=False),
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"sender": "proxy", "data": ""},
        {"sender": "client"},
        {"sender": "client", "data": "?", "encoding": "base64"},
    ],
)
def test_messages_that_are_none(tmp_path: Path, wrong: object) -> None:
    with pytest.raises(PluginError):
        read_flow_file(written(tmp_path, {**FLOW, "websocket": [wrong]}))


def test_an_archive(tmp_path: Path) -> None:
    first, third = read_har(
        written(tmp_path, b"\xef\xbb\xbf" + json.dumps(HAR).encode())
    )
    flow = first.make()
    assert first.name == "entry 1"
    assert third.name == "entry 3"
    assert flow.request.url == "https://[::1]:8443/a?b=c"
    assert flow.request.version == "HTTP/2"
    assert flow.request.headers.raw == [(b"Accept", "é".encode())]
    assert flow.request.body.content == b"hello"
    assert flow.response is not None
    assert flow.response.headers.raw == []
    assert flow.response.body.content == b"\0\1"
    assert third.make().response is None


def spoiled(**changes: object) -> dict[str, object]:
    return {**FLOW, **changes}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not flows as `flows show ID --json` prints them: "),
        (b"\xff\xfe{", "not flows as"),
        (b"[" * 100_000, "not flows as"),
        (b"[]", "holds no exchange"),
        ({"id": 1}, r"missing required field `method` - at `\$\[0\]`"),
        (spoiled(port="x"), r"Expected `int \| null`, got `str` - at `\$\[0\].port`"),
        (spoiled(scheme="ftp"), "Invalid enum value 'ftp'"),
        (
            spoiled(request={"received": {"fields": [["a b", "c"]]}}),
            "flow 7: 'a b' is no header field",
        ),
        (
            spoiled(request={"received": {"fields": [["a", "c\r\nd: e"]]}}),
            "flow 7: 'a' is no header field",
        ),
        (
            spoiled(request={"body": {"encoding": "base64", "data": "?"}}),
            "flow 7: a body is not valid base64",
        ),
    ],
)
def test_what_is_no_flow_is_one_line(
    content: object, said: str, tmp_path: Path
) -> None:
    with pytest.raises(PluginError, match=said) as caught:
        read_flow_file(written(tmp_path, content))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (FLOW, r"not an HTTP archive \(HAR 1.2\): Object missing required field `log`"),
        ({"log": {"entries": []}}, "holds no exchange"),
        (
            {"log": {"entries": [{"request": {"method": "GET", "url": "http:///x"}}]}},
            "entry 1: 'http:///x' names no host",
        ),
        (
            {"log": {"entries": [{"request": {"method": "G", "url": "http://a:b/"}}]}},
            "entry 1: 'http://a:b/' is no URL: Port could not be cast",
        ),
        (
            {"log": {"entries": [{"request": {"method": "G", "url": "http://[a"}}]}},
            "entry 1: 'http://\\[a' is no URL: Invalid IPv6",
        ),
    ],
)
def test_what_is_no_archive_is_one_line(
    content: object, said: str, tmp_path: Path
) -> None:
    with pytest.raises(PluginError, match=said):
        read_har(written(tmp_path, content))


@pytest.mark.parametrize("read", [read_flow_file, read_har])
def test_files_that_cannot_be_read_or_are_too_large(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PluginError, match="cannot be read: No such file"):
        read(tmp_path / "missing.json")
    monkeypatch.setattr(recorded, "MAX_RECORDING_BYTES", 10)
    with pytest.raises(PluginError, match="larger than 10 bytes"):
        read(written(tmp_path, FLOW))


@pytest.mark.parametrize(("read", "content"), [(read_flow_file, [FLOW] * 3),
                                               (read_har, HAR)])  # fmt: skip
def test_too_many_exchanges(
    read: Read, content: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded, "MAX_RECORDED_FLOWS", 2)
    with pytest.raises(PluginError, match="more than 2 exchanges"):
        read(written(tmp_path, content))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*FLOW, "log", "entries", "url"]), inner)
    ),
    max_leaves=12,
)


@given(what=JSON, reads_har=st.booleans())
def test_any_json_is_flows_or_one_error(
    what: object, reads_har: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = written(tmp_path_factory.getbasetemp(), what)
    found: list[Recording] = []
    with suppress(PluginError):
        found = (read_har if reads_har else read_flow_file)(path)
    assert all(one.make().request.host for one in found)


def test_the_sample_has_something_in_every_place() -> None:
    flow = sample().make()
    assert flow.response is not None
    assert flow.request.body.content
    assert flow.response.body.content
    assert flow.rule
