"""The data plane: builds the proxy out of its rooms; starts, drains and stops it.

It knows of a keeper for its flows, and of no hub.
"""

import asyncio
import contextlib
import functools
import logging
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from ssl import TLSVersion
from typing import NamedTuple

from int3rceptor.app.keeping import PluginLines
from int3rceptor.config.model import Config
from int3rceptor.hooks.dispatcher import Dispatcher, Listener
from int3rceptor.hooks.keeper import Keeper
from int3rceptor.net.descriptors import raise_limit
from int3rceptor.net.listening import Address, bind, own_address
from int3rceptor.net.loads import Place
from int3rceptor.net.tasks import Tasks
from int3rceptor.plugins.managing.service import PluginService
from int3rceptor.plugins.managing.upkeep import Places, Upkeep
from int3rceptor.plugins.network.outbound import (
    FetchAnswer,
    Fetcher,
    FetchFailure,
    FetchRequest,
    FetchTerms,
)
from int3rceptor.proxy.exchange import Exchanges
from int3rceptor.proxy.listener import Listener as ClientListener
from int3rceptor.proxy.onboarding import CaFiles, Onboarding
from int3rceptor.proxy.services import Services
from int3rceptor.proxy.upstream.dial import Dialer
from int3rceptor.proxy.upstream.origins import Origins
from int3rceptor.rules.files import RuleFiles, running_rules
from int3rceptor.tls.authority import Authority
from int3rceptor.tls.contexts import (
    OriginContexts,
    OriginVerification,
    ServerContexts,
    origin_context,
)
from int3rceptor.tls.minting import Minter

log = logging.getLogger("int3rceptor.app")
plugin_log = logging.getLogger("int3rceptor.plugins.log")

SPARE_DESCRIPTORS = 64
"""Open files besides connections: the loop's own, plugins, the CA's lock."""

PLUGIN_LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)
"""The plugin interface's levels, by number."""

TLS_VERSIONS = {"1.2": TLSVersion.TLSv1_2, "1.3": TLSVersion.TLSv1_3}


@dataclass(slots=True, frozen=True, kw_only=True)
class Ready:
    """What is known once the proxy accepts connections.

    `open_connections` counts those of clients, whenever it is asked. `reload` reads
    rules and plugins again, now; what cannot be used is logged. `cut` has the end wait
    for no exchange.
    """

    listen: Address
    authority: Authority
    ca_files: CaFiles
    notes: tuple[str, ...]
    open_connections: Callable[[], int]
    plugins: PluginService
    reload: Callable[[], Coroutine[object, object, None]]
    cut: Callable[[], None]

    @property
    def ca_path(self) -> Path:
        """The file of the CA's certificate."""
        return self.authority.path


def dispatcher_for(config: Config) -> Dispatcher:
    """One without listeners, with the waits and the limits of a proxy."""
    return Dispatcher(
        sleep=asyncio.sleep, max_body_bytes=config.limits.max_buffered_body_bytes
    )


@dataclass(slots=True, frozen=True, kw_only=True)
class Shared:
    """What one of several workers shares with the others: it is number `number` of
    `workers`, all accept from `sock`, and `place` is its own among them. `keys` is the
    file of what plugins keep for all. `authority` is the CA, once one has loaded it."""

    sock: socket.socket
    place: Place
    number: int
    workers: int
    keys: int | None = None
    authority: Authority | None = None


@contextlib.asynccontextmanager
async def running(
    config: Config,
    listeners: Iterable[Listener] = (),
    plugin_lines: PluginLines | None = None,
    *,
    hooks: Dispatcher | None = None,
    keeper: Keeper | None = None,
    refused: Sequence[Address] = (),
    shared: Shared | None = None,
) -> AsyncIterator[Ready]:
    """A proxy that accepts connections; drained and stopped on the way out.

    What plugins log goes to `plugin_lines`, or else to `logging`. `hooks` may have
    listeners already, and get more later. `keeper` is told of every flow. Nothing is
    relayed to the addresses of `refused`, by whatever name, nor to the proxy itself.
    It listens at `config.listen`, unless it is one of several: then `shared` says.
    """
    authority = _authority(config, shared)
    ca_files = _ca_files(authority)
    contexts = _origin_contexts(config)
    sock = bind(*config.listen_address) if shared is None else shared.sock
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(sock.close)
        for warning in (*authority.warnings, *_descriptors(config)):
            log.warning("%s", warning)
        hooks = hooks or dispatcher_for(config)
        hooks.add(*listeners)
        own, places = (own_address(sock), *refused), _places(config, shared)
        acting = await _acting(config, places, hooks, plugin_lines, own, stack)
        origins = _origins(config, contexts, own, stack)
        onboarding = Onboarding(ca_files)
        services = _services(config, authority, hooks, origins, onboarding, keeper)
        place = None if shared is None else shared.place
        listener = ClientListener(services, sock, place)
        onboarding.listen = f"{listener.address[0]}:{listener.address[1]}"
        await listener.start()
        stack.push_async_callback(listener.stop, config.limits.drain_s)
        yield _ready(listener, authority, ca_files, acting)


class _Acting(NamedTuple):
    """What acts on flows, by files that are followed; lines for the user about that."""

    rules: RuleFiles
    upkeep: Upkeep
    notes: tuple[str, ...]


