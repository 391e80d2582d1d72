"""NTLM and Negotiate authenticate a connection: it stays with who did so."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from tests.support.clients import Proxy, raw, secure
from tests.support.h1_peer import H1Peer, Message, response
from tests.support.origin_tls import OriginTls
from tests.support.origins import ScriptedOrigin


@dataclass
class Knowing:
    """An origin that knows who is at the other end of each of its connections.

    Three steps, as RFC 4559 has them: an offer, a challenge that names the connection,
    and the answer to it, which is good on that connection alone. /open is for everyone.
    """

    scheme: str
    users: dict[H1Peer, str] = field(default_factory=dict)
    challenged: list[H1Peer] = field(default_factory=list)

    async def serve(self, peer: H1Peer) -> None:
        while True:
            request = await peer.read_request()
            await peer.send(self._answer(peer, request))

    def _answer(self, peer: H1Peer, request: Message) -> bytes:
        given = (request.value("authorization") or b"").decode()
        scheme, _, token = given.partition(" ")
        is_ours = scheme.lower() == self.scheme.lower()
        if request.target.endswith(b"/open"):
            return response(b"open")
        if is_ours and token == "hello":
            self.challenged.append(peer)
            return self._refusal(f"{self.scheme} {self.challenged.index(peer)}")
        if is_ours and token.partition(".")[0] in self._challenges(peer):
            self.users[peer] = token.partition(".")[2]
        if user := self.users.get(peer):
            return response(user.encode())
        return self._refusal(self.scheme)

    def _challenges(self, peer: H1Peer) -> list[str]:
        return [str(i) for i, one in enumerate(self.challenged) if one is peer]

    def _refusal(self, offer: str) -> bytes:
        return response(b"", "401 Unauthorized", {"WWW-Authenticate": offer})


@dataclass
class Client:
    """A client connection to one origin through the proxy."""

    peer: H1Peer
    prefix: str
    netloc: str
    scheme: str

    async def ask(self, path: str = "/", token: str = "") -> Message:
        head = f"GET {self.prefix}{path} HTTP/1.1\r\nHost: {self.netloc}\r\n"
        if token:
            head += f"Authorization: {self.scheme} {token}\r\n"
        await self.peer.send(f"{head}\r\n".encode())
        return await self.peer.read_response()

    async def begin(self) -> str:
        """The first half of it; the challenge."""
        challenge = (await self.ask(token="hello")).value("www-authenticate")
        assert challenge is not None
        scheme, _, token = challenge.decode().partition(" ")
        assert scheme == self.scheme
        return token

    async def authenticate(self, name: str) -> None:
        assert (await self.ask()).status == 401
        answer = await self.ask(token=f"{await self.begin()}.{name}")
        assert (answer.status, answer.text) == (200, name)


@dataclass
class Place:
    """An origin that authenticates connections, and how to get to it."""

    proxy: Proxy
    knowing: Knowing
    origin: ScriptedOrigin
    is_tls: bool

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        netloc = self.origin.netloc
        through = secure(self.proxy, netloc) if self.is_tls else raw(self.proxy)
        prefix = "" if self.is_tls else f"http://{netloc}"
        async with through as peer:
            yield Client(peer, prefix, netloc, self.knowing.scheme)


@pytest.fixture(params=["NTLM", "Negotiate"])
def knowing(request: pytest.FixtureRequest) -> Knowing:
    return Knowing(str(request.param))


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
async def place(
    proxy: Proxy,
    origin_tls: OriginTls,
    knowing: Knowing,
    request: pytest.FixtureRequest,
) -> AsyncIterator[Place]:
    is_tls = bool(request.param)
    tls = origin_tls.server() if is_tls else None
    async with ScriptedOrigin(knowing.serve, tls=tls) as origin:
        yield Place(proxy, knowing, origin, is_tls)


async def test_who_authenticated_stays_so(place: Place) -> None:
    async with place.client() as one:
        await one.authenticate("one")

        assert [(await one.ask()).text for _ in range(3)] == ["one"] * 3
        assert len(place.origin.peers) == 1


async def test_another_client_is_nobody(place: Place) -> None:
    async with place.client() as one, place.client() as other:
        await one.authenticate("one")
        strangers = [await other.ask() for _ in range(3)]
        again = await one.ask()

        assert [answer.status for answer in strangers] == [401] * 3
        assert again.text == "one"


async def test_two_clients_are_two_users(place: Place) -> None:
    async with place.client() as one, place.client() as other:
        await one.authenticate("one")
        await other.authenticate("other")
        for _ in range(3):
            assert (await one.ask()).text == "one"
            assert (await other.ask()).text == "other"

        assert set(place.knowing.users.values()) == {"one", "other"}


async def test_nobody_inherits_from_a_client_that_left(place: Place) -> None:
    async with place.client() as one:
        await one.authenticate("one")
        (theirs,) = place.knowing.users
    async with place.client() as other:
        answers = [await other.ask() for _ in range(3)]

        assert [answer.status for answer in answers] == [401] * 3
        # Not only unused: closed.
        await place.origin.wait_ended()
        assert place.origin.ended == [theirs]


async def test_nobody_inherits_from_a_client_that_was_cut_off(place: Place) -> None:
    async with place.client() as one:
        await one.authenticate("one")
        one.peer.reset()
        await place.origin.wait_ended()
    async with place.client() as other:
        assert (await other.ask()).status == 401


async def test_clients_at_the_same_time_are_not_mixed_up(place: Place) -> None:
    async def be(name: str) -> None:
        async with place.client() as client:
            await client.authenticate(name)
            for _ in range(5):
                assert (await client.ask()).text == name

    async with asyncio.TaskGroup() as group:
        for number in range(6):
            group.create_task(be(f"client {number}"))

    assert len(place.origin.peers) == 6


async def test_others_do_not_come_between_challenge_and_answer(place: Place) -> None:
    async with place.client() as one, place.client() as other:
        challenge = await one.begin()
        # A connection that belongs to nobody is free now, and was used last.
        assert (await other.ask("/open")).text == "open"
        answer = await one.ask(token=f"{challenge}.one")

        assert (answer.status, answer.text) == (200, "one")
