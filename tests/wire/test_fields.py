"""Which fields stay on their hop."""

import pytest

from int3rceptor.model.headers import Headers
from int3rceptor.wire.fields import accepts_trailers, end_to_end, wants_upgrade


def test_hop_by_hop_fields_stay_behind() -> None:
    headers = Headers(
        [
            (b"hOST", b"a"),
            (b"Connection", b"close, X-Mine"),
            (b"connection", b"x-OTHER"),
            (b"X-mine", b"1"),
            (b"x-Other", b"2"),
            (b"x-kept", b"3"),
            (b"Keep-Alive", b"timeout=5"),
            (b"Proxy-Connection", b"keep-alive"),
            (b"Proxy-Authorization", b"Basic x"),
            (b"Proxy-Authenticate", b"Basic"),
            (b"TE", b"trailers"),
            (b"Transfer-Encoding", b"chunked"),
            (b"Upgrade", b"websocket"),
            (b"X-KEPT", b"4"),
        ]
    )
    assert end_to_end(headers) == [
        (b"hOST", b"a"),
        (b"x-kept", b"3"),
        (b"X-KEPT", b"4"),
    ]


@pytest.mark.parametrize(
    "name",
    [b"Host", b"Content-Length", b"Authorization", b"Cookie", b"X-Forwarded-For"],
)
def test_connection_cannot_strip_what_is_for_everyone(name: bytes) -> None:
    headers = Headers([(b"Connection", name.lower()), (name, b"1")])
    assert end_to_end(headers) == [(name, b"1")]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")], True),
        ([(b"Connection", b"keep-alive, upgrade"), (b"Upgrade", b"a, b")], True),
        ([(b"Connection", b"Upgrade"), (b"Upgrade", b"h2c, websocket")], True),
        ([(b"Connection", b"Upgrade"), (b"Upgrade", b"h2c")], False),
        ([(b"Upgrade", b"websocket")], False),
        ([(b"Connection", b"Upgrade")], False),
    ],
)
def test_upgrades(fields: list[tuple[bytes, bytes]], expected: bool) -> None:
    assert wants_upgrade(Headers(fields)) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b"trailers", True), (b"gzip;q=0.5, Trailers", True), (b"deflate", False)],
)
def test_te(value: bytes, expected: bool) -> None:
    assert accepts_trailers(Headers([(b"te", value)])) is expected
