from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.tls.host_names import BadHostName, is_dns_name, parse_host


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Example.TEST.", "example.test"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("例え.test", "xn--r8jz45g.test"),
        ("_dmarc.example.test", "_dmarc.example.test"),
        ("localhost", "localhost"),
        ("x" * 63 + ".test", "x" * 63 + ".test"),
    ],
)
def test_dns_names(written: str, name: str) -> None:
    assert parse_host(written) == name


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("[fe80::1%eth0]", "fe80::1"),
        ("fe80::1%25eth0", "fe80::1"),
    ],
)
def test_addresses(written: str, address: str) -> None:
    assert parse_host(written) == ip_address(address)


@pytest.mark.parametrize(
    "written",
    [
        "",
        ".",
        "a..b",
        "a b",
        "a\n.test",
        "a/b",
        "*.test",
        "-a.test",
        "a-.test",
        "1.2.3.400",
        "[::1",
        "[example.test]",
        "x" * 64 + ".test",
        ".".join(["x" * 49] * 6),
        "straße.test",
        "ü" * 300,
        "ü" * 70 + ".test",
        "a\u200db.test",
    ],
)
def test_what_no_certificate_can_name(written: str) -> None:
    with pytest.raises(BadHostName):
        parse_host(written)


@given(st.text(max_size=80))
def test_any_text_gives_a_host_or_the_named_error(text: str) -> None:
    try:
        host = parse_host(text)
    except BadHostName:
        return
    assert parse_host(str(host)) == host
    assert not isinstance(host, str) or is_dns_name(host)
