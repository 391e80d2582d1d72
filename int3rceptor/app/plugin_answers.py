"""The proxy's end of what is asked about plugins: acts on them, and answers in JSON."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from int3rceptor.errors import PluginError
from int3rceptor.link.plugin_asks import (
    PluginAct,
    PluginAsk,
    PluginFailure,
    PluginTold,
)
from int3rceptor.link.plugin_reports import PluginLog, PluginPage
from int3rceptor.net.tasks import Tasks
from int3rceptor.plugins.managing.service import PluginService
from int3rceptor.plugins.policy.manifest import MAX_MODULE_BYTES

log = logging.getLogger("int3rceptor.plugins")

MAX_RUNNING = 64
"""Questions at once; a hub asks half as many, and may be followed by another."""

Send = Callable[[PluginTold], None]


class PluginAnswers:
    """Answers each question in a task of its own: compiling may take its time."""

    def __init__(self, service: PluginService) -> None:
        self._service = service
        self._tasks = Tasks("plugin answers")

    def take(self, ask: PluginAsk, send: Send) -> None:
        """Answer by `send`, now or later."""
        if len(self._tasks) >= MAX_RUNNING:
            why = "too much is asked of the proxy at once"
            send(PluginTold(ask.number, b"", PluginFailure.UNAVAILABLE, why))
            return
        self._tasks.start(self._answer(ask, send), ask.act.value)

    async def aclose(self) -> None:
        """Answer no more."""
        await self._tasks.close()

    async def _answer(self, ask: PluginAsk, send: Send) -> None:
        try:
            told = PluginTold(ask.number, await self._done(ask))
        except PluginError as error:
            is_there = ask.act is PluginAct.UPLOAD or self._is_there(ask.name)
            kind = PluginFailure.REFUSED if is_there else PluginFailure.NOT_FOUND
            told = PluginTold(ask.number, b"", kind, str(error))
        except Exception:
            log.exception("internal error while asked to %s a plugin", ask.act.value)
            why = "an internal error; the log of the proxy says more"
            told = PluginTold(ask.number, b"", PluginFailure.UNAVAILABLE, why)
        send(told)

    def _is_there(self, name: str) -> bool:
        return any(one.name == name for one in self._service.list())

    async def _done(self, ask: PluginAsk) -> bytes:
        service, name = self._service, ask.name
        match ask.act:
            case PluginAct.LIST:
                return msgspec.json.encode(PluginPage(service.list()))
            case PluginAct.LOG:
                return msgspec.json.encode(PluginLog([*service.recent_lines(name)]))
            case PluginAct.READ_CONFIG:
                return msgspec.json.encode(service.config(name))
            case PluginAct.DELETE:
                await service.delete(name)
                return b""
            case PluginAct.FOLLOW:
                await service.follow(name, PluginAct(ask.text))
                return b""
            case PluginAct.UPLOAD:
                data = await asyncio.to_thread(_read, Path(ask.text))
                await service.upload(name, data, replaces=True)
            case PluginAct.SHOW:
                pass
            case _:
                await self._change(ask)
        return msgspec.json.encode(service.details(name))

    async def _change(self, ask: PluginAsk) -> None:
        service, name, text = self._service, ask.name, ask.text
        changes: dict[PluginAct, Callable[[], Awaitable[object]]] = {
            PluginAct.ENABLE: lambda: service.enable(name),
            PluginAct.DISABLE: lambda: service.disable(name),
            PluginAct.RELOAD: lambda: service.reload(name),
            PluginAct.GRANT: lambda: service.grant(name, [text]),
            PluginAct.REVOKE: lambda: service.revoke(name, [text]),
            PluginAct.WRITE_CONFIG: lambda: service.set_config(
                name, msgspec.json.decode(text)
            ),
        }
        await changes[ask.act]()


def _read(path: Path) -> bytes:
    """An upload, as the hub left it for us."""
    try:
        with path.open("rb") as file:
            # One byte more than any module may have: then it is refused as too large.
            return file.read(MAX_MODULE_BYTES + 1)
    except OSError as error:
        raise PluginError(f"the upload cannot be read: {error.strerror}") from None
