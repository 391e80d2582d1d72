import asyncio
import gc
import os
import ssl
import sys
import tempfile
import time
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from int3rceptor.errors import ConfigError
from int3rceptor.tls import contexts
from int3rceptor.tls.authority import Authority
from int3rceptor.tls.client_hello import ClientHello, parse_client_hello
from int3rceptor.tls.contexts import (
    LEAF_ROTATION_S,
    OriginContext,
    OriginContexts,
    OriginSslObject,
    OriginVerification,
    ServerContexts,
)
from int3rceptor.tls.minting import Minter
from int3rceptor.tls.verification import OriginCertificateError
from tests.support.origin_tls import OriginTls

HTTP = ("h2", "http/1.1")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.load_or_create(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def server_contexts(authority: Authority) -> ServerContexts:
    return ServerContexts(Minter(authority), max_contexts=4)


@pytest.fixture(scope="module")
def origin_tls(tmp_path_factory: pytest.TempPathFactory) -> OriginTls:
    return OriginTls(tmp_path_factory.mktemp("origins"))


@pytest.fixture(autouse=True)
def no_system_trust(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The machine's own roots play no part, and take 50 ms a time to load."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))


def shake_hands(
    server: ssl.SSLContext, client: ssl.SSLContext, host: str
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends of a handshake in memory, driven until both are done."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    serving = server.wrap_bio(to_server, to_client, server_side=True)
    asking = client.wrap_bio(to_client, to_server, server_hostname=host)
    waiting = [asking, serving]
    for _ in range(10):
        for end in list(waiting):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(end)
        if not waiting:
            return serving, asking
    raise AssertionError("the handshake does not end")


def client_of(authority: Authority, *alpn: str) -> ssl.SSLContext:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=authority.certificate_pem.decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    if alpn:
        client.set_alpn_protocols(list(alpn))
    return client


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    "host", ["example.test", "127.0.0.1", "::1", "a." * 40 + "test"]
)
def test_clients_that_trust_the_ca_accept_the_context(
    authority: Authority,
    server_contexts: ServerContexts,
    version: ssl.TLSVersion,
    host: str,
) -> None:
    client = client_of(authority, *HTTP)
    client.maximum_version = version
    _, asking = shake_hands(server_contexts.get(host, HTTP), client, host)
    assert asking.version() == version.name.replace("_", ".")
    assert asking.selected_alpn_protocol() == "h2"
    assert asking.compression() is None


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_1_1_is_refused(
    authority: Authority, server_contexts: ServerContexts
) -> None:
    client = client_of(authority)
    client.set_ciphers("ALL:@SECLEVEL=0")
    client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match="unsupported protocol"):
        shake_hands(server_contexts.get("example.test", ()), client, "example.test")


def test_one_context_per_host_and_protocols(server_contexts: ServerContexts) -> None:
    first = server_contexts.get("example.test", HTTP)
    assert server_contexts.get("Example.TEST.", HTTP) is first
    assert server_contexts.get("example.test", ("http/1.1",)) is not first
    assert server_contexts.get("other.test", HTTP) is not first


def test_one_leaf_per_host(
    authority: Authority, server_contexts: ServerContexts
) -> None:
    leaves = set()
    for alpn in (HTTP, ("http/1.1",), ()):
        context = server_contexts.get("example.test", alpn)
        _, asking = shake_hands(context, client_of(authority), "example.test")
        leaves.add(asking.getpeercert(True))
    assert len(leaves) == 1


def test_the_least_recently_used_context_goes(server_contexts: ServerContexts) -> None:
    kept = server_contexts.get("kept.test", HTTP)
    gone = server_contexts.get("gone.test", HTTP)
    for name in ("c", "d", "e"):
        assert server_contexts.get("kept.test", HTTP) is kept
        server_contexts.get(f"{name}.test", HTTP)
    assert server_contexts.get("kept.test", HTTP) is kept
    assert server_contexts.get("gone.test", HTTP) is not gone


def test_leaves_are_rotated_long_before_they_expire(
    authority: Authority,
    server_contexts: ServerContexts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1_800_000_000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    first = server_contexts.get("example.test", HTTP)
    assert server_contexts.get("example.test", HTTP) is first
    now[0] += LEAF_ROTATION_S
    assert server_contexts.get("example.test", HTTP) is not first


def test_without_memory_files_the_key_is_on_disk_only_while_it_loads(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[int] = []
    real_load = ssl.SSLContext.load_cert_chain

    def watch(context: ssl.SSLContext, path: str) -> None:
        loaded.append(Path(path).stat().st_mode & 0o777)
        real_load(context, path)

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watch)
    context = ServerContexts(Minter(authority)).get("example.test", HTTP)
    shake_hands(context, client_of(authority), "example.test")
    assert loaded == [0o600]
    assert list(tmp_path.iterdir()) == []


def test_no_descriptor_is_left(server_contexts: ServerContexts) -> None:
    server_contexts.get("first.test", HTTP)
    before = len(list(Path("/dev/fd").iterdir()))
    for index in range(10):
        server_contexts.get(f"host{index}.test", HTTP)
    assert len(list(Path("/dev/fd").iterdir())) == before


def origin_contexts(
    origin_tls: OriginTls, *, is_verifying: bool = True
) -> OriginContexts:
    return OriginContexts(
        OriginVerification(extra_ca=(origin_tls.ca,), is_verifying=is_verifying)
    )


@asynccontextmanager
async def serve(context: ssl.SSLContext) -> AsyncIterator[int]:
    """An echo server; a client that sees its byte again has got the tickets too."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(await reader.read(1))
            await reader.read()
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def visit(port: int, context: OriginContext, host: str = "localhost") -> bool:
    """Connect, exchange a byte, remember the session; say whether it was resumed."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname=host
    )
    try:
        writer.write(b"x")
        assert await reader.read(1) == b"x"
        ssl_object = writer.get_extra_info("ssl_object")
        context.remember(ssl_object)
        return bool(ssl_object.session_reused)
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_the_second_connection_resumes(
    origin_tls: OriginTls, version: ssl.TLSVersion
) -> None:
    context = origin_contexts(origin_tls).get("localhost:443", HTTP)
    server = origin_tls.server(HTTP)
    server.maximum_version = version
    async with serve(server) as port:
        assert [await visit(port, context) for _ in range(4)] == [False] + [True] * 3


async def test_what_has_ended_is_kept_as_its_session_alone(
    origin_tls: OriginTls,
) -> None:
    context = origin_contexts(origin_tls).get("one", ())
    async with serve(origin_tls.server()) as port:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname="localhost"
        )
        writer.write(b"x")
        await reader.read(1)
        connection = writer.get_extra_info("ssl_object")
        context.remember(connection)
        writer.close()
        await writer.wait_closed()

        context.ended(connection)
        gone = weakref.ref(connection)
        del connection, reader, writer
        gc.collect()
        assert gone() is None
        assert await visit(port, context)


