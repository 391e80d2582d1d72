import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.wire.sniff import H2_PREFACE, MAX_METHOD_BYTES, Speech, sniff

TOKEN = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_!", min_size=1)
BEGINNINGS = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            b"\x16\x03\x01\x02\x00",
            b"\x16\x02",
            b"\x05\x01\x00",
            b"\x04\x01",
            H2_PREFACE,
            b"CONNECT a:1 HTTP/1.1\r\n",
            b"\r\n\r\nGET / HTTP/1.1\r\n",
            b"PRI ",
            b"PROPFIND /",
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"\r\n" * 30,
        ]
    ),
)


@pytest.mark.parametrize(
    ("data", "speech"),
    [
        (b"", Speech.UNDECIDED),
        (b"\x16", Speech.UNDECIDED),
        (b"\x16\x03", Speech.TLS),
        (b"\x16\x03\x01\x02\x00\x01", Speech.TLS),
        (b"\x16\x02", Speech.OTHER),
        (b"\x80\x2e\x01\x00\x02", Speech.OTHER),  # SSL 2.0
        (b"\x04\x01\x00\x50", Speech.SOCKS),
        (b"\x05\x01\x00", Speech.SOCKS),
        (b"CONNECT a:443 HTTP/1.1", Speech.CONNECT),
        (b"CONNECT ", Speech.CONNECT),
        (b"CONNECT", Speech.UNDECIDED),
        (b"CONNECTX ", Speech.HTTP1),
        (b"\r\nCONNECT a:443", Speech.CONNECT),
        (b"GET ", Speech.HTTP1),
        (b"get / HTTP/1.1", Speech.HTTP1),
        (b"M-SEARCH * HTTP/1.1", Speech.HTTP1),
        (b"\r\n\r\nGET / HTTP/1.1", Speech.HTTP1),
        (b"P", Speech.UNDECIDED),
        (b"POST /", Speech.HTTP1),
        (H2_PREFACE[:-1], Speech.UNDECIDED),
        (H2_PREFACE, Speech.HTTP2),
        (H2_PREFACE + b"\0\0\0\x04", Speech.HTTP2),
        (b"PRI * HTTP/1.1\r\n", Speech.HTTP1),
        (b"SSH-2.0-OpenSSH\r\n", Speech.OTHER),
        (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", Speech.OTHER),  # PostgreSQL
        (b"A" * MAX_METHOD_BYTES, Speech.UNDECIDED),
        (b"A" * (MAX_METHOD_BYTES + 1), Speech.OTHER),
    ],
)
def test_what_begins_so(data: bytes, speech: Speech) -> None:
    assert sniff(data) is speech


@given(BEGINNINGS, st.binary(max_size=20))
def test_a_decision_stands_whatever_follows(data: bytes, more: bytes) -> None:
    decided = sniff(data)
    if decided is not Speech.UNDECIDED:
        assert sniff(data + more) is decided


@given(TOKEN.filter(lambda method: len(method) <= MAX_METHOD_BYTES))
def test_every_method_is_http(method: str) -> None:
    expected = Speech.CONNECT if method == "CONNECT" else Speech.HTTP1

    assert sniff(method.encode() + b" / HTTP/1.1\r\n") is expected


@given(BEGINNINGS)
def test_it_is_decided_the_same_however_it_arrives(data: bytes) -> None:
    decisions = [sniff(data[:end]) for end in range(len(data) + 1)]
    first = next((one for one in decisions if one is not Speech.UNDECIDED), None)

    assert first is None or decisions[-1] is first


@given(st.binary(min_size=200, max_size=300))
def test_so_many_bytes_decide(data: bytes) -> None:
    assert sniff(data) is not Speech.UNDECIDED


def test_empty_lines_decide_in_the_end() -> None:
    assert sniff(b"\r\n" * 1000) is not Speech.UNDECIDED
