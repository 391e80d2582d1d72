"""Questions about plugins over one link, and their answers."""

import asyncio
import itertools
from collections.abc import Callable

from int3rceptor.link.plugin_asks import (
    PluginAct,
    PluginAsk,
    PluginFailure,
    PluginTold,
)

ANSWER_S = 60.0
"""Longest wait for the proxy: a large module compiles for half of this."""

MAX_OPEN = 32
"""Questions at once: people and scripts; each holds an answer in memory."""


class PluginAsking:
    """Asks by `send`; what is answered comes to `take`."""

    def __init__(self, send: Callable[[PluginAsk], None]) -> None:
        self._send = send
        self._numbers = itertools.count(1)
        self._open: dict[int, asyncio.Future[PluginTold]] = {}

    async def ask(self, act: PluginAct, name: str = "", text: str = "") -> PluginTold:
        """What is answered, if only that there is no answer."""
        if len(self._open) >= MAX_OPEN:
            return unavailable(
                f"{MAX_OPEN} questions about plugins wait already; ask again soon"
            )
        number = next(self._numbers)
        told: asyncio.Future[PluginTold] = asyncio.get_running_loop().create_future()
        self._open[number] = told
        try:
            self._send(PluginAsk(number, act, name, text))
            async with asyncio.timeout(ANSWER_S):
                return await told
        except TimeoutError:
            return unavailable(
                f"the proxy did not answer within {ANSWER_S:g} s; it may do it yet"
            )
        finally:
            del self._open[number]

    def take(self, told: PluginTold) -> None:
        """An answer; one that nobody waits for any more is dropped."""
        waiting = self._open.get(told.number)
        if waiting is not None and not waiting.done():
            waiting.set_result(told)

    def give_up(self, why: str) -> None:
        """No answer will come to what was asked so far."""
        for number in self._open:
            self.take(PluginTold(number, b"", PluginFailure.UNAVAILABLE, why))


def unavailable(why: str) -> PluginTold:
    """That there is no answer."""
    return PluginTold(0, b"", PluginFailure.UNAVAILABLE, why)
