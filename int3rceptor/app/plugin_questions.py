"""The hub's end of what is asked about plugins: questions out, answers in."""

import asyncio
import itertools
from collections.abc import Callable

from int3rceptor.control.plugins import PluginRefused
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


class PluginQuestions:
    """Asks the proxy by `send`; its answers come to `take`."""

    def __init__(self, send: Callable[[PluginAsk], None]) -> None:
        self._send = send
        self._numbers = itertools.count(1)
        self._open: dict[int, asyncio.Future[PluginTold]] = {}

    async def ask(self, act: PluginAct, name: str = "", text: str = "") -> bytes:
        """What the proxy answers, as JSON; PluginRefused when it does not do it."""
        if len(self._open) >= MAX_OPEN:
            why = f"{MAX_OPEN} questions about plugins wait already; ask again soon"
            raise PluginRefused(PluginFailure.UNAVAILABLE, why)
        number = next(self._numbers)
        told: asyncio.Future[PluginTold] = asyncio.get_running_loop().create_future()
        self._open[number] = told
        try:
            self._send(PluginAsk(number, act, name, text))
            async with asyncio.timeout(ANSWER_S):
                answer = await told
        except TimeoutError:
            why = f"the proxy did not answer within {ANSWER_S:g} s; it may do it yet"
            raise PluginRefused(PluginFailure.UNAVAILABLE, why) from None
        finally:
            del self._open[number]
        if answer.failure is not None:
            raise PluginRefused(answer.failure, answer.why)
        return answer.answer

    def take(self, told: PluginTold) -> None:
        """An answer; one that nobody waits for any more is dropped."""
        waiting = self._open.get(told.number)
        if waiting is not None and not waiting.done():
            waiting.set_result(told)
