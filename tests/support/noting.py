"""Exchanges whose origin a test scripts, and a keeper that notes when it was called."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from int3rceptor.errors import Int3rceptorError
from int3rceptor.hooks.dispatcher import Dispatcher, Listener
from int3rceptor.hooks.keeper import Ended
from int3rceptor.hooks.points import HookPoint
from int3rceptor.model.flow import Flow, OriginInfo
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Request, Response
from int3rceptor.net.stream import ByteStream
from int3rceptor.proxy.exchange import Exchanges
from int3rceptor.proxy.onboarding import CaFiles, Onboarding
from int3rceptor.proxy.upstream.answer import Answer, Origin, PassOn
from int3rceptor.proxy.upstream.origins import Origins
from tests.support.fake_stream import FakeStream
from tests.support.streams import turns

INFO = OriginInfo(
    address=("192.0.2.7", 80), tls=None, version="HTTP/1.1", is_reused=False
)
Reply = Callable[[Request], Awaitable[Response]]


class Pieces:
    """A body's source: these pieces, then its end, or a failure."""

    def __init__(
        self,
        *pieces: bytes,
        trailers: Headers | None = None,
        error: Int3rceptorError | None = None,
    ) -> None:
        self._pieces = deque(pieces)
        self._trailers = trailers
        self._error = error

    async def next_chunk(self) -> bytes:
        await asyncio.sleep(0)
        if self._pieces:
            return self._pieces.popleft()
        if self._error is not None:
            raise self._error
        return b""

    def trailers(self) -> Headers | None:
        return self._trailers


@dataclass
class ScriptedAnswer:
    """What a scripted origin said."""

    response: Response
    info: OriginInfo = INFO
    upgraded: ByteStream | None = None

    async def settle(self) -> None:
        """Nothing of the request is on its way."""

    async def aclose(self) -> None:
        """There is no connection to give up."""


class ScriptedOrigins(Origins):
    """Origins without a network: `reply` answers, `tunnels` are dialled in turn."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.upgraded: ByteStream | None = None
        self.tunnels: deque[ByteStream | Int3rceptorError] = deque()

    async def send(
        self,
        request: Request,
        origin: Origin,
        pass_on: PassOn,
        *,
        client_is_http2: bool,
        owner: object,
        knows_http2: bool = False,
    ) -> Answer:
        return ScriptedAnswer(await self.reply(request), upgraded=self.upgraded)

    async def dial_blind(self, host: str, port: int) -> ByteStream:
        dialled = self.tunnels.popleft()
        if isinstance(dialled, Int3rceptorError):
            raise dialled
        return dialled


@dataclass(frozen=True)
class Note:
    """A flow was finished when the client had been sent this."""

    flow: Flow
    sent: bytes
    is_closed: bool


@dataclass
class NotingKeeper:
    """The Keeper of one client's stream."""

    stream: FakeStream
    begun: list[Flow] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def begin(self, flow: Flow) -> None:
        self.begun.append(flow)

    def answered(self, flow: Flow) -> None:
        """Nothing to note."""

    def finish(self, ended: Sequence[Ended]) -> None:
        stream = self.stream
        is_closed = stream.is_closed or stream.is_aborted or stream.has_sent_eof
        sent = bytes(stream.sent)
        self.notes += [Note(flow, sent, is_closed) for flow, _ in ended]


class NotedExchanges:
    """`exchanges` for the client at the other end of `stream`."""

    def __init__(self, reply: Reply) -> None:
        self.stream = FakeStream()
        self.keeper = NotingKeeper(self.stream)
        self.origins = ScriptedOrigins(reply)
        self.hooks = Dispatcher(sleep=asyncio.sleep)
        files = CaFiles(pem=b"pem", der=b"der", mobileconfig=bytes, fingerprint="")
        self.exchanges = Exchanges(
            self.hooks, self.origins, Onboarding(files), self.keeper
        )

    def dawdle(self) -> None:
        """Somebody at on_capture takes some turns of the loop over it."""

        async def wait(_: Flow) -> None:
            await turns(10)

        self.hooks.add(Listener(name="slow", point=HookPoint.CAPTURE, call=wait))
