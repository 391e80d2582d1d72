"""Listeners of one line, bodies of one chunk, a clock that does not wait."""

from int3rceptor.errors import StreamLost
from int3rceptor.hooks.dispatcher import Answer, Call, Dispatcher, Listener
from int3rceptor.hooks.points import HookPoint
from int3rceptor.model.flow import Flow
from int3rceptor.model.headers import Headers


class Clock:
    """Sleeps in no time, and remembers for how long."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class OneChunk:
    def __init__(self, chunk: bytes) -> None:
        self._chunk = chunk

    async def next_chunk(self) -> bytes:
        chunk, self._chunk = self._chunk, b""
        return chunk

    def trailers(self) -> Headers | None:
        return None


class Held:
    """What a keeper's ear holds of a stream."""

    def __init__(self) -> None:
        self.held = bytearray()

    def __call__(self, data: bytes) -> None:
        self.held += data


class Broken:
    async def next_chunk(self) -> bytes:
        raise StreamLost("the client went away")

    def trailers(self) -> Headers | None:
        return None


def says(answer: Answer) -> Call:
    return lambda _: answer


def listener(
    call: Call, name: str = "one", point: HookPoint = HookPoint.REQUEST
) -> Listener:
    return Listener(name=name, point=point, call=call)


def noted(flow: Flow) -> list[str]:
    return [change.what for change in flow.changes]


async def ask(hooks: Dispatcher, flow: Flow, call: Call) -> Answer:
    hooks.add(listener(call))
    return await hooks.dispatch(HookPoint.REQUEST, flow)
