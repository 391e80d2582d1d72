import pytest

from int3rceptor.model.flow import (
    MAX_CHANGES,
    MAX_TAGS,
    Change,
    ClientInfo,
    Flow,
    TlsInfo,
    host_of,
)
from tests.model.test_message import request_to


def flow_to(host: str, **client: str) -> Flow:
    sni = client.pop("sni", None)
    tls = TlsInfo(version="TLSv1.3", cipher="C", alpn="", sni=sni) if sni else None
    info = ClientInfo(
        address=("127.0.0.1", 1), connect_host=client.get("connect_host"), tls=tls
    )
    return Flow(client=info, request=request_to(host))


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("Example.COM", "example.com"),
        ("example.com:443", "example.com"),
        ("example.com.", "example.com"),
        ("example.com.:443", "example.com"),
        ("user:secret@example.com:80", "example.com"),
        ("[::1]", "::1"),
        ("[2001:DB8::1]:443", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("", ""),
    ],
)
def test_host_of(authority: str, host: str) -> None:
    assert host_of(authority) == host


def test_a_flow_goes_by_every_name() -> None:
    flow = flow_to("dialled", connect_host="connected", sni="asked")
    flow.request.authority = "Shown:8080"

    assert set(flow.hosts()) == {"dialled", "connected", "asked", "shown"}


def test_one_name_is_told_once() -> None:
    flow = flow_to("a.test", connect_host="a.test", sni="a.test")

    assert flow.hosts() == ("a.test",)


def test_ids_are_never_given_twice() -> None:
    flows = [flow_to("a") for _ in range(3)]

    assert len({flow.id for flow in flows}) == 3


def test_changes_are_kept_up_to_a_limit() -> None:
    flow = flow_to("a")
    for number in range(MAX_CHANGES + 10):
        flow.record("on_request", "someone", str(number))

    assert len(flow.changes) == MAX_CHANGES
    assert flow.changes[0] == Change(point="on_request", author="someone", what="0")


def test_tags_are_a_set_with_a_limit() -> None:
    flow = flow_to("a")
    for number in range(MAX_TAGS):
        assert flow.tag(f"tag {number}")

    assert flow.tag("tag 0")
    assert not flow.tag("one too many")
    assert len(flow.tags) == MAX_TAGS