def test_what_cannot_be_resumed_is_let_go(origin_tls: OriginTls) -> None:
    context = origin_contexts(origin_tls).get("one", ())
    server = origin_tls.server()
    server.num_tickets = 0  # TLS 1.3 has nothing else to resume with
    _, connection = shake_hands(server, context, "localhost")
    _, stranger = shake_hands(server, context, "localhost")
    context.remember(connection)
    context.ended(stranger)
    context.ended(connection)
    gone = weakref.ref(connection)
    del connection
    gc.collect()

    assert gone() is None
    assert not shake_hands(server, context, "localhost")[1].session_reused


@pytest.mark.parametrize("is_evicted", [False, True])
def test_where_nobody_will_resume_no_session_is_copied(
    origin_tls: OriginTls, monkeypatch: pytest.MonkeyPatch, is_evicted: bool
) -> None:
    origins = OriginContexts(
        OriginVerification(extra_ca=(origin_tls.ca,)), max_contexts=1
    )
    context = origins.get("one", ())
    server = origin_tls.server()
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    _, before = shake_hands(server, context, "localhost")
    _, after = shake_hands(server, context, "localhost")
    context.remember(before)
    if is_evicted:
        origins.get("two", ())
    else:
        origins.forget_sessions()

    def copied(_: ssl.SSLObject) -> None:
        raise AssertionError("a session was copied")

    monkeypatch.setattr(ssl.SSLObject, "session", property(copied))
    context.remember(after)
    for connection in (before, after):
        context.ended(connection)
    _, third = shake_hands(server, context, "localhost")
    assert not third.session_reused


async def test_sessions_belong_to_one_origin_and_name(origin_tls: OriginTls) -> None:
    origins = origin_contexts(origin_tls)
    async with serve(origin_tls.server()) as port:
        first = origins.get("localhost:1", HTTP)
        assert origins.get("localhost:1", HTTP) is first
        assert not await visit(port, first)
        assert not await visit(port, origins.get("localhost:2", HTTP))
        assert not await visit(port, origins.get("localhost:1", ("http/1.1",)))
        assert not await visit(port, first, "127.0.0.1")


def test_a_session_of_another_context_is_not_kept(origin_tls: OriginTls) -> None:
    origins = origin_contexts(origin_tls)
    server = origin_tls.server(HTTP)
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    _, asking = shake_hands(server, origins.get("one", HTTP), "localhost")
    other = origins.get("one", ("http/1.1",))
    other.remember(asking)
    _, asking = shake_hands(server, other, "localhost")
    assert not asking.session_reused
    other.remember(asking)
    _, asking = shake_hands(server, other, "localhost")
    assert asking.session_reused


async def test_the_host_name_is_verified_where_a_session_is_known(
    origin_tls: OriginTls,
) -> None:
    context = origin_contexts(origin_tls).get("one", ())
    async with serve(origin_tls.server()) as port:
        await visit(port, context)
        with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
            await visit(port, context, "elsewhere.test")


