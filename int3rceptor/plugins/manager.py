"""Loads plugins, registers them with the dispatcher, and unloads them.

The only entry for `app`. Reading and compiling happen in a thread: both may be slow.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from int3rceptor.errors import PluginError
from int3rceptor.hooks.dispatcher import Dispatcher, Listener
from int3rceptor.plugins.boundary import Fault
from int3rceptor.plugins.cache import ModuleCache
from int3rceptor.plugins.callers import MakerFactory, maker_factory
from int3rceptor.plugins.compiling import compiled
from int3rceptor.plugins.engine import MAX_MODULE_BYTES, EpochTicker, shared_ticker
from int3rceptor.plugins.host import Surroundings
from int3rceptor.plugins.inspection import (
    ModuleInfo,
    inspect_module,
    require_loadable,
)
from int3rceptor.plugins.instance import PluginCode, PluginInstance
from int3rceptor.plugins.lane import Lane
from int3rceptor.plugins.listener import LogSink, Outlets, PluginListener
from int3rceptor.plugins.manifest import Manifest, Settings, read_manifest
from int3rceptor.plugins.permissions import (
    GRANTED_UNASKED,
    SCOPED,
    Grant,
    grant_of,
)

MAX_THREADS = 4
"""Slow plugins that run at the same time. They compute without the GIL, but each
finished call takes it for a moment; more threads would only queue for the cores."""

SUFFIXES = (".wasm", ".wat")


@dataclass(slots=True, frozen=True, kw_only=True)
class LoadedPlugin:
    """One plugin in service. `withheld` waits for a grant in the user's config."""

    source: Path
    manifest: Manifest
    info: ModuleInfo
    granted: frozenset[Grant]
    runner: PluginListener
    listeners: tuple[Listener, ...]

    @property
    def withheld(self) -> frozenset[Grant]:
        """What it asks for and was not granted."""
        return asked_for(self.info, self.manifest) - self.granted


class PluginManager:
    """The plugins of one proxy.

    `settings` holds the [plugins.NAME] tables of the config by name; `now_ms` and the
    like come through `surroundings`, whose config each plugin replaces by its own.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        *,
        log: LogSink,
        settings: Mapping[str, Settings] | None = None,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.thread_time,
        factory: MakerFactory | None = None,
        cache: ModuleCache | None = None,
    ) -> None:
        self._dispatcher = dispatcher
        self._outlets = Outlets(log=log, clock=clock, cpu_clock=cpu_clock)
        self._settings = settings or {}
        self._factory = factory
        self._cache = cache
        self._executor = ThreadPoolExecutor(MAX_THREADS, "int3rceptor-plugin")
        self._ticker: EpochTicker | None = None
        self.plugins: dict[str, LoadedPlugin] = {}

    async def load(self, path: Path, *, is_trusted: bool = True) -> LoadedPlugin:
        """Load one module and put it into service.

        `is_trusted` (named on the command line) grants all that it imports; otherwise
        it gets reading and what its [plugins.NAME] table grants. PluginError says what
        is wrong with which file.
        """
        manifest, module_code = await asyncio.to_thread(self._prepare, path, is_trusted)
        name = manifest.name
        if name in self.plugins:
            raise PluginError(
                f"{path}: a plugin named {name} is loaded already, from "
                f"{self.plugins[name].source}"
            )
        self._hold_ticker()
        runner = await asyncio.to_thread(self._build, manifest, module_code)
        runner.flush()
        info = module_code.info
        plugin = LoadedPlugin(
            source=path,
            manifest=manifest,
            info=info,
            granted=module_code.granted,
            runner=runner,
            listeners=runner.listeners(info.hooks, needs_body=info.needs_body),
        )
        self.plugins[name] = plugin
        for listener in plugin.listeners:
            self._dispatcher.add(listener)
        return plugin

    async def load_folder(self, folder: Path) -> list[LoadedPlugin | PluginError]:
        """Load every module in a folder, by name; one that cannot be is no reason to
        leave out the others: its error stands in its place. No folder: no plugins.
        """
        paths = await asyncio.to_thread(_modules_in, folder)
        loaded: list[LoadedPlugin | PluginError] = []
        for path in paths:
            try:
                loaded.append(await self.load(path, is_trusted=False))
            except PluginError as error:
                loaded.append(error)
        return loaded

    def unload(self, name: str) -> None:
        """Take a plugin out of service; calls that run now end as they would."""
        plugin = self.plugins.pop(name)
        for listener in plugin.listeners:
            self._dispatcher.remove(listener)

    async def aclose(self) -> None:
        """Unload all, and wait for calls in threads: each ends by its own limits."""
        for name in list(self.plugins):
            self.unload(name)
        await asyncio.to_thread(self._executor.shutdown)
        if self._ticker is not None:
            await asyncio.to_thread(self._ticker.release)
            self._ticker = None

    def _hold_ticker(self) -> None:
        if self._ticker is None:
            self._ticker = shared_ticker()
            self._ticker.acquire()

    def _prepare(self, path: Path, is_trusted: bool) -> tuple[Manifest, PluginCode]:
        """Everything before the plugin runs; in a thread."""
        data = read_module(path)
        manifest = read_manifest(path, self._settings)
        module = compiled(data, str(path), self._cache)
        info = inspect_module(module)
        require_loadable(info, str(path))
        granted = _granted(info, manifest, is_trusted=is_trusted)
        return manifest, PluginCode(module=module, info=info, granted=granted)

    def _build(self, manifest: Manifest, code: PluginCode) -> PluginListener:
        """The instance, started and initialised; in a thread."""
        surroundings = Surroundings(config=manifest.guest_config())
        factory = self._factory or maker_factory(self._cache)
        instance = PluginInstance(code, manifest.limits, surroundings, factory)
        lane = Lane(self._executor, manifest.limits.wall_s)
        runner = PluginListener(manifest, instance, lane, self._outlets)
        started = instance.start()
        if isinstance(started, Fault):
            lines = "".join(f"\n  {text}" for _, text in instance.take_lines())
            raise PluginError(f"plugin {manifest.name}: {started}{lines}")
        return runner


def asked_for(info: ModuleInfo, manifest: Manifest) -> frozenset[Grant]:
    """What a plugin asks for: by its imports, and in its manifest.

    An import cannot say what a scoped permission is for: the manifest must.
    """
    plain = {grant_of(one) for one in info.permissions if one not in SCOPED}
    return manifest.asked | plain


def _granted(
    info: ModuleInfo, manifest: Manifest, *, is_trusted: bool
) -> frozenset[Grant]:
    """What it asks for and gets: by the user's grant, for a trusted one also what its
    imports show. What no import shows (as reading secrets) is never given unasked."""
    unasked = info.permissions if is_trusted else GRANTED_UNASKED
    return frozenset(
        one
        for one in asked_for(info, manifest)
        if one in manifest.granted or one.permission in unasked
    )


def read_module(path: Path) -> bytes:
    """A module file's bytes; PluginError when it cannot be read or is too large."""
    if path.suffix not in SUFFIXES:
        raise PluginError(f"{path}: not a plugin: its name ends neither .wasm nor .wat")
    if path.exists() and not path.is_file():  # a FIFO would wait for ever
        raise PluginError(f"{path}: not a file")
    try:
        with path.open("rb") as file:
            # One byte past the limit is enough for the compiler's refusal.
            data = file.read(MAX_MODULE_BYTES + 1)
    except OSError as error:
        raise PluginError(f"{path}: cannot be read: {error.strerror}") from None
    if not data:
        raise PluginError(f"{path}: the file is empty")
    return data


def _modules_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
