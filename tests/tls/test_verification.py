import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.errors import CertificateRejected, OriginTlsError
from int3rceptor.net.connecting import connect
from int3rceptor.net.tls_transport import TlsTransportStream
from int3rceptor.tls.contexts import OriginContexts, OriginVerification
from int3rceptor.tls.verification import (
    MAX_SHOWN_CHARS,
    OriginCertificateError,
    TlsCheck,
    TlsFailure,
    describe_certificate,
    explain,
)
from tests.support.origin_tls import DAY, Issuer, OriginTls


@pytest.fixture(scope="module")
def origin_tls(tmp_path_factory: pytest.TempPathFactory) -> OriginTls:
    return OriginTls(tmp_path_factory.mktemp("origins"))


@pytest.fixture
def origins(
    origin_tls: OriginTls, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> OriginContexts:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    return OriginContexts(OriginVerification(extra_ca=(origin_tls.ca,)))


@asynccontextmanager
async def serve(context: ssl.SSLContext | None, say: bytes = b"") -> AsyncIterator[int]:
    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            if context is None:
                await reader.read(1)
            writer.write(say)
            await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def fail(port: int, origins: OriginContexts) -> TlsFailure:
    """Attempt a handshake that must fail, and have the failure explained."""
    context = origins.get("one", ("h2", "http/1.1"))
    with pytest.raises(OSError) as caught:  # noqa: PT011 what it is, is the question
        await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname="localhost"
        )
    return explain(caught.value, "localhost")


@pytest.mark.parametrize(
    ("kind", "check", "says"),
    [
        ("expired", TlsCheck.EXPIRED, "the certificate of CN=localhost expired on 20"),
        ("not-yet-valid", TlsCheck.NOT_YET_VALID, "is not valid before 20"),
        ("other-host", TlsCheck.HOST_MISMATCH, "localhost; it names elsewhere.test"),
        ("self-signed", TlsCheck.SELF_SIGNED, "CN=localhost is signed by itself"),
        ("untrusted-root", TlsCheck.INCOMPLETE_CHAIN, "CN=A root nobody trusts"),
        (
            "incomplete-chain",
            TlsCheck.INCOMPLETE_CHAIN,
            "issuer CN=Test origins intermediate is neither trusted nor in the chain",
        ),
        ("common-name-only", TlsCheck.HOST_MISMATCH, "localhost; it names no host"),
    ],
)
async def test_bad_certificates(
    origin_tls: OriginTls,
    origins: OriginContexts,
    kind: str,
    check: TlsCheck,
    says: str,
) -> None:
    async with serve(origin_tls.server(kind=kind)) as port:
        failure = await fail(port, origins)
    assert failure.check is check
    assert says in failure.detail
    assert failure.advice
    assert failure.certificate is not None
    bundle = x509.load_pem_x509_certificates(origin_tls.bundle(kind).read_bytes())
    der = bundle[0].public_bytes(serialization.Encoding.DER)
    assert failure.certificate == describe_certificate(der)
    error = failure.as_error()
    assert type(error) is CertificateRejected
    assert error.is_unprocessed
    assert str(error) == f"{check}: {failure.detail}"


async def test_an_untrusted_root_above_an_intermediate(
    origins: OriginContexts, tmp_path: Path
) -> None:
    middle = Issuer("Middle", Issuer("Unknown root"))
    (tmp_path / "bundle.pem").write_bytes(middle.issue())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "bundle.pem")
    async with serve(server) as port:
        failure = await fail(port, origins)
    assert failure.check is TlsCheck.UNKNOWN_ISSUER
    assert failure.detail == (
        "the certificate of CN=Middle was issued by CN=Unknown root,"
        " which is not trusted"
    )


