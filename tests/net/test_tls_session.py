"""Two TLS sessions that talk to each other in memory, however their bytes are cut."""

import itertools
import random
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.net.tls_session import MAX_RECORDS_AT_ONCE, SLICE_BYTES, TlsSession
from tests.support.origin_tls import OriginTls, client_context

RECORDS = 16 * 1024


def shaken(origin_tls: OriginTls) -> tuple[TlsSession, TlsSession]:
    """A server and a client after their handshake."""
    server = TlsSession(origin_tls.server(), server_side=True)
    client = TlsSession(
        client_context(origin_tls.ca), server_side=False, server_hostname="localhost"
    )
    is_done = client.shake_hands(b"")
    while not is_done:
        server.shake_hands(client.owed.read())
        is_done = client.shake_hands(server.owed.read())
    assert server.shake_hands(client.owed.read())
    return server, client


def joined(sealed: bytes | list[bytes]) -> bytes:
    return sealed if isinstance(sealed, bytes) else b"".join(sealed)


def some_bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)


SIZES = st.sampled_from([0, 1, 100, RECORDS, RECORDS + 1, SLICE_BYTES, 200_000])


@given(
    pieces=st.lists(SIZES, max_size=4),
    cuts=st.lists(st.integers(0, 300_000), max_size=5),
    in_one=st.booleans(),
)
def test_what_was_sealed_is_unsealed_however_it_arrives(
    origin_tls: OriginTls, pieces: list[int], cuts: list[int], *, in_one: bool
) -> None:
    server, client = shaken(origin_tls)
    data = [some_bytes(size) for size in pieces]
    messages = [data] if in_one else data
    sealed = b"".join(joined(client.seal(message)) for message in messages)

    edges = [0, *sorted(cut for cut in cuts if cut < len(sealed)), len(sealed)]
    arrived = [sealed[a:b] for a, b in itertools.pairwise(edges)]
    plain = b"".join(server.unseal(piece) for piece in arrived)

    assert plain == b"".join(data)
    assert not server.is_over


@pytest.mark.parametrize("end", [b"", b"late"])
def test_a_flood_of_tiny_records_is_unsealed_in_parts(
    origin_tls: OriginTls, end: bytes
) -> None:
    server, client = shaken(origin_tls)
    data = some_bytes(10 * MAX_RECORDS_AT_ONCE)
    sealed = b"".join(joined(client.seal(bytes((one,)))) for one in data)
    assert len(sealed) > 3 * SLICE_BYTES

    parts = [server.unseal(sealed), server.unseal(joined(client.seal(end)))]
    while server.is_behind:
        parts.append(server.unseal(b""))
    server.unseal(client.finish())

    assert b"".join(parts) == data + end
    assert max(map(len, parts)) <= MAX_RECORDS_AT_ONCE
    assert server.is_over


def test_nothing_sealed_is_nothing_to_send(origin_tls: OriginTls) -> None:
    _, client = shaken(origin_tls)
    assert client.seal(b"") == client.seal([]) == client.seal([b"", b""]) == b""


def test_small_pieces_share_a_record(origin_tls: OriginTls) -> None:
    _, client = shaken(origin_tls)
    one, three = client.seal(b"abc"), client.seal([b"a", b"b", b"c"])
    assert len(one) == len(three)


def test_a_large_body_does_not_make_the_buffers_grow(origin_tls: OriginTls) -> None:
    _, client = shaken(origin_tls)
    for sealed in (client.seal(bytes(10**6)), client.seal([b"x", bytes(10**6)])):
        assert not isinstance(sealed, bytes)
        assert max(map(len, sealed)) <= SLICE_BYTES + 1024


def test_the_end_comes_after_what_was_sent_before_it(origin_tls: OriginTls) -> None:
    server, client = shaken(origin_tls)
    sealed = joined(client.seal(b"last words")) + client.finish()

    assert server.unseal(sealed) == b"last words"
    assert server.is_over


@pytest.mark.parametrize("arrived", [0, 3, 5000, 20_000])
def test_our_end_loses_nothing_of_what_comes(
    origin_tls: OriginTls, arrived: int
) -> None:
    server, client = shaken(origin_tls)
    data = some_bytes(30_000)
    sealed = joined(client.seal(data))
    plain = server.unseal(sealed[:arrived])
    assert client.unseal(server.finish()) == b""
    assert client.is_over

    plain += server.unseal(sealed[arrived:])
    assert plain == data
    assert server.unseal(client.finish()) == b""
    assert server.is_over


def test_damage_is_an_error_that_the_peer_is_told_of(origin_tls: OriginTls) -> None:
    server, client = shaken(origin_tls)
    with pytest.raises(ssl.SSLError):
        server.unseal(b"\x17\x03\x03\x00\x20" + b"!" * 32)
    alert = server.owed.read()

    with pytest.raises(ssl.SSLError, match="alert"):
        client.unseal(alert)
    with pytest.raises(ssl.SSLError):
        server.seal(b"more")


def test_a_python_that_keeps_openssl_elsewhere_has_its_wrappers(
    origin_tls: OriginTls, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Elsewhere(ssl.SSLObject):
        __slots__ = ("_sslobj",)

        @property
        def __dict__(self) -> dict[str, object]:  # type: ignore[override]
            return {}

    context = origin_tls.server()
    context.sslobject_class = Elsewhere
    monkeypatch.setattr(origin_tls, "server", lambda: context)
    server, client = shaken(origin_tls)

    assert server.unseal(joined(client.seal(b"question"))) == b"question"
    assert client.unseal(joined(server.seal(b"answer"))) == b"answer"
