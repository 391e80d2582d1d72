"""Which addresses are public, and which grant is meant for which request."""

import pytest

from int3rceptor.plugins.network.outbound import FetchRequest, covers, is_public
from int3rceptor.plugins.policy.permissions import (
    Grants,
    Permission,
    grant_of,
    parse_grants,
)

NEAR = [
    "127.0.0.1", "127.255.255.254", "0.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1",
    "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1",
    "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1",
    "fec0::1", "ff02::1", "ff0e::1", "2001:db8::1", "100::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::10.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:7f00:1::1",
    "2002:a00:1::1", "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "192.0.0.8", "192.0.0.9", "192.0.0.10", "192.0.0.170", "2001:1::1", "2001:1::2",
    "3fff::1", "5f00::1", "::ffff:192.0.0.9", "4000::1", "::8.8.8.8",
]  # fmt: skip
FAR = [
    "1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450::1",
    "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1",
    "2001:0:4136:e378:8000:63bf:f7f7:f7f7",
]  # fmt: skip


@pytest.mark.parametrize("address", NEAR)
def test_what_is_near_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", FAR)
def test_what_is_far_is_public(address: str) -> None:
    assert is_public(address)


def request(host: str, port: int = 443, scheme: str = "https") -> FetchRequest:
    return FetchRequest(
        method="GET",
        scheme=scheme,
        host=host,
        port=port,
        target=b"/",
        headers=[],
        body=b"",
    )


@pytest.mark.parametrize(
    ("scope", "asked", "is_meant"),
    [
        ("api.example.com", request("api.example.com"), True),
        ("API.example.com.", request("api.example.com"), True),
        ("api.example.com", request("api.example.com", 80, "http"), True),
        ("api.example.com", request("api.example.com", 8443), False),
        ("api.example.com", request("api.example.com", 443, "http"), False),
        ("api.example.com:8443", request("api.example.com", 8443), True),
        ("api.example.com:8443", request("api.example.com"), False),
        ("api.example.com:*", request("api.example.com", 22), True),
        ("*.example.com", request("a.b.example.com"), True),
        ("*.example.com", request("example.com"), False),
        ("*.example.com", request("example.com.evil.test"), False),
        ("*.example.com", request("evilexample.com"), False),
        ("*", request("example.com"), True),
        ("*", request("::1"), True),
        ("[::1]", request("::1"), True),
        ("[::1]:8080", request("::1", 8080), True),
        ("[::1]", request("::1", 8080), False),
        ("[::1]", request(":"), False),
        ("10.0.0.7", request("10.0.0.7"), True),
        ("10.0.0.7", request("10.0.0.77"), False),
    ],
)
def test_what_a_grant_is_meant_for(
    scope: str, asked: FetchRequest, is_meant: bool
) -> None:
    assert covers(scope, asked) is is_meant


@pytest.mark.parametrize(
    "text",
    [
        "network:http://example.com",
        "network:example.com/path",
        "network:a b",
        "network:user@host",
        "network:host:",
        "network:host:99999999",
        "network.private:[::1",
        "files:relative:ro",
        "files:/srv/data",
        "files:/srv/data:rx",
        "files:*:rw",
    ],
)
def test_a_scope_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write (a host|the folder)"):
        parse_grants(text)


def test_a_private_grant_is_worth_a_public_one() -> None:
    grants = Grants([grant_of(Permission.NETWORK_PRIVATE, "localhost:*")])
    assert Permission.NETWORK in grants
    assert grants.scopes(Permission.NETWORK) == ("localhost:*",)
    only = Grants([grant_of(Permission.NETWORK, "localhost:*")])
    assert Permission.NETWORK_PRIVATE not in only


def test_the_host_field() -> None:
    assert request("a.test").authority == "a.test"
    assert request("a.test", 80).authority == "a.test:80"
    assert request("::1", 8443).authority == "[::1]:8443"
