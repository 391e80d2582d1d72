"""HPACK by the examples of RFC 7541, appendix C, and against another implementation."""

import re

import hpack
import pytest
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.table import HeaderTable
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.wire.h2.faults import ConnectionFault, H2Code
from int3rceptor.wire.h2.hpack import decoder as hpack_decoder
from int3rceptor.wire.h2.hpack import huffman
from int3rceptor.wire.h2.hpack.decoder import MAX_OVERDUE_BYTES, Decoder
from int3rceptor.wire.h2.hpack.encoder import MAX_KNOWN_LITERALS, Encoder
from int3rceptor.wire.h2.hpack.table import STATIC, Field, NeverIndexed, entry_bytes

LARGE = 131_072

# RFC 7541, C.3 to C.6: a connection's blocks, and what each means.
REQUESTS = (
    (
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "www.example.com"),
    ),
    (
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "www.example.com"),
        ("cache-control", "no-cache"),
    ),
    (
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/index.html"),
        (":authority", "www.example.com"),
        ("custom-key", "custom-value"),
    ),
)
DATES = ("Mon, 21 Oct 2013 20:13:21 GMT", "Mon, 21 Oct 2013 20:13:22 GMT")
LOCATION = ("location", "https://www.example.com")
COOKIE = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"
RESPONSES = (
    ((":status", "302"), ("cache-control", "private"), ("date", DATES[0]), LOCATION),
    ((":status", "307"), ("cache-control", "private"), ("date", DATES[0]), LOCATION),
    (
        (":status", "200"),
        ("cache-control", "private"),
        ("date", DATES[1]),
        LOCATION,
        ("content-encoding", "gzip"),
        ("set-cookie", COOKIE),
    ),
)
EXAMPLES = {
    "C.3": (
        REQUESTS,
        "828684410f7777772e6578616d706c652e636f6d",
        "828684be58086e6f2d6361636865",
        "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
    ),
    "C.4": (
        REQUESTS,
        "828684418cf1e3c2e5f23a6ba0ab90f4ff",
        "828684be5886a8eb10649cbf",
        "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
    ),
    "C.5": (
        RESPONSES,
        (
            "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a"
            "323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d"
        ),
        "4803333037c1c0bf",
        (
            "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69"
            "707738666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d6178"
            "2d6167653d333630303b2076657273696f6e3d31"
        ),
    ),
    "C.6": (
        RESPONSES,
        (
            "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29"
            "ad171863c78f0b97c8e9ae82ae43d3"
        ),
        "4883640effc1c0bf",
        (
            "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7"
            "f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d50"
            "07"
        ),
    ),
}


def as_bytes(fields: tuple[tuple[str, str], ...]) -> list[Field]:
    return [(name.encode(), value.encode()) for name, value in fields]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_the_specification(name: str) -> None:
    messages, *blocks = EXAMPLES[name]
    decoder = Decoder(LARGE)
    if messages is RESPONSES:
        decoder.decode(b"\x3f\xe1\x01")  # a table of 256 bytes, as it stands there

    for fields, block in zip(messages, blocks, strict=True):
        assert decoder.decode(bytes.fromhex(block)) == as_bytes(fields)


def test_the_static_table() -> None:
    assert tuple(STATIC[1:]) == HeaderTable.STATIC_TABLE


# --- the Huffman code -----------------------------------------------------------------

ORACLE = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)


@given(st.binary(max_size=60))
def test_huffman_agrees_and_comes_back(text: bytes) -> None:
    coded = huffman.encode(text)
    assert coded == ORACLE.encode(text)
    assert huffman.decode(coded) == text


def test_every_symbol_follows_every_other() -> None:
    text = b"".join(bytes((one, other)) for one in range(256) for other in range(256))
    assert huffman.decode(huffman.encode(text)) == text


@pytest.mark.parametrize(
    "coded",
    [b"\xff", b"\x1f\xff", b"\xff\xff\xff\xff", b"\xff\xff\xff\xfc", b"\x00", b"\x1c"],
    ids=["byte", "byte more", "eos", "eos first", "padding of 0", "padding not of 1"],
)
def test_broken_padding_and_eos_are_refused(coded: bytes) -> None:
    assert huffman.decode(coded) is None