async def test_a_session_is_used_once(origin_tls: OriginTls) -> None:
    context = origin_contexts(origin_tls).get("one", ())
    async with serve(origin_tls.server()) as port:
        await visit(port, context)
        resumed = []
        for _ in range(2):
            _, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=context, server_hostname="localhost"
            )
            resumed.append(writer.get_extra_info("ssl_object").session_reused)
            writer.close()
            await writer.wait_closed()
        assert resumed == [True, False]


async def test_a_verification_does_not_count_for_ever(
    origin_tls: OriginTls, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = origin_contexts(origin_tls).get("one", ())
    async with serve(origin_tls.server()) as port:
        now = time.monotonic()
        for after_s, is_resumed in (
            (0, False),
            (2000, True),
            (3500, True),
            (3700, False),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(contexts, "_now", lambda at=now + after_s: at)
                assert await visit(port, context) is is_resumed


async def test_a_failed_verification_brings_the_whole_chain(
    origin_tls: OriginTls,
) -> None:
    context = origin_contexts(origin_tls).get("one", ())
    async with serve(origin_tls.server(kind="expired")) as port:
        with pytest.raises(OriginCertificateError) as caught:
            await visit(port, context)
    pem = origin_tls.bundle("expired").read_bytes()
    leaf = x509.load_pem_x509_certificates(pem)[0]
    assert caught.value.chain[0] == leaf.public_bytes(serialization.Encoding.DER)
    assert caught.value.verify_code == 10
    assert caught.value.reason == "CERTIFICATE_VERIFY_FAILED"


@pytest.mark.parametrize("kind", OriginTls.BAD)
async def test_every_bad_certificate_is_refused_unless_told_otherwise(
    origin_tls: OriginTls, kind: str
) -> None:
    async with serve(origin_tls.server(kind=kind)) as port:
        with pytest.raises(OriginCertificateError):
            await visit(port, origin_contexts(origin_tls).get("one", ()))
        insecure = origin_contexts(origin_tls, is_verifying=False).get("one", ())
        assert not await visit(port, insecure)
        assert await visit(port, insecure)


def test_settings_reach_the_connection(origin_tls: OriginTls) -> None:
    only_1_3 = OriginContexts(
        OriginVerification(
            extra_ca=(origin_tls.ca,), minimum_version=ssl.TLSVersion.TLSv1_3
        )
    )
    server = origin_tls.server(HTTP)
    _, asking = shake_hands(server, only_1_3.get("one", ("http/1.1",)), "localhost")
    assert isinstance(asking, OriginSslObject)
    assert asking.selected_alpn_protocol() == "http/1.1"
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        shake_hands(server, only_1_3.get("one", ()), "localhost")


def test_each_connection_offers_what_its_context_does(origin_tls: OriginTls) -> None:
    origins = origin_contexts(origin_tls)
    http, h1, nothing = (origins.get("one", one) for one in (HTTP, ("http/1.1",), ()))
    server = origin_tls.server(HTTP)

    def chosen(context: OriginContext) -> str | None:
        return shake_hands(server, context, "localhost")[1].selected_alpn_protocol()

    assert [chosen(one) for one in (http, h1, nothing, http)] == [
        *("h2", "http/1.1", None, "h2"),
    ]
    # The base offers something else by the time that the first one shakes hands.
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = http.wrap_bio(to_client, to_server, server_hostname="localhost")
    nothing.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        asking.do_handshake()
    hello = parse_client_hello(to_server.read())
    assert isinstance(hello, ClientHello)
    assert hello.alpn == (b"h2", b"http/1.1")


def test_origin_contexts_are_bounded(origin_tls: OriginTls) -> None:
    origins = OriginContexts(OriginVerification(is_verifying=False), max_contexts=2)
    first = origins.get("one", ())
    origins.get("two", ())
    assert origins.get("one", ()) is first
    origins.get("three", ())
    origins.get("four", ())
    assert origins.get("one", ()) is not first


def as_der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(as_der, id="der"),
        pytest.param(
            lambda pem: "# Größe\n".encode() + pem + b"\n# end", id="comments"
        ),
        pytest.param(lambda pem: pem + pem, id="twice"),
    ],
)
def test_shapes_of_extra_ca_files(
    origin_tls: OriginTls, tmp_path: Path, write: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "extra"
    path.write_bytes(write(origin_tls.ca.read_bytes()))
    origins = OriginContexts(OriginVerification(extra_ca=(path,)))
    shake_hands(origin_tls.server(), origins.get("one", ()), "localhost")


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"garbage",
        b"-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n",
        b"-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n",
        b"\xff" * 100,
    ],
    ids=["missing", "empty", "garbage", "bad-pem", "key", "binary"],
)
def test_a_bad_extra_ca_file_is_one_clear_line(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "extra.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="--upstream-ca") as caught:
        OriginContexts(OriginVerification(extra_ca=(path,)))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are none")
def test_a_pipe_without_a_writer_is_no_ca_file_and_nobody_waits_for_one(
    tmp_path: Path,
) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    with pytest.raises(ConfigError, match="holds no usable certificate"):
        OriginContexts(OriginVerification(extra_ca=(path,)))
