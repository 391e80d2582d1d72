import ssl
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.tls.client_hello import (
    MAX_CLIENT_HELLO_BYTES,
    MAX_CLIENT_HELLO_RECORDS,
    BadClientHello,
    ClientHello,
    NeedMore,
    NotTls,
    parse_client_hello,
)

CAPTURED = sorted((Path(__file__).parent / "data").glob("*.bin"))
CAPTURED_IDS = [path.stem for path in CAPTURED]


def openssl_hello(
    host: str | None = "example.test", alpn: tuple[str, ...] = ()
) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname = False
    if alpn:
        context.set_alpn_protocols(list(alpn))
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=host)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def vector(width: int, content: bytes) -> bytes:
    return len(content).to_bytes(width, "big") + content


def extension(kind: int, content: bytes) -> bytes:
    return struct.pack(">H", kind) + vector(2, content)


def sni(*names: bytes, kind: int = 0) -> bytes:
    return extension(
        0, vector(2, b"".join(bytes([kind]) + vector(2, name) for name in names))
    )


def body(
    *extensions: bytes, session_id: bytes = b"", suites: bytes = b"\x13\x01"
) -> bytes:
    return (
        b"\x03\x03"
        + bytes(32)
        + vector(1, session_id)
        + vector(2, suites)
        + vector(1, b"\x00")
        + vector(2, b"".join(extensions))
    )


def message(content: bytes) -> bytes:
    return b"\x01" + vector(3, content)


def records(content: bytes, size: int = 1 << 14) -> bytes:
    return b"".join(
        b"\x16\x03\x01" + vector(2, content[start : start + size])
        for start in range(0, len(content), size)
    )


def hello(*extensions: bytes) -> bytes:
    return records(message(body(*extensions)))


def parsed(data: bytes) -> ClientHello:
    result = parse_client_hello(data)
    assert isinstance(result, ClientHello)
    return result


@pytest.mark.parametrize("path", CAPTURED, ids=CAPTURED_IDS)
def test_captured_hellos_say_what_the_client_was_told(path: Path) -> None:
    data = path.read_bytes()
    result = parsed(data)
    assert result.sni == "example.test"
    has_no_alpn = path.stem in ("nss", "openssl-tls12")
    assert result.alpn == (() if has_no_alpn else (b"h2", b"http/1.1"))
    assert result.raw_len == len(data)


@pytest.mark.parametrize("path", CAPTURED, ids=CAPTURED_IDS)
def test_every_prefix_asks_for_more_but_never_too_much(path: Path) -> None:
    data = path.read_bytes()
    for end in range(len(data)):
        result = parse_client_hello(data[:end])
        assert isinstance(result, NeedMore)
        assert end < result.at_least <= len(data)


def test_what_is_needed_is_exact_once_the_length_is_known() -> None:
    data = (CAPTURED[0]).read_bytes()
    assert parse_client_hello(data[:9]) == NeedMore(at_least=len(data))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 100, 400])
def test_a_hello_in_many_records(size: int) -> None:
    content = openssl_hello(alpn=("h2",))[5:]
    content = content if size > 10 else message(body())
    data = records(content, size)
    for end in range(len(data)):
        result = parse_client_hello(data[:end])
        assert isinstance(result, NeedMore)
        assert end < result.at_least <= len(data)
    assert parsed(data).raw_len == len(data)


def test_bytes_after_the_hello_are_not_its_own() -> None:
    data = openssl_hello()
    assert parsed(data + b"\x17\x03\x03").raw_len == len(data)


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("EXAMPLE.Test", "example.test"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("under_score.test", "under_score.test"),
        ("localhost", "localhost"),
        (None, None),
    ],
)
def test_the_name_in_an_openssl_hello(sent: str | None, seen: str | None) -> None:
    assert parsed(openssl_hello(sent)).sni == seen


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        (b"example.test.", "example.test"),
        (b"127.0.0.1", None),
        (b"::1", None),
        (b"[::1]", None),
        (b"a..b", None),
        (b"a\x00.test", None),
        (b"evil test", None),
        (b"../../etc", None),
        (b"-a.test", None),
        (b"b\xc3\xbccher.example", None),
        (b"x" * 64 + b".test", None),
        (b".".join([b"x" * 49] * 6), None),
        (b".", None),
    ],
)
def test_names_that_are_no_host_names_are_none(name: bytes, seen: str | None) -> None:
    assert parsed(hello(sni(name))).sni == seen


def test_a_name_of_another_type_is_skipped() -> None:
    assert parsed(hello(sni(b"x", kind=7))).sni is None


def test_grease_is_left_out() -> None:
    alpn = extension(16, vector(2, vector(1, b"\xfa\xfa") + vector(1, b"h2")))
    assert parsed(hello(extension(0x0A0A, b""), alpn)).alpn == (b"h2",)


