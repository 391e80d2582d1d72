"""Authorities: what is accepted, what is refused, and the way back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.errors import ClientProtocolError
from int3rceptor.model.message import format_authority
from int3rceptor.wire import authority as authorities
from int3rceptor.wire.authority import MAX_KNOWN_AUTHORITY_CHARS, parse_authority


@pytest.mark.parametrize(
    ("authority", "host", "port"),
    [
        ("example.com", "example.com", 80),
        ("Example.COM:8080", "Example.COM", 8080),
        ("example.com.", "example.com.", 80),
        ("example.com:", "example.com", 80),
        ("my_host:00443", "my_host", 443),
        ("[::1]", "::1", 80),
        ("[2001:DB8::1]:65535", "2001:DB8::1", 65535),
        ("[::ffff:1.2.3.4]:1", "::ffff:1.2.3.4", 1),
        ("1.2.3.4:9", "1.2.3.4", 9),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", 80),
        ("bücher.example", "bücher.example", 80),
        (b"b\xfccher.example", "b\udcfccher.example", 80),
        ("a%20b", "a%20b", 80),
    ],
)
def test_accepted(authority: str | bytes, host: str, port: int) -> None:
    assert parse_authority(authority, 80) == (host, port)


@pytest.mark.parametrize(
    "authority",
    ["", ":80", "a:0", "a:65536", "a:100000", "a:+1", "a:-1", "a: 1", "a:b", "a:1:2",
     "u@a", "u:p@a:1", "a b", " a", "a ", "a\t", "a/", "a/b", "a?b", "a#b", "a\\b",
     "http://a", "::1", "[::1", "::1]", "[]", "[:::]", "[1.2.3.4]", "[::1]a",
     "[::1%25a]", "[v1.a]",
     "a\r\n", "a\n", "a\x00", "a%2", "a%zz", "a<b", 'a"b', "a|b", "{a}"],
)  # fmt: skip
def test_refused(authority: str) -> None:
    with pytest.raises(ClientProtocolError, match="invalid authority"):
        parse_authority(authority, 80)


@given(
    st.one_of(
        st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20})", fullmatch=True),
        st.ip_addresses().map(str),
    ),
    st.integers(1, 65535),
)
def test_a_formatted_authority_parses_back(host: str, port: int) -> None:
    assert parse_authority(format_authority(host, port, "http"), 80) == (host, port)


@given(st.one_of(st.text(max_size=30), st.binary(max_size=30)))
def test_nothing_else_is_raised_and_ports_are_in_range(authority: str | bytes) -> None:
    try:
        host, port = parse_authority(authority, 80)
    except ClientProtocolError:
        return
    assert host
    assert 0 < port < 65536
    assert not set(host) & set(" /@\\\r\n\x00")


@pytest.mark.parametrize(("chars", "kept"), [(0, 1), (1, 0)])
def test_only_short_authorities_are_remembered(chars: int, kept: int) -> None:
    """What strangers send must not fill the memory."""
    name = "a" * (MAX_KNOWN_AUTHORITY_CHARS + chars)
    authorities._known.cache_clear()

    assert parse_authority(name, 80) == parse_authority(name, 80) == (name, 80)
    assert authorities._known.cache_info().currsize == kept
