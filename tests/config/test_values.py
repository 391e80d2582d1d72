import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.config.values import address, host_pattern, parse_address


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("localhost:0", ("localhost", 0)),
        ("10.0.0.1:65535", ("10.0.0.1", 65535)),
        ("[::1]:8080", ("::1", 8080)),
        ("[fe80::1%eth0]:1", ("fe80::1%eth0", 1)),
    ],
)
def test_address_is_host_and_port(text: str, parsed: tuple[str, int]) -> None:
    assert parse_address(text) == parsed
    assert address(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "", ":", ":80", "host", "host:", "::1:80", "[::1]", "[]:80", "[::1]80",
        "host:-1", "host:65536", "host:8o", "host:٣", "a b:1", "h:1\n", "http://h:1",
        "user@host:1",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"address|too large"):
        parse_address(text)


@given(st.text(max_size=40))
def test_no_text_breaks_the_address_parser(text: str) -> None:
    try:
        host, port = parse_address(text)
    except ValueError:
        return
    assert host
    assert 0 <= port <= 65535


@pytest.mark.parametrize(
    "text", ["example.com", "*", "*.example.com:443", "[::1]", "[2001:db8:*]:8443"]
)
def test_host_pattern_is_a_glob_with_an_optional_port(text: str) -> None:
    assert host_pattern(text) == text


def test_host_pattern_is_kept_in_lower_case() -> None:
    assert host_pattern("*.Example.COM:443") == "*.example.com:443"


@pytest.mark.parametrize(
    "text", ["", "a b", "a,b", "host:0", "host:65536", "host:x", "https://h", "::1"]
)
def test_what_is_no_host_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"pattern|port"):
        host_pattern(text)
