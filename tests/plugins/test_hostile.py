"""Hostile guests on both ways of calling: each gets what the table says, no more."""

import asyncio
import copy
import ssl
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from int3rceptor.errors import PluginError
from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Verdict
from int3rceptor.model.flow import Flow
from int3rceptor.plugins.abi.codes import Extra, Status
from int3rceptor.plugins.engine.boundary import Fault, FaultKind
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.engine.fastcall import FastMaker
from int3rceptor.plugins.host.host import Surroundings
from int3rceptor.plugins.host.read import encode_list
from int3rceptor.plugins.network.fetching import HttpFetcher
from int3rceptor.plugins.policy.manifest import Limits
from int3rceptor.plugins.policy.permissions import Permission, grant_of, parse_all
from int3rceptor.plugins.running.instance import PluginInstance
from int3rceptor.plugins.streaming.chunks import Chunk
from tests.plugins.support import EVERYTHING, make_flow, make_instance
from tests.support.guests import GUESTS
from tests.support.h1_peer import H1Peer, response
from tests.support.hostile import hostile
from tests.support.hostile.reaching import FILES, FOLDER, SECRET, race
from tests.support.hostile.rows import (
    PAGE,
    Decides,
    GoesOn,
    Hostile,
    Loses,
    NotStarted,
    Refused,
)
from tests.support.origins import Script, ScriptedOrigin
from tests.support.trying import Try, trying

GUEST_SET = {one.name: one for one in hostile()}
CALLS = 3
MAX_LINE_CHARS = 1000
"""Of what is said about a module: the reason, not the module."""


