import _ssl
import ssl
import sys
from dataclasses import replace

import pytest

from int3rceptor.tls import leaf_loading
from int3rceptor.tls.authority import Authority
from int3rceptor.tls.leaf_loading import LeafLoader, OpenSsl, find_openssl
from int3rceptor.tls.minting import Minter
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


def loaded(loader: LeafLoader, minter: Minter, host: str) -> ssl.SSLContext:
    context = empty()
    loader.load(context, minter.mint(host))
    return context


def assert_serves(authority: Authority, context: ssl.SSLContext, host: str) -> None:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        client = client_of(authority)
        client.maximum_version = version
        _, asking = shake_hands(context, client, host)
        assert asking.version() == version.name.replace("_", ".")


@pytest.mark.usefixtures("openssl")
def test_a_file_is_read_for_the_first_leaf_alone(
    authority: Authority, minter: Minter, files: list[str]
) -> None:
    loader = LeafLoader()
    made = {host: loaded(loader, minter, host) for host in HOSTS}

    assert len(files) == 1
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
            monkeypatch.setattr(leaf_loading, "KNOWN_RELEASES", ())
        case "implementation":
            monkeypatch.setattr(sys.implementation, "name", "pypy")
        case "built in":
            monkeypatch.delattr(_ssl, "__file__")
        case "layout":
            monkeypatch.setattr(OpenSsl, "knows", lambda *_: False)
    loader = LeafLoader()
    for host in HOSTS:
        assert_serves(authority, loaded(loader, minter, host), host)

    assert find_openssl() is None
    assert len(files) == len(HOSTS)


def test_a_certificate_that_is_none_is_an_error_and_leaves_none(
    authority: Authority, minter: Minter
) -> None:
    loader = LeafLoader()
    loaded(loader, minter, "one.test")
    bad = replace(minter.mint("two.test"), certificate_der=b"0\x03\x02\x01")

    with pytest.raises(ssl.SSLError):
        loader.load(empty(), bad)
    assert_serves(authority, loaded(loader, minter, "two.test"), "two.test")


def test_a_certificate_of_another_key_is_refused(
    authority: Authority, minter: Minter, openssl: OpenSsl
) -> None:
    loader = LeafLoader()
    keyed = loaded(loader, minter, "one.test")
    other = Minter(authority).mint("two.test")

    assert not openssl.load(empty(), other.certificate_der, keyed)
    assert_serves(authority, keyed, "one.test")  # no error of it is left behind
    with pytest.raises(ssl.SSLError, match=r"(?i)key values mismatch"):
        loader.load(empty(), replace(other, key_pem=minter.mint("x.test").key_pem))


def test_what_is_not_the_context_is_not_known(openssl: OpenSsl) -> None:
    context, other = empty(), empty()
    real = openssl._address

    assert openssl.knows(context)
    openssl._address = lambda _: real(other)
    assert not openssl.knows(context)
    openssl._address = lambda _: 0
    assert not openssl.knows(context)
