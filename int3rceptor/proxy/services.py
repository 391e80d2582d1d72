"""What every connection of one proxy uses."""

import asyncio
from dataclasses import dataclass

from int3rceptor.config.model import Config
from int3rceptor.hooks.dispatcher import Dispatcher
from int3rceptor.proxy.exchange import Exchanges
from int3rceptor.proxy.upstream.origins import Origins
from int3rceptor.tls.contexts import ServerContexts


@dataclass(slots=True, frozen=True, kw_only=True)
class Services:
    """Built once, by the app."""

    loop: asyncio.AbstractEventLoop
    settings: Config
    hooks: Dispatcher
    origins: Origins
    exchanges: Exchanges
    contexts: ServerContexts
