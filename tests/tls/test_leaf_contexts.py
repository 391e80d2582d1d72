import _ssl
import contextlib
import gc
import ssl
import sys
from dataclasses import replace

import pytest

from int3rceptor.net.tls_session import TlsContext
from int3rceptor.tls import leaf_contexts
from int3rceptor.tls import openssl as openssl_module
from int3rceptor.tls.authority import Authority
from int3rceptor.tls.leaf_contexts import LeafContexts
from int3rceptor.tls.minting import LeafCertificate, Minter
from int3rceptor.tls.openssl import OpenSsl, find_openssl
from tests.tls.test_contexts import client_of, shake_hands

HOSTS = ("one.test", "two.test", "127.0.0.1")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.load_or_create(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def minter(authority: Authority) -> Minter:
    return Minter(authority)


@pytest.fixture
def openssl() -> OpenSsl:
    found = find_openssl()
    if found is None:
        pytest.skip("this interpreter does not show its OpenSSL")
    return found


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were loaded."""
    loaded: list[str] = []
    real = ssl.SSLContext.load_cert_chain

    def load(context: ssl.SSLContext, path: str) -> None:
        loaded.append(path)
        real(context, path)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", load)
    return loaded


def empty() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def pem_of(leaf: LeafCertificate) -> bytes:
    return leaf.key_pem + ssl.DER_cert_to_PEM_cert(leaf.certificate_der).encode()


def assert_serves(authority: Authority, context: TlsContext, host: str) -> None:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        client = client_of(authority)
        client.maximum_version = version
        _, asking = shake_hands(context, client, host)
        assert asking.version() == version.name.replace("_", ".")


@pytest.mark.usefixtures("openssl")
def test_one_file_and_one_context_serve_all_leaves(
    authority: Authority, minter: Minter, files: list[str]
) -> None:
    leaves = LeafContexts(empty)
    made = {host: leaves.context(minter.mint(host)) for host in HOSTS}

    assert len(files) == 1
    for _ in range(2):
        for host, context in made.items():
            assert_serves(authority, context, host)


@pytest.mark.parametrize("why", ["release", "implementation", "built in", "layout"])
def test_where_openssl_is_out_of_reach_each_leaf_is_a_file(
    authority: Authority,
    minter: Minter,
    files: list[str],
    monkeypatch: pytest.MonkeyPatch,
    why: str,
) -> None:
    match why:
        case "release":
            monkeypatch.setattr(openssl_module, "KNOWN_RELEASES", ())
        case "implementation":
            monkeypatch.setattr(sys.implementation, "name", "pypy")
        case "built in":
            monkeypatch.delattr(_ssl, "__file__")
        case "layout":
            monkeypatch.setattr(OpenSsl, "knows", lambda *_: False)
    leaves = LeafContexts(empty)
    made = {host: leaves.context(minter.mint(host)) for host in HOSTS}

    assert find_openssl() is None
    assert len(files) == len(HOSTS)
    for host, context in made.items():
        assert_serves(authority, context, host)


def test_a_connection_shows_the_leaf_that_it_began_with(
    authority: Authority, minter: Minter
) -> None:
    leaves = LeafContexts(empty)
    one, two = (leaves.context(minter.mint(host)) for host in HOSTS[:2])
    pipes = [ssl.MemoryBIO() for _ in range(4)]
    serving = [
        one.wrap_bio(pipes[0], pipes[1], server_side=True),
        two.wrap_bio(pipes[2], pipes[3], server_side=True),
    ]
    asking = [
        client_of(authority).wrap_bio(pipes[1], pipes[0], server_hostname=HOSTS[0]),
        client_of(authority).wrap_bio(pipes[3], pipes[2], server_hostname=HOSTS[1]),
    ]
    for _ in range(3):
        for end in (*asking, *serving):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()

    names = [end.getpeercert() for end in asking]
    assert [one and one["subjectAltName"] for one in names] == [
        (("DNS", HOSTS[0]),),
        (("DNS", HOSTS[1]),),
    ]


def test_a_leaf_outlives_those_of_other_hosts(
    authority: Authority, minter: Minter
) -> None:
    leaves = LeafContexts(empty)
    kept = leaves.context(minter.mint("kept.test"))
    for index in range(50):
        gone = leaves.context(minter.mint(f"gone{index}.test"))
        del gone
    gc.collect()

    assert_serves(authority, kept, "kept.test")


def test_a_certificate_that_is_none_is_an_error_and_leaves_none(
    authority: Authority, minter: Minter
) -> None:
    leaves = LeafContexts(empty)
    before = leaves.context(minter.mint("one.test"))
    bad = replace(minter.mint("two.test"), certificate_der=b"0\x03\x02\x01")

    with pytest.raises(ssl.SSLError):
        leaves.context(bad)
    assert_serves(authority, leaves.context(minter.mint("two.test")), "two.test")
    assert_serves(authority, before, "one.test")


def test_a_certificate_of_another_key_is_refused(
    authority: Authority, minter: Minter, openssl: OpenSsl
) -> None:
    keyed = empty()
    with leaf_contexts._readable_path(pem_of(minter.mint("one.test"))) as path:
        keyed.load_cert_chain(path)
    other = Minter(authority).mint("two.test")

    assert openssl.parse(keyed, other.certificate_der) is None
    assert_serves(authority, keyed, "one.test")  # it has its key, and no error is left
    mixed = replace(other, key_pem=minter.mint("x.test").key_pem)
    with pytest.raises(ssl.SSLError, match=r"(?i)key values mismatch"):
        LeafContexts(empty).context(mixed)


@pytest.mark.usefixtures("openssl")
def test_what_openssl_refuses_later_fails_the_connection_alone(
    authority: Authority, minter: Minter, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaves = LeafContexts(empty)
    one, two = (leaves.context(minter.mint(host)) for host in HOSTS[:2])
    shared = leaves._shared
    assert shared is not None
    with monkeypatch.context() as patched:
        patched.setattr(shared._openssl, "_use", lambda *_: 0)
        with pytest.raises(ssl.SSLError, match="took before"):
            one.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    assert_serves(authority, one, HOSTS[0])
    assert_serves(authority, two, HOSTS[1])


def test_what_is_not_the_context_is_not_known(
    openssl: OpenSsl, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, other = empty(), empty()
    real = openssl._address

    assert openssl.knows(context)
    monkeypatch.setattr(openssl, "_address", lambda _: real(other))
    assert not openssl.knows(context)
    monkeypatch.setattr(openssl, "_address", lambda _: 0)
    assert not openssl.knows(context)


@pytest.mark.parametrize("why", ["key", "certificate", "handshake"])
def test_where_openssl_does_something_else_each_leaf_is_a_file(
    authority: Authority,
    minter: Minter,
    openssl: OpenSsl,
    monkeypatch: pytest.MonkeyPatch,
    why: str,
) -> None:
    match why:
        case "key":
            monkeypatch.setattr(openssl, "_ec_key", lambda _: 0)
        case "certificate":
            monkeypatch.setattr(openssl, "_give_key", lambda *_: 0)
        case "handshake":
            monkeypatch.setattr(leaf_contexts, "_shown_by", lambda _: b"another")
    leaves = LeafContexts(empty)
    for host in HOSTS:
        context = leaves.context(minter.mint(host))
        assert isinstance(context, ssl.SSLContext)
        assert_serves(authority, context, host)


def test_a_handshake_that_fails_shows_nothing() -> None:
    assert leaf_contexts._shown_by(empty()) is None


def test_what_is_shown_is_what_was_minted(minter: Minter) -> None:
    leaf = minter.mint("one.test")
    context = LeafContexts(empty).context(leaf)
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asking.check_hostname, asking.verify_mode = False, ssl.CERT_NONE
    _, client = shake_hands(context, asking, "one.test")

    assert client.getpeercert(binary_form=True) == leaf.certificate_der