@given(st.binary(max_size=12))
def test_any_bytes_are_decoded_alike(coded: bytes) -> None:
    try:
        expected = hpack.huffman_table.decode_huffman(coded)
    except hpack.HPACKDecodingError:
        expected = None
    assert huffman.decode(coded) == expected


# --- against another decoder ----------------------------------------------------------

names = st.sampled_from(
    [b":path", b":status", b"cookie", b"date", b"etag", b"x-a", b"x-b", b"x" * 300, b""]
)
values = st.one_of(
    st.sampled_from([b"", b"/", b"200", b"a=1", b"v" * 600, b"w" * 5000]),
    st.binary(max_size=6),
)
lists = st.lists(st.tuples(names, values), max_size=8)


@given(st.lists(lists, max_size=12), st.data())
def test_what_another_encoder_says_is_understood(
    messages: list[list[Field]], data: st.DataObject
) -> None:
    encoder, decoder = hpack.Encoder(), Decoder(LARGE)
    for fields in messages:
        if data.draw(st.booleans()):
            encoder.header_table_size = data.draw(st.integers(0, 4096))
        secret = data.draw(st.booleans())
        block = encoder.encode(
            [hpack.NeverIndexedHeaderTuple(*one) if secret else one for one in fields],
            huffman=data.draw(st.booleans()),
        )
        assert decoder.decode(block) == fields
        assert decoder.decode(b"") == []


@given(st.lists(lists, max_size=12), st.data())
def test_what_we_say_is_understood_by_another_decoder(
    messages: list[list[Field]], data: st.DataObject
) -> None:
    encoder, decoder, ours = Encoder(), hpack.Decoder(LARGE), Decoder(LARGE)
    for fields in messages:
        for size in data.draw(st.lists(st.integers(0, 9000), max_size=3)):
            encoder.allow(size)
        block = encoder.encode(fields)
        assert list(decoder.decode(block, raw=True)) == fields
        assert ours.decode(block) == fields


MANY_UPDATES = re.compile(rb"(?:[\x20-\x3e]|\x3f[\x80-\xff]*+[\x00-\x7f]){3}")


def _blocks() -> st.SearchStrategy[bytes]:
    string = st.binary(max_size=5).map(lambda one: bytes((len(one),)) + one)
    coded = st.binary(max_size=5).map(lambda one: bytes((len(one) | 0x80,)) + one)
    part = st.one_of(
        st.integers(0x80, 0xFF).map(lambda byte: bytes((byte,))),
        st.integers(0x20, 0x3F).map(lambda byte: bytes((byte,))),
        st.builds(
            lambda first, string: bytes((first,)) + string,
            st.sampled_from([0x41, 0x44, 0x7E, 0x04, 0x14, 0x1E]),
            string | coded,
        ),
        st.builds(
            lambda first, name, value: bytes((first,)) + name + value,
            st.sampled_from([0x40, 0x00, 0x10]),
            string,
            string | coded,
        ),
        st.binary(max_size=3),
    )
    return st.lists(part, max_size=8).map(b"".join)


@given(st.lists(st.one_of(_blocks(), st.binary(max_size=12)), max_size=8))
def test_any_blocks_mean_the_same_to_both(blocks: list[bytes]) -> None:
    # Twice each, for what is remembered of the first time.
    blocks = [block for block in blocks for _ in range(2)]
    oracle, decoder = hpack.Decoder(LARGE), Decoder(LARGE)
    for block in blocks:
        try:
            expected = list(oracle.decode(block, raw=True))
        except hpack.HPACKError:
            with pytest.raises(ConnectionFault) as refused:
                decoder.decode(block)
            assert refused.value.code == H2Code.COMPRESSION_ERROR
            return
        if MANY_UPDATES.match(block):
            return  # of which hpack takes any number
        fields = decoder.decode(block)
        assert fields == expected
        secret = [isinstance(one, NeverIndexed) for one in fields]
        other = [isinstance(one, hpack.NeverIndexedHeaderTuple) for one in expected]
        assert secret == other


