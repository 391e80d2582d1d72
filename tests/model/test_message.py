import pytest

from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Request, Response, format_authority


def request_to(
    host: str = "example.com",
    port: int = 443,
    target: bytes = b"/a?b",
    scheme: str = "https",
    headers: Headers | None = None,
    method: str = "GET",
) -> Request:
    return Request(
        method=method,
        scheme=scheme,
        host=host,
        port=port,
        target=target,
        authority=host,
        version="HTTP/1.1",
        headers=headers or Headers(),
    )


@pytest.mark.parametrize(
    ("host", "port", "scheme", "shown"),
    [
        ("example.com", 443, "https", "example.com"),
        ("example.com", 80, "https", "example.com:80"),
        ("example.com", 80, "http", "example.com"),
        ("example.com", 443, "http", "example.com:443"),
        ("::1", 443, "https", "[::1]"),
        ("::1", 8443, "https", "[::1]:8443"),
        ("example.com", 443, "other", "example.com:443"),
    ],
)
def test_authority(host: str, port: int, scheme: str, shown: str) -> None:
    assert format_authority(host, port, scheme) == shown


def test_url() -> None:
    assert request_to().url == "https://example.com/a?b"
    assert request_to(port=8443).url == "https://example.com:8443/a?b"
    assert request_to(host="::1", scheme="http", port=80).url == "http://[::1]/a?b"
    assert request_to(target=b"*").url == "https://example.com/*"
    asked = request_to(method="CONNECT", port=8443, target=b"example.com:8443")
    assert asked.url == "https://example.com:8443"


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (b"/a", "/a"),
        (b"/a?", "/a?…"),
        (b"/a?token=s3cret", "/a?…"),
        (b"/a?b?token=s3cret", "/a?…"),
        (b"/?s3cret", "/?…"),
        (b"*", "/*"),
    ],
)
def test_a_logged_url_has_no_query(target: bytes, shown: str) -> None:
    assert request_to(target=target).logged_url == f"https://example.com{shown}"


def test_a_target_of_any_bytes_can_be_shown() -> None:
    path = request_to(target=b"/caf\xc3\xa9/\xff").path

    assert path.startswith("/caf\u00e9/")
    assert path.encode("utf-8", "surrogateescape") == b"/caf\xc3\xa9/\xff"


def test_expectation() -> None:
    assert not request_to().expects_continue
    headers = Headers([(b"Expect", b"100-continue")])
    assert request_to(headers=headers).expects_continue


def test_messages_share_nothing_by_default() -> None:
    one, two = Response(status=200), Response(status=200)
    one.headers.add("a", "b")
    one.body.replace(b"x")

    assert two.headers == Headers()
    assert two.body.is_empty