async def _acting(
    config: Config,
    places: Places,
    hooks: Dispatcher,
    plugin_lines: PluginLines | None,
    own: Sequence[Address],
    stack: contextlib.AsyncExitStack,
) -> _Acting:
    rules = await stack.enter_async_context(
        running_rules(hooks, config.rules, config.data_dir / "rules")
    )
    upkeep, notes = await _plugins(config, places, hooks, plugin_lines, own, stack)
    found = [rules.summary()] if rules.loaded else []
    return _Acting(rules, upkeep, (*found, *notes))


def _services(
    config: Config,
    authority: Authority,
    hooks: Dispatcher,
    origins: Origins,
    onboarding: Onboarding,
    keeper: Keeper | None,
) -> Services:
    return Services(
        loop=asyncio.get_running_loop(),
        settings=config,
        hooks=hooks,
        origins=origins,
        exchanges=Exchanges(hooks, origins, onboarding, keeper),
        contexts=_server_contexts(config, authority),
    )


def _ready(
    listener: ClientListener, authority: Authority, ca_files: CaFiles, acting: _Acting
) -> Ready:
    return Ready(
        listen=listener.address,
        authority=authority,
        ca_files=ca_files,
        notes=acting.notes,
        open_connections=lambda: listener.open_connections,
        plugins=PluginService(acting.upkeep),
        reload=partial(_reload, acting.rules, acting.upkeep),
        cut=listener.cut,
    )


def _authority(config: Config, shared: Shared | None) -> Authority:
    if shared is not None and shared.authority is not None:
        return shared.authority
    return Authority.load_or_create(config.data_dir, key_type=config.tls.key_type)


async def _reload(rules: RuleFiles, upkeep: Upkeep) -> None:
    await rules.reload()
    await upkeep.reload_all()


def _origins(
    config: Config,
    contexts: OriginContexts,
    own: Sequence[Address],
    stack: contextlib.AsyncExitStack,
) -> Origins:
    """The way to the origins, with what keeps it tidy; `stack` ends both."""
    loop = asyncio.get_running_loop()
    dialer = Dialer(loop, contexts, config.upstream, own=own)
    stack.callback(dialer.close)
    origins = Origins(loop, dialer, config.upstream)
    stack.push_async_callback(origins.aclose)
    housekeeping = Tasks("app")
    stack.push_async_callback(housekeeping.close)
    housekeeping.start(origins.expire_forever(), "expiry")
    return origins


def _descriptors(config: Config) -> list[str]:
    """Make room for the connections that the settings allow; a line if it lacks."""
    clients, origins = config.limits.max_connections, config.upstream.max_connections
    wanted = clients + origins + SPARE_DESCRIPTORS
    allowed = raise_limit(wanted)
    if allowed is None or allowed >= wanted:
        return []
    note = (
        f"the system allows {allowed} open files, the settings {clients} clients and "
        f"{origins} origin connections: raise the limit (ulimit -n {wanted}) or lower "
        "limits.max_connections"
    )
    return [note]


def _origin_contexts(config: Config) -> OriginContexts:
    return OriginContexts(
        OriginVerification(
            extra_ca=tuple(config.upstream_ca),
            is_verifying=not config.insecure_upstream,
        )
    )


def _server_contexts(config: Config, authority: Authority) -> ServerContexts:
    return ServerContexts(
        Minter(authority), minimum_version=TLS_VERSIONS[config.tls.min_version]
    )


def _places(config: Config, shared: Shared | None) -> Places:
    number, keys = (1, None) if shared is None else (shared.number, shared.keys)
    return Places(
        data_dir=config.data_dir, named=config.plugin, worker=number, sharing=keys
    )


def _ca_files(authority: Authority) -> CaFiles:
    return CaFiles(
        pem=authority.certificate_pem,
        der=authority.certificate_der,
        mobileconfig=authority.mobileconfig,
        fingerprint=authority.fingerprint_sha256,
    )


async def _plugins(
    config: Config,
    places: Places,
    hooks: Dispatcher,
    lines: PluginLines | None,
    own: Sequence[Address],
    stack: contextlib.AsyncExitStack,
) -> tuple[Upkeep, list[str]]:
    """The plugins, loaded and followed; `stack` ends that. Lines for the user."""
    upkeep = Upkeep(
        hooks,
        places,
        log=lines or log_plugin_lines,
        settings=config.plugins,
        fetcher=_fetcher(config, own),
        later=asyncio.get_running_loop().call_later,
    )
    stack.push_async_callback(upkeep.aclose)
    notes = await upkeep.start()
    tasks = Tasks("plugins")
    stack.push_async_callback(tasks.close)
    tasks.start(upkeep.follow_forever(), "follow")
    tasks.start(upkeep.states.save_forever(), "save")
    return upkeep, notes


def _fetcher(config: Config, own: Sequence[Address]) -> Fetcher:
    """What plugins fetch with: verified also where origins, for a test, are not."""

    @functools.cache
    def fetcher() -> Fetcher:
        # Only for those who fetch: http.client is 10 ms and 0.4 MB.
        from int3rceptor.plugins.network.fetching import HttpFetcher

        trust = OriginVerification(extra_ca=tuple(config.upstream_ca))
        return HttpFetcher(functools.cache(lambda: origin_context(trust)), own)

    def fetch(request: FetchRequest, terms: FetchTerms) -> FetchAnswer | FetchFailure:
        return fetcher()(request, terms)

    return fetch


def log_plugin_lines(name: str, lines: Sequence[tuple[int, str]]) -> None:
    """Where a plugin's lines go unless someone else takes them."""
    for level, text in lines:
        plugin_log.log(PLUGIN_LEVELS[level], "plugin %s: %s", name, text)
