"""What is asked about the plugins of several workers: asked of all, answered as one.

What is changed is done by one worker, which keeps it in the files that all of them
have; the others then follow.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import msgspec

from int3rceptor.app.plugin_asking import PluginAsking, unavailable
from int3rceptor.app.plugin_merging import merged_details, merged_logs, merged_pages
from int3rceptor.link.plugin_asks import (
    PluginAct,
    PluginAsk,
    PluginFailure,
    PluginTold,
)
from int3rceptor.link.plugin_reports import PluginDetails, PluginLog, PluginPage
from int3rceptor.net.tasks import Tasks

NOBODY = "no worker of the proxy serves at the moment; ask again soon"

Send = Callable[[PluginTold], None]
Report = TypeVar("Report", PluginPage, PluginDetails, PluginLog)


class Member(Protocol):
    """A worker, as far as it is asked about plugins."""

    @property
    def number(self) -> int:
        """Which one it is."""
        ...

    @property
    def asking(self) -> PluginAsking:
        """Asks it."""
        ...


class CrewPlugins:
    """Answers for all of `members`: those that serve at the moment, the first of them
    the one that keeps what is decided."""

    def __init__(self, members: Callable[[], Sequence[Member]]) -> None:
        self._members = members
        self._changing = asyncio.Lock()
        self._tasks = Tasks("plugin answers")

    def take(self, ask: PluginAsk, send: Send) -> None:
        """Answer by `send`, later. The hub bounds how much it asks at once."""
        self._tasks.start(self._answer(ask, send), ask.act.value)

    async def aclose(self) -> None:
        """Answer no more."""
        await self._tasks.close()

    async def _answer(self, ask: PluginAsk, send: Send) -> None:
        told = await self._told(ask)
        send(msgspec.structs.replace(told, number=ask.number))

    async def _told(self, ask: PluginAsk) -> PluginTold:
        members = self._members()
        if not members:
            return unavailable(NOBODY)
        match ask.act:
            case PluginAct.LIST:
                return await _asked(members, ask, PluginPage, merged_pages)
            case PluginAct.SHOW:
                return await _asked(members, ask, PluginDetails, merged_details)
            case PluginAct.LOG:
                return await _asked(members, ask, PluginLog, merged_logs)
            case PluginAct.READ_CONFIG:
                return await members[0].asking.ask(ask.act, ask.name)
            case _:
                async with self._changing:
                    return await self._changed(ask)

    async def _changed(self, ask: PluginAsk) -> PluginTold:
        """Done by one, followed by the others."""
        members = self._members()
        if not members:  # it waited for its turn
            return unavailable(NOBODY)
        first, *others = members
        told = await first.asking.ask(ask.act, ask.name, ask.text)
        if told.failure is not None or not others:
            return told
        follow = PluginAsk(0, PluginAct.FOLLOW, ask.name, ask.act.value)
        followed = await _of_each(others, follow)
        for one, other in zip(followed, others, strict=True):
            # One that died meanwhile finds the files as they are now.
            if one.failure is PluginFailure.REFUSED:
                why = f"done, but not by worker {other.number}: {one.why}"
                return msgspec.structs.replace(one, why=why)
        if ask.act is PluginAct.DELETE:
            return told
        show = PluginAsk(0, PluginAct.SHOW, ask.name)
        return await _asked([first, *others], show, PluginDetails, merged_details)


async def _asked(
    members: Sequence[Member],
    ask: PluginAsk,
    kind: type[Report],
    merged: Callable[[Sequence[Report]], Report],
) -> PluginTold:
    """What all of them answer, as one; the failure of the first when none does."""
    told = await _of_each(members, ask)
    reports = [
        msgspec.json.decode(one.answer, type=kind)
        for one in told
        if one.failure is None
    ]
    if not reports:
        return told[0]
    return PluginTold(0, msgspec.json.encode(merged(reports)))


async def _of_each(members: Sequence[Member], ask: PluginAsk) -> list[PluginTold]:
    asked = (one.asking.ask(ask.act, ask.name, ask.text) for one in members)
    return await asyncio.gather(*asked)
