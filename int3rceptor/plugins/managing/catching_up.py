"""Brings the plugins of one worker to what another one has done, and kept in the files.

It would see the files by itself, in a second; but who has asked wants it done.
"""

import asyncio

from int3rceptor.link.plugin_asks import PluginAct
from int3rceptor.plugins.managing.upkeep import Upkeep


async def catch_up(upkeep: Upkeep, name: str, act: PluginAct) -> None:
    """`act` was done to the plugin elsewhere: the same here. PluginError when it cannot
    be, as where it was done first."""
    async with upkeep.changing:
        if act is PluginAct.DELETE:
            await _forget(upkeep, name)
        else:
            await _renew(upkeep, name, act)


async def _forget(upkeep: Upkeep, name: str) -> None:
    for slot in upkeep.slots():
        if slot.name == name and upkeep.is_gone(slot):
            upkeep.manager().unload(name, "it was deleted")
    await upkeep.decided_elsewhere()
    # What this process still held of it must not be written once more.
    await asyncio.to_thread(upkeep.states.forget, name)


async def _renew(upkeep: Upkeep, name: str, act: PluginAct) -> None:
    known = {slot.name for slot in upkeep.slots()}
    if name in await upkeep.decided_elsewhere():
        return
    if name not in known:
        await upkeep.take_up_folder()
        return
    slot = upkeep.slot(name)
    if act is PluginAct.ENABLE and slot.current is not None:
        slot.current.runner.quarantine.lift()
    elif act not in (PluginAct.ENABLE, PluginAct.DISABLE):
        await upkeep.manager().reload(slot)
