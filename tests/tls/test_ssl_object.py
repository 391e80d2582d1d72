"""Sessions whose bytes pass through Python's wrappers where they must."""

import ssl

import pytest

from int3rceptor.tls.ssl_object import DirectSslObject

NAMES = ("read", "write", "pending")


@pytest.fixture
def session() -> ssl.SSLObject:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslobject_class = DirectSslObject
    return context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="a.test")


@pytest.mark.parametrize("name", NAMES)
def test_a_release_that_keeps_it_elsewhere_has_the_wrappers(
    session: ssl.SSLObject, name: str
) -> None:
    del vars(session)["_sslobj"]
    wrapper = getattr(session, name)
    assert wrapper.__func__ is getattr(ssl.SSLObject, name)
