import gzip
import sqlite3
import zlib
from collections.abc import Callable, Iterator

import pytest
import zstandard

from int3rceptor.store.database import search
from int3rceptor.store.database.schema import TEXT_TABLE
from int3rceptor.store.records import BodyRecord, FlowRecord
from tests.support.journalled import body, flow


@pytest.fixture
def words() -> Iterator[sqlite3.Connection]:
    store = sqlite3.connect(":memory:", isolation_level=None)
    store.execute(TEXT_TABLE.format(name="flow_text"))
    yield store
    store.close()


def found(words: sqlite3.Connection, text: str) -> list[int]:
    rows = words.execute(
        "SELECT rowid FROM flow_text WHERE flow_text MATCH ? ORDER BY rowid",
        (search.match_expression(text),),
    )
    return [flow_id for (flow_id,) in rows]


def add(words: sqlite3.Connection, record: FlowRecord) -> None:
    words.execute(
        "INSERT INTO flow_text (rowid, text) VALUES (?, ?)",
        (record.id, search.text_of(record)),
    )


def answered(number: int, content: bytes, *fields: bytes) -> FlowRecord:
    head = b"HTTP/1.1 200 OK\r\n" + b"".join(field + b"\r\n" for field in fields)
    return flow(
        number,
        response_body=body(content),
        response_received=head,
        response_sent=head,
    )


@pytest.mark.parametrize(
    "text",
    [
        "https://shop.example.com",
        "example.com",
        "/cart/checkout?step=2",
        "checkout",
        "check",
        "X-Api-Key: s3cr3t",
        "x-api-key",
        "HTTP/1.1 404 Not Found",
        "Überweisung",
        "uberweisung",
        "user=alice",
        "connection refused",
    ],
)
def test_flow_is_found_by_what_people_see_of_it(
    words: sqlite3.Connection, text: str
) -> None:
    head = b"GET /cart/checkout?step=2 HTTP/1.1\r\nX-Api-Key: s3cr3t\r\n"
    gone = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html; charset=utf-8\r\n"
    record = flow(
        1,
        host="shop.example.com",
        target=b"/cart/checkout?step=2",
        request_received=head,
        request_sent=head,
        request_body=body(b"user=alice&pin=1"),
        response_received=gone,
        response_sent=gone,
        response_body=body("<b>Überweisung</b>".encode()),
        error="connection refused",
    )
    add(words, flow(2, host="other.test", request_received=b"", request_sent=b""))
    add(words, record)

    assert found(words, text) == [1]


@pytest.mark.parametrize(
    "text", ["absent", '"', "a AND b", "NEAR(", "*", "absent:", "-", "", "\0", "a\0b"]
)
def test_any_text_can_be_asked_for(words: sqlite3.Connection, text: str) -> None:
    add(words, flow(1))

    assert found(words, text) == []


def test_both_forms_of_a_changed_head_are_found(words: sqlite3.Connection) -> None:
    add(
        words,
        flow(
            1,
            request_received=b"GET / HTTP/1.1\r\nCookie: original\r\n",
            request_sent=b"GET / HTTP/1.1\r\nCookie: replaced\r\n",
        ),
    )

    assert found(words, "original") == found(words, "replaced") == [1]


@pytest.mark.parametrize(
    ("coding", "encode"),
    [
        (b"gzip", gzip.compress),
        (b"deflate", zlib.compress),
        (b"zstd", zstandard.ZstdCompressor().compress),
    ],
)
def test_coded_bodies_are_read(
    words: sqlite3.Connection,
    coding: bytes,
    encode: Callable[[bytes], bytes],
) -> None:
    content = encode(b'{"name": "needle"}' + b" " * 1_000)
    add(words, answered(1, content, b"Content-Encoding: " + coding))

    assert found(words, "needle") == [1]


def test_bomb_is_read_to_its_limit_only() -> None:
    bomb = gzip.compress(b"a " * 20_000_000, mtime=0)

    text = search.text_of(
        answered(1, bomb, b"Content-Encoding: gzip", b"Content-Type: text/plain")
    )

    assert len(text) < search.MAX_BODY_BYTES + 1_000


def test_heads_that_come_again_keep_their_own_words(words: sqlite3.Connection) -> None:
    came = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    plain = came.removesuffix(b"Connection: close\r\n")
    packed = plain + b"Content-Encoding: gzip\r\n"
    for number in range(1, 7):
        sent, content = (plain, b"open") if number % 2 else (packed, b"packed")
        add(
            words,
            flow(
                number,
                response_received=came,
                response_sent=sent,
                response_body=body(
                    gzip.compress(content) if sent is packed else content
                ),
            ),
        )

    assert found(words, "Connection: close") == [1, 2, 3, 4, 5, 6]
    assert found(words, "Content-Encoding: gzip") == found(words, "packed") == [2, 4, 6]
    assert found(words, "open") == [1, 3, 5]


def test_long_heads_and_bodies_are_cut() -> None:
    line = b"X-Long: " + b"x " * 100_000
    record = answered(1, b"y " * 100_000, line)

    assert len(search.text_of(record)) < (
        search.MAX_BODY_BYTES + search.MAX_HEAD_BYTES + 1_000
    )


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x89PNG\0\0 needle", b"application/octet-stream"),
        (b"needle", b"image/svg"),
        (b"needle", b"Video/mp4"),
    ],
)
def test_what_is_no_text_is_left_out(
    words: sqlite3.Connection, content: bytes, kind: bytes
) -> None:
    add(words, answered(1, content, b"Content-Type: " + kind))

    assert found(words, "needle") == []


def test_declared_character_set_is_used(words: sqlite3.Connection) -> None:
    content = "größe".encode("utf-16")
    add(words, answered(1, content, b"Content-Type: text/plain; charset=utf-16"))

    assert found(words, "größe") == [1]


@pytest.mark.parametrize("shift", range(4))
def test_limit_inside_a_character_hides_nothing(
    words: sqlite3.Connection, shift: int
) -> None:
    # No declared type: what is not wholly UTF-8 would count as binary.
    content = b"needle " + b"x" * shift + "😀".encode() * search.MAX_BODY_BYTES
    add(words, answered(1, content))

    assert found(words, "needle") == [1]


def test_body_that_is_cut_by_the_journal_is_read_too(
    words: sqlite3.Connection,
) -> None:
    content = b"needle " + "€".encode()[:2]
    record = flow(1, response_body=BodyRecord(size=5_000, content=content))
    add(words, record)

    assert found(words, "needle") == [1]