# --- limits ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "block",
    [
        b"\x80",
        b"\xbe",
        b"\xff\x80\x80\x80\x80\x80\x00",
        b"\x40\x05ab",
        b"\x40\x81\xff\x01a",
        b"\x41",
        b"\x82\x20",
        b"\x3f\xe2\x1f",
        b"\x7f",
        b"\x20\x3f\xe1\x1f\x20",
    ],
    ids=[
        "index 0", "no such entry", "long number", "cut name", "huffman", "no value",
        "late update", "large table", "cut number", "third update",
    ],
)  # fmt: skip
def test_broken_blocks_are_compression_errors(block: bytes) -> None:
    with pytest.raises(ConnectionFault) as refused:
        Decoder(LARGE).decode(block)
    assert refused.value.code == H2Code.COMPRESSION_ERROR


def test_decoding_stops_at_its_limit() -> None:
    bomb = b"\x40\x01a\x7f\xa1\x1e" + b"b" * 4000 + b"\xbe" * 60
    with pytest.raises(ConnectionFault) as calm:
        Decoder(LARGE).decode(bomb)
    assert calm.value.code == H2Code.ENHANCE_YOUR_CALM


def test_an_entry_is_looked_at_once_when_it_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A table that is full, and asked for after each insertion, costs no more."""
    looked_at = 0

    def counted(field: Field) -> int:
        nonlocal looked_at
        looked_at += 1
        return entry_bytes(field)

    monkeypatch.setattr(hpack_decoder, "entry_bytes", counted)
    decoder = Decoder(LARGE)
    for number in range(100):
        fresh = [b"\x40\x01a\x02%02d\xbe" % step for step in range(10)]
        decoder.decode(b"\x00\x01n\x02%02d" % number + b"".join(fresh))
    assert looked_at <= 3 * 1000


def test_a_block_is_not_remembered_past_a_change_of_the_table() -> None:
    decoder = Decoder(LARGE)
    decoder.decode(b"\x40\x01a\x01b")
    assert decoder.decode(b"\xbe") == [(b"a", b"b")]
    assert decoder.decode(b"\xbe") == [(b"a", b"b")]
    decoder.decode(b"\x40\x01c\x01d")
    assert decoder.decode(b"\xbe") == [(b"c", b"d")]
    decoder.decode(b"\x20")
    with pytest.raises(ConnectionFault):
        decoder.decode(b"\xbe")


@pytest.mark.parametrize("later", range(1, 120, 7))
def test_entries_past_the_tables_limit_are_none(later: int) -> None:
    """A block that always puts the same into the table is not followed at once."""
    block = b"".join(b"\x40\x01%c\x40" % name + b"v" * 64 for name in b"abcdef")
    other, ours = hpack.Decoder(LARGE), Decoder(LARGE)
    for _ in range(later):
        expected = list(other.decode(block, raw=True))
        assert ours.decode(block) == expected
    assert ours._size <= 4_096 + MAX_OVERDUE_BYTES
    for index in range(62, 160):
        named = bytes((index | 0x80,)) if index < 0x7F else b"\xff%c" % (index - 0x7F)
        try:
            expected = list(other.decode(named, raw=True))
        except hpack.HPACKError:
            with pytest.raises(ConnectionFault):
                ours.decode(named)
            break
        assert ours.decode(named) == expected


def test_what_is_remembered_is_bounded() -> None:
    decoder, encoder = Decoder(LARGE), Encoder()
    for number in range(5 * MAX_KNOWN_LITERALS):
        path = b"/%d" % number
        decoder.decode(hpack.Encoder().encode([(b":path", path)]))
        decoder.decode(b"\x04" + hpack.Encoder().encode([(b":path", path)])[1:])
        encoder.encode([(b":path", path)])
    assert len(decoder._known) <= 32
    assert len(decoder._known_until_change) <= 32
    assert len(decoder._strings) <= 128
    assert len(encoder._codes) <= MAX_KNOWN_LITERALS + 16


def test_secrets_that_can_be_guessed_are_never_indexed() -> None:
    fields: list[Field] = [
        (b"authorization", b"Basic " + b"x" * 40),
        (b"cookie", b"a=1"),
        (b"cookie", b"session=" + b"x" * 40),
        NeverIndexed((b"x-secret", b"1")),
        (b"x-secret", b"1"),
        NeverIndexed((b":method", b"GET")),
    ]
    encoder, decoder = Encoder(), hpack.Decoder()
    for _ in range(2):
        decoded = list(decoder.decode(encoder.encode(fields), raw=True))
        assert decoded == fields
        never = [isinstance(one, hpack.NeverIndexedHeaderTuple) for one in decoded]
        assert never == [True, True, False, True, False, True]
