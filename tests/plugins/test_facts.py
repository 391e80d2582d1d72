"""The named facts: each one of a flow that has it, and of one that has not."""

import pytest

from int3rceptor.hooks.points import HookPoint
from int3rceptor.model.flow import (
    ClientInfo,
    Flow,
    OriginInfo,
    RuleFacts,
    Times,
    TlsInfo,
    Upstream,
)
from int3rceptor.model.websocket import WebSocketMessage
from int3rceptor.plugins.abi.codes import Extra, Status
from int3rceptor.plugins.abi.named_facts import FACTS
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.streaming.chunks import message_chunk
from tests.plugins.support import Probe, make_flow

OF_A_MESSAGE = ("message.sender", "message.kind")
WANTED = {
    "flow.id": "77",
    "flow.kind": "http",
    "flow.created_ms": "1700000000250",
    "flow.head_ms": "250",
    "flow.total_ms": "1500",
    "flow.error": "why",
    "flow.bytes_up": "10",
    "flow.bytes_down": "20",
    "request.version": "HTTP/1.1",
    "request.authority": "api.example.com:8443",
    "client.address": "::1",
    "client.port": "9",
    "client.connect_host": "connect.example.com",
    "client.connect_port": "8443",
    "client.tls.version": "TLSv1.3",
    "client.tls.cipher": "TLS_X",
    "client.tls.alpn": "h2",
    "client.tls.sni": "sni.example.com",
    "client.tls.resumed": "true",
    "dialled.host": "up.test",
    "dialled.port": "81",
    "origin.address": "192.0.2.1",
    "origin.port": "443",
    "origin.version": "HTTP/2",
    "origin.reused": "false",
    "origin.tls.version": "TLSv1.2",
    "origin.tls.cipher": "TLS_Y",
    "origin.tls.alpn": "",
    "origin.tls.sni": "other.example.com",
    "origin.tls.resumed": "false",
    "rule.name": "a rule",
    "rule.phase": "response",
    "rule.place": "rules.toml:3",
    "rule.does": "tag x\nanswer 503",
}
ALWAYS = {
    "flow.id", "flow.kind", "flow.created_ms", "flow.bytes_up", "flow.bytes_down",
    "request.version", "request.authority", "client.address", "client.port",
}  # fmt: skip


def full_flow() -> Flow:
    flow = make_flow()
    flow.id, flow.created, flow.error = 77, 1_700_000_000.25, "why"
    flow.times = Times(started=5.0, response_head=5.25, ended=6.5)
    flow.bytes_up, flow.bytes_down = 10, 20
    flow.client = ClientInfo(
        address=("::1", 9),
        connect_host="connect.example.com",
        connect_port=8443,
        tls=TlsInfo(
            version="TLSv1.3",
            cipher="TLS_X",
            alpn="h2",
            sni="sni.example.com",
            is_resumed=True,
        ),
    )
    tls = TlsInfo(version="TLSv1.2", cipher="TLS_Y", alpn="", sni="other.example.com")
    flow.origin = OriginInfo(
        address=("192.0.2.1", 443), tls=tls, version="HTTP/2", is_reused=False
    )
    flow.upstream = Upstream("up.test", 81)
    flow.rule_facts = RuleFacts(
        name="a rule",
        phase="response",
        place="rules.toml:3",
        does=("tag x", "answer 503"),
    )
    return flow


def test_every_fact_of_a_flow_that_has_all() -> None:
    found = {name: fact.read(full_flow()) for name, fact in FACTS.items()}
    assert found == WANTED | dict.fromkeys(OF_A_MESSAGE)


@pytest.mark.parametrize(
    ("is_from_client", "is_text", "wanted"),
    [(True, True, ["client", "text"]), (False, False, ["origin", "binary"])],
)
def test_facts_of_a_message(
    factory: MakerFactory, *, is_from_client: bool, is_text: bool, wanted: list[str]
) -> None:
    probe = Probe("host_get_fact", factory)
    message = WebSocketMessage(
        data=b"x", is_text=is_text, is_from_client=is_from_client
    )
    found = []
    for name in OF_A_MESSAGE:
        probe.run(
            *(name.encode(), 4096, 100),
            point=Extra.WEBSOCKET_MESSAGE,
            flow=make_flow(),
            chunk=message_chunk(message),
        )
        found.append(probe.read(4096, probe.status()).decode())
    assert found == wanted


def test_what_a_bare_flow_does_not_have() -> None:
    flow = make_flow(has_response=False)
    flow.client = ClientInfo(address=("127.0.0.1", 1))
    flow.rule = ""
    assert {name for name, fact in FACTS.items() if fact.read(flow) is not None} == (
        ALWAYS
    )


def test_bytes_are_counted_while_they_pass() -> None:
    flow = make_flow(body=b"12345")
    assert FACTS["flow.bytes_up"].read(flow) == "5"
    assert FACTS["flow.bytes_down"].read(flow) == "5"


@pytest.mark.parametrize("point", HookPoint)
def test_a_guest_reads_them_by_name(point: HookPoint, factory: MakerFactory) -> None:
    probe, flow = Probe("host_get_fact", factory), full_flow()
    for name, wanted in WANTED.items():
        args = name.encode(), 4096
        length = probe.call(*args, 100, point=point, flow=flow)
        assert length == len(wanted)
        assert probe.read(4096, length).decode() == wanted
        if wanted:
            assert probe.call(*args, 0, point=point, flow=flow) == len(wanted)


def test_an_absent_fact_is_not_an_unknown_one(factory: MakerFactory) -> None:
    probe, flow = Probe("host_get_fact", factory), make_flow()
    assert probe.call(b"flow.error", 4096, 9, flow=flow) == Status.NOT_FOUND
    for unknown in (b"", b"flow", b"flow.Error", b"\xff", b"x" * 5000):
        assert probe.call(unknown, 8192, 9, flow=flow) == Status.BAD_ARGUMENT
