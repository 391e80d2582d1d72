"""A turn of the event loop, by the loop that runs."""

import asyncio

from int3rceptor.model.turns import turn


async def test_others_run_meanwhile() -> None:
    told: list[str] = []
    asyncio.get_running_loop().call_soon(told.append, "due")
    await turn()
    assert told == ["due"]