def those(*kinds: type) -> list[object]:
    return [
        pytest.param(one, id=one.name)
        for one in GUEST_SET.values()
        if isinstance(one.must, kinds)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """What guests with a reach are granted, beside a file that is not theirs."""
    (tmp_path / "secret").write_bytes(SECRET)
    granted = tmp_path / "granted"
    (granted / "sub").mkdir(parents=True)
    (granted / "a").write_bytes(b"hello")
    (granted / "link").symlink_to("../secret")
    (granted / "up").symlink_to("..")
    (granted / "sub" / "up").symlink_to("../..")
    yield granted
    assert (tmp_path / "secret").read_bytes() == SECRET
    assert {one.name for one in tmp_path.iterdir()} == {"secret", "granted"}


def built(
    one: Hostile, factory: MakerFactory, folder: Path | None = None
) -> PluginInstance:
    if one.reach:
        return reaching(one.module, one.reach, factory, folder, one.limits)
    granted = EVERYTHING if one.is_granted else frozenset()
    return make_instance(one.module, factory, limits=one.limits, granted=granted)


def reaching(
    module: bytes,
    reach: Iterable[str],
    factory: MakerFactory = FastMaker,
    folder: Path | None = None,
    limits: Limits | None = None,
) -> PluginInstance:
    """With a real network, and no more of it than was granted."""
    grants = parse_all(text.replace(FOLDER, str(folder)) for text in reach)
    usual = {grant_of(Permission.BASE), grant_of(Permission.AMBIENT)}
    surroundings = Surroundings(args=("guest",), fetch=HttpFetcher(no_tls, ()))
    return make_instance(
        module,
        factory,
        limits=limits,
        granted=frozenset(usual | grants),
        surroundings=surroundings,
    )


def no_tls() -> ssl.SSLContext:
    raise AssertionError("nobody asked for https")


def call(one: Hostile, instance: PluginInstance, flow: Flow) -> Verdict | Fault | None:
    is_chunk = isinstance(one.entry, Extra)
    chunk = Chunk(data=b"a chunk", is_last=False) if is_chunk else None
    return instance.run(one.entry, flow, chunk)


def test_every_kept_module_is_in_the_table() -> None:
    kept = {path.stem for path in (GUESTS / "hostile").iterdir()}
    assert kept == {one.name for one in GUEST_SET.values() if not one.source}


@pytest.mark.parametrize("one", those(Refused))
def test_is_not_loaded(one: Hostile) -> None:
    with pytest.raises(PluginError) as caught:
        built(one, None)  # type: ignore[arg-type]  # it comes to no instance
    line = str(caught.value)
    assert isinstance(one.must, Refused)
    assert one.must.line in line
    assert line.isprintable()
    assert len(line) < MAX_LINE_CHARS


@pytest.mark.parametrize("one", those(NotStarted))
def test_does_not_come_up(one: Hostile, factory: MakerFactory) -> None:
    fault = built(one, factory).start()
    assert isinstance(one.must, NotStarted)
    assert isinstance(fault, Fault)
    assert fault.kind is FaultKind.START
    assert one.must.why in str(fault)


@pytest.mark.parametrize("one", those(Loses))
def test_loses_its_turn_and_changes_nothing(
    one: Hostile, factory: MakerFactory
) -> None:
    instance = built(one, factory)
    for _ in range(CALLS):
        flow = make_flow()
        result = call(one, instance, flow)
        assert isinstance(one.must, Loses)
        assert isinstance(result, Fault), result
        assert result.kind is one.must.kind
        assert one.must.detail in result.detail
        assert content_of(flow) == content_of(make_flow())


def content_of(flow: Flow) -> tuple[object, ...]:
    """All that a guest could have changed."""
    request, response = flow.request, flow.response
    assert response is not None
    return copy.deepcopy(
        (
            *(request.method, request.target, request.headers, request.body.content),
            *(response.status, response.reason, response.headers),
            *(response.body.content, flow.tags, flow.context, flow.changes),
        )
    )


@pytest.mark.parametrize("one", those(GoesOn))
def test_goes_on_and_got_nothing(
    one: Hostile, factory: MakerFactory, folder: Path
) -> None:
    """The module itself would end with an error, had it got what it wanted."""
    instance = built(one, factory, folder)
    for _ in range(CALLS):
        assert call(one, instance, make_flow()) is None
    assert all(text.isprintable() for _, text in instance.take_lines())


@pytest.mark.parametrize("one", those(Decides))
def test_decides_as_it_was_granted(one: Hostile, factory: MakerFactory) -> None:
    assert isinstance(one.must, Decides)
    result = call(one, built(one, factory), make_flow())
    assert isinstance(result, one.must.verdict)


def test_a_link_that_others_swap_in_is_never_followed(
    factory: MakerFactory, folder: Path
) -> None:
    """A real race: the file and a link to the secret take turns under one name."""
    is_over = threading.Event()

    def swap() -> None:
        turn = 0
        while not is_over.is_set():
            turn += 1
            spare = folder / "spare"
            if turn % 2:
                spare.symlink_to("../secret")
            else:
                spare.write_bytes(b"hello")
            spare.replace(folder / "a")

    instance = reaching(race(), FILES, factory, folder)
    others = threading.Thread(target=swap)
    others.start()
    try:
        for _ in range(10):
            assert instance.run(HookPoint.REQUEST, make_flow()) is None
    finally:
        is_over.set()
        others.join()


async def fetched_from(
    script: Script, answer: int, *, limits: Limits | None = None
) -> int:
    """Fetch once from an origin that does this; how many connections came. The guest
    ends with an error unless it got `answer`."""
    async with ScriptedOrigin(script) as origin:
        request = encode_list([b"GET", f"http://{origin.netloc}/".encode(), b""])
        module = trying(Try("host_http_fetch", (request, 0, 4096), (answer,)))
        reach = (f"network.private:{origin.netloc}",)
        instance = reaching(module.encode(), reach, limits=limits)
        flow = make_flow()
        result = await asyncio.to_thread(instance.run, HookPoint.REQUEST, flow)
        assert result is None
        return len(origin.peers)


async def test_a_redirect_inside_is_an_answer_like_any_other() -> None:
    said = response(b"", "302 Found", {"Location": "http://127.0.0.1:8081/"})

    async def redirect(peer: H1Peer) -> None:
        await peer.read_head()
        await peer.send(said)

    fields = [b"Content-Length", b"0", b"Location", b"http://127.0.0.1:8081/"]
    answer = encode_list([b"302", b"", *fields])
    assert await fetched_from(redirect, len(answer)) == 1


async def test_an_endless_answer_is_cut_off() -> None:
    async def endless(peer: H1Peer) -> None:
        await peer.read_head()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await peer.send(bytes(PAGE))

    limits = Limits(fetch_bytes=4 * PAGE)
    assert await fetched_from(endless, Status.TOO_LARGE, limits=limits) == 1


async def test_an_answer_that_drips_is_given_up() -> None:
    async def drip(peer: H1Peer) -> None:
        await peer.read_head()
        while True:
            await peer.send(b"H")
            await asyncio.sleep(0.02)

    limits = Limits(fetch_s=0.2)
    assert await fetched_from(drip, Status.UNREACHABLE, limits=limits) == 1
