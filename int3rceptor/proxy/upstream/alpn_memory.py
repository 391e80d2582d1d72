"""What origins chose when they were offered HTTP/2."""

import asyncio
from collections import OrderedDict

from int3rceptor.proxy.limits import MAX_ALPN_ENTRIES
from int3rceptor.proxy.upstream.answer import Origin

ALPN_TRUST_S = 600.0
"""How long an origin's choice is believed, to know who waits for whom and what a client
is offered: servers are reconfigured. The origin itself may choose anew each time."""


class AlpnMemory:
    """The latest choice of each origin; what was learnt longest ago goes first."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._chosen: OrderedDict[Origin, tuple[str, float]] = OrderedDict()

    def get(self, origin: Origin) -> str | None:
        """`h2` or `http/1.1`; None when that is not known, or was long ago."""
        alpn, learned = self._chosen.get(origin, (None, 0.0))
        return alpn if self._loop.time() - learned < ALPN_TRUST_S else None

    def learn(self, origin: Origin, alpn: str) -> None:
        """It has chosen just now."""
        self._chosen[origin] = (alpn, self._loop.time())
        self._chosen.move_to_end(origin)
        if len(self._chosen) > MAX_ALPN_ENTRIES:
            self._chosen.popitem(last=False)
