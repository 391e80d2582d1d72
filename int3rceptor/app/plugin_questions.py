"""The hub's end of what is asked about plugins: questions out, answers in."""

from collections.abc import Callable

from int3rceptor.app.plugin_asking import PluginAsking
from int3rceptor.control.plugins import PluginRefused
from int3rceptor.link.plugin_asks import PluginAct, PluginAsk, PluginTold


class PluginQuestions:
    """Asks the proxy by `send`; its answers come to `take`."""

    def __init__(self, send: Callable[[PluginAsk], None]) -> None:
        self._asking = PluginAsking(send)

    async def ask(self, act: PluginAct, name: str = "", text: str = "") -> bytes:
        """What the proxy answers, as JSON; PluginRefused when it does not do it."""
        told = await self._asking.ask(act, name, text)
        if told.failure is not None:
            raise PluginRefused(told.failure, told.why)
        return told.answer

    def take(self, told: PluginTold) -> None:
        """An answer of the proxy."""
        self._asking.take(told)