def refuse_once(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Fail one handshake as most servers do, with an alert: asyncio sends none."""
    connection, _ = listener.accept()
    with connection, pytest.raises(ssl.SSLError):
        context.wrap_socket(connection, server_side=True)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_a_tls_1_0_server(origin_tls: OriginTls, origins: OriginContexts) -> None:
    server = origin_tls.server(())
    server.set_ciphers("ALL:@SECLEVEL=0")
    server.minimum_version = server.maximum_version = ssl.TLSVersion.TLSv1
    with socket.create_server(("127.0.0.1", 0)) as listener:
        refusing = asyncio.create_task(asyncio.to_thread(refuse_once, listener, server))
        failure = await fail(listener.getsockname()[1], origins)
        await refusing
    assert failure.check is TlsCheck.OLD_PROTOCOL
    assert type(failure.as_error()) is OriginTlsError


@pytest.mark.parametrize(
    ("say", "check"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", TlsCheck.NOT_TLS),
        (b"220 smtp.example.test ESMTP\r\n", TlsCheck.NOT_TLS),
        (b"\x15\x03\x03\x00\x02\x02\x78", TlsCheck.NO_COMMON_ALPN),
        (b"\x15\x03\x03\x00\x02\x02\x46", TlsCheck.OLD_PROTOCOL),
        (b"\x15\x03\x03\x00\x02\x02\x70", TlsCheck.UNKNOWN_NAME),
        (b"\x15\x03\x03\x00\x02\x02\x28", TlsCheck.HANDSHAKE_REFUSED),
        (b"\x15\x03\x03\x00\x02\x02\x74", TlsCheck.CLIENT_CERTIFICATE),
        (b"", TlsCheck.CONNECTION_LOST),
    ],
    ids=["http", "smtp", "alpn", "version", "name", "refused", "client-cert", "eof"],
)
async def test_servers_that_answer_otherwise(
    origins: OriginContexts, say: bytes, check: TlsCheck
) -> None:
    async with serve(None, say) as port:
        failure = await fail(port, origins)
    assert failure.check is check
    assert "localhost" in failure.detail
    assert failure.certificate is None
    assert failure.as_error().is_unprocessed is (
        check is not TlsCheck.CLIENT_CERTIFICATE
    )


async def test_a_server_that_never_answers(origins: OriginContexts) -> None:
    silent = await asyncio.start_server(
        lambda _, writer: connected.append(writer), "127.0.0.1", 0
    )
    connected: list[asyncio.StreamWriter] = []
    below = await connect(asyncio.get_running_loop(), [silent.sockets[0].getsockname()])
    stream = TlsTransportStream(
        below, origins.get("one", ()), server_hostname="localhost"
    )
    with pytest.raises(TimeoutError) as caught:
        await stream.shake_hands(0.1)
    failure = explain(caught.value, "localhost")
    assert failure.check is TlsCheck.TIMEOUT
    assert failure.detail == "localhost did not finish the handshake in time"
    silent.close()
    for writer in connected:
        writer.close()
    await silent.wait_closed()


@pytest.mark.parametrize(
    ("error", "check"),
    [
        (TimeoutError(), TlsCheck.TIMEOUT),
        (
            ConnectionResetError(104, "Connection reset by peer"),
            TlsCheck.CONNECTION_LOST,
        ),
        (BrokenPipeError(), TlsCheck.CONNECTION_LOST),
        (ssl.SSLError("something new"), TlsCheck.HANDSHAKE_REFUSED),
    ],
    ids=["timeout", "reset", "pipe", "unknown"],
)
def test_errors_without_words_of_their_own(error: OSError, check: TlsCheck) -> None:
    failure = explain(error, "origin.test")
    assert failure.check is check
    assert "origin.test" in failure.detail


def chain_error(code: int, *chain: bytes) -> OriginCertificateError:
    error = OriginCertificateError(1, "certificate verify failed")
    error.verify_code = code
    error.verify_message = "EE certificate key too weak"
    error.chain = chain
    return error


def leaf_der(bundle: bytes) -> bytes:
    leaf = x509.load_pem_x509_certificates(bundle)[0]
    return leaf.public_bytes(serialization.Encoding.DER)


def test_an_expired_intermediate_is_the_one_that_is_named() -> None:
    issuer = Issuer("Root")
    good = leaf_der(issuer.issue(["good.test"]))
    expired = leaf_der(issuer.issue(["old.test"], start=-9 * DAY, end=-DAY))
    failure = explain(chain_error(10, good, expired), "good.test")
    assert failure.certificate is not None
    assert failure.certificate.subject == "CN=old.test"


def test_checks_that_have_no_name_here_keep_the_words_of_openssl() -> None:
    der = leaf_der(Issuer("Root").issue(["weak.test"]))
    failure = explain(chain_error(66, der), "weak.test")
    assert failure.check is TlsCheck.BAD_CERTIFICATE
    assert "EE certificate key too weak" in failure.detail


def test_an_unreadable_certificate_still_gives_an_explanation() -> None:
    failure = explain(chain_error(10, b"garbage"), "{host}")
    assert failure.certificate is None
    assert failure.detail == "a certificate that the origin sent expired on unknown"


def test_the_facts_of_a_certificate() -> None:
    facts = describe_certificate(leaf_der(Issuer("Root").issue(["a.test", "::1"])))
    assert facts is not None
    assert (facts.subject, facts.issuer) == ("CN=a.test", "CN=Root")
    assert facts.names == ("a.test", "::1")
    assert facts.not_before < facts.not_after
    assert len(facts.fingerprint_sha256.split(":")) == 32
    assert not facts.is_self_issued


def test_what_a_stranger_wrote_is_bounded_and_printable() -> None:
    names = [
        "evil\x1b[2J.test" if index == 0 else f"n{index}.test" for index in range(50)
    ]
    facts = describe_certificate(leaf_der(Issuer("Root\n<b>").issue(names)))
    assert facts is not None
    assert len(facts.names) == 11
    assert facts.names[-1] == "..."
    for text in (facts.subject, facts.issuer, *facts.names):
        assert text.isprintable()
        assert len(text) <= MAX_SHOWN_CHARS + 3


@given(st.binary(max_size=200), st.integers(0, 2000), st.integers(0, 255))
def test_damaged_certificates_are_read_or_not_but_never_raise(
    garbage: bytes, position: int, value: int
) -> None:
    describe_certificate(garbage)
    der = bytearray(DER)
    der[position % len(der)] = value
    describe_certificate(bytes(der))


DER = leaf_der(Issuer("Root").issue())
