import pytest

from int3rceptor.errors import ClientProtocolError
from int3rceptor.model.body import Body
from int3rceptor.model.flow import ClientInfo, TlsInfo
from int3rceptor.model.headers import Headers
from int3rceptor.proxy.requests import build_flow
from int3rceptor.proxy.session import Session
from int3rceptor.wire.events import RequestHead

TLS = TlsInfo(version="TLSv1.3", cipher="C", alpn="h2", sni=None)


def head(
    authority: str,
    *,
    scheme: str = "http",
    version: str = "HTTP/1.1",
    is_absolute: bool = False,
) -> RequestHead:
    return RequestHead(
        method="GET",
        target=b"/p?q",
        authority=authority,
        scheme=scheme,
        version=version,
        headers=Headers([(b"Host", authority.encode())]),
        has_body=False,
        length=None,
        is_absolute=is_absolute,
    )


def session(
    target: tuple[str, int] | None = None, sni: str | None = None, *, tls: bool = False
) -> Session:
    client = ClientInfo(address=("127.0.0.1", 1), tls=TLS if tls else None)
    scheme = "https" if tls else "http"
    return Session(client=client, scheme=scheme, target=target, sni=sni)


@pytest.mark.parametrize(
    ("authority", "scheme", "where"),
    [
        ("a.test", "http", ("a.test", 80)),
        ("a.test", "https", ("a.test", 443)),
        ("A.Test:8080", "http", ("a.test", 8080)),
        ("[::1]:81", "http", ("::1", 81)),
    ],
)
def test_outside_of_a_tunnel_it_goes_where_it_says(
    authority: str, scheme: str, where: tuple[str, int]
) -> None:
    request = build_flow(
        head(authority, scheme=scheme, is_absolute=True), Body(), session()
    ).request

    assert (request.host, request.port) == where
    assert request.authority == authority
    assert request.target == b"/p?q"


def test_inside_of_a_tunnel_it_goes_where_that_leads() -> None:
    flow = build_flow(head("other.test"), Body(), session(("a.test", 8443)))

    assert (flow.request.host, flow.request.port) == ("a.test", 8443)
    assert set(flow.hosts()) == {"a.test", "other.test"}


def test_an_absolute_target_inside_of_a_tunnel_leads_elsewhere() -> None:
    asked = head("Other.test:81", is_absolute=True)
    request = build_flow(asked, Body(), session(("a.test", 8443))).request

    assert (request.host, request.port) == ("other.test", 81)


@pytest.mark.parametrize("authority", ["", "a b", "user@a.test", "a:99999", "[::1"])
def test_a_request_that_leads_nowhere(authority: str) -> None:
    with pytest.raises(ClientProtocolError) as raised:
        build_flow(head(authority, is_absolute=True), Body(), session())
    assert raised.value.status == 400


def h2(authority: str) -> RequestHead:
    return head(authority, scheme="https", version="HTTP/2", is_absolute=True)


@pytest.mark.parametrize(
    ("authority", "target", "sni"),
    [
        ("a.test", "a.test", "a.test"),
        ("A.TEST.", "a.test", "a.test"),
        ("a.test:8443", "a.test", "a.test"),
        ("sni.test", "192.0.2.1", "sni.test"),
        ("192.0.2.1", "192.0.2.1", None),
        ("[::1]", "::1", None),
    ],
)
def test_http2_for_the_host_of_the_certificate(
    authority: str, target: str, sni: str | None
) -> None:
    request = build_flow(
        h2(authority), Body(), session((target, 8443), sni, tls=True)
    ).request

    assert (request.host, request.port) == (target, 8443)


@pytest.mark.parametrize(
    ("authority", "target", "sni"),
    [
        ("b.test", "a.test", "a.test"),
        ("a.test", "a.test", "sni.test"),
        ("sub.a.test", "a.test", None),
    ],
)
def test_http2_for_another_host_is_misdirected(
    authority: str, target: str, sni: str | None
) -> None:
    with pytest.raises(ClientProtocolError) as raised:
        build_flow(h2(authority), Body(), session((target, 443), sni, tls=True))
    assert raised.value.status == 421