def test_a_hello_without_extensions() -> None:
    old = message(body()[:-2])
    assert parsed(records(old)) == ClientHello(sni=None, alpn=(), raw_len=len(old) + 5)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(hello(sni(b"a"), sni(b"b")), "extension 0 twice", id="twice"),
        pytest.param(hello(sni(b"a", b"b")), "two hosts", id="two-names"),
        pytest.param(hello(sni()), "empty server name list", id="no-names"),
        pytest.param(hello(sni(b"")), "empty server name", id="empty-name"),
        pytest.param(hello(extension(0, b"")), "past its end", id="empty-sni"),
        pytest.param(
            hello(extension(0, b"\x00\x04\x00\x00\x01a?")),
            "follow the server name",
            id="sni-tail",
        ),
        pytest.param(hello(extension(16, b"\0\0")), "empty ALPN list", id="no-alpn"),
        pytest.param(
            hello(extension(16, b"\0\1\0")), "empty ALPN name", id="empty-alpn"
        ),
        pytest.param(hello(b"\0\0\0"), "past its end", id="half-an-extension"),
        pytest.param(
            records(message(body(suites=b"\1\2\3"))), "past its end", id="odd-suites"
        ),
        pytest.param(
            records(message(body(session_id=bytes(33)))), "session id", id="session-id"
        ),
        pytest.param(
            records(message(body(suites=b""))), "empty cipher suite", id="no-suites"
        ),
        pytest.param(records(message(body() + b"?")), "extensions", id="body-tail"),
        pytest.param(records(message(body()) + b"?"), "bytes follow", id="record-tail"),
        pytest.param(records(b"\x02" + vector(3, body())), "message 2", id="server"),
        pytest.param(b"\x16\x03\x01\x00\x00", "0 bytes", id="empty-record"),
        pytest.param(b"\x16\x03\x01\x40\x01", "16385 bytes", id="huge-record"),
        pytest.param(b"\x80\x2e\x01\x00\x02", "SSL 2.0", id="ssl2"),
        pytest.param(
            records(message(body()), 20)[:25] + b"\x15\x03\x03\x00\x02",
            "breaks off",
            id="alert-within",
        ),
    ],
)
def test_malformed_hellos_are_refused_by_name(data: bytes, says: str) -> None:
    with pytest.raises(BadClientHello, match=says):
        parse_client_hello(data)


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n", b"PRI * HTTP/2.0", b"\x05\x01\x00", b"\x16\x02", b"\x80ab"],
)
def test_other_protocols_are_not_tls(data: bytes) -> None:
    with pytest.raises(NotTls):
        parse_client_hello(data)


def test_the_announced_size_is_limited_before_it_arrives() -> None:
    with pytest.raises(BadClientHello, match="larger than"):
        parse_client_hello(b"\x16\x03\x01\x40\x00\x01" + (1 << 20).to_bytes(3, "big"))


def test_the_size_limit_is_on_the_wire_bytes() -> None:
    overhead = len(hello(extension(99, b""))) + 3 * 5
    fits = bytes(MAX_CLIENT_HELLO_BYTES - overhead - 5)
    big = hello(extension(99, fits[5:]))
    assert parsed(big).raw_len <= MAX_CLIENT_HELLO_BYTES
    with pytest.raises(BadClientHello, match="larger than"):
        parse_client_hello(hello(extension(99, fits + bytes(30))))


def test_the_number_of_records_is_limited() -> None:
    content = message(body())
    assert len(content) > MAX_CLIENT_HELLO_RECORDS - 20
    padded = message(body(extension(99, bytes(MAX_CLIENT_HELLO_RECORDS))))
    with pytest.raises(BadClientHello, match="records"):
        parse_client_hello(records(padded, 1))


@given(st.binary(max_size=300))
def test_any_bytes_give_a_value_or_a_named_error(data: bytes) -> None:
    _parse_or_refuse(data)


@given(
    st.sampled_from([path.read_bytes() for path in CAPTURED]),
    st.lists(st.tuples(st.integers(0, 2047), st.integers(0, 255)), max_size=4),
)
def test_damaged_hellos_give_a_value_or_a_named_error(
    data: bytes, damages: list[tuple[int, int]]
) -> None:
    damaged = bytearray(data)
    for position, value in damages:
        damaged[position % len(damaged)] = value
    _parse_or_refuse(bytes(damaged))


def _parse_or_refuse(data: bytes) -> None:
    try:
        result = parse_client_hello(data)
    except (NotTls, BadClientHello):
        return
    if isinstance(result, NeedMore):
        assert len(data) < result.at_least <= MAX_CLIENT_HELLO_BYTES
    else:
        assert result.raw_len <= len(data)


@given(
    extra=st.binary(max_size=3000),
    sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=20),
)
def test_records_of_any_sizes_give_the_same_hello(
    extra: bytes, sizes: list[int]
) -> None:
    content = message(body(sni(b"example.test"), extension(99, extra)))
    data, rest = b"", content
    for size in sizes:
        if rest:
            data += records(rest[:size])
            rest = rest[size:]
    data += records(rest) if rest else b""
    result = parsed(data)
    assert result.sni == "example.test"
    assert result.raw_len == len(data)
