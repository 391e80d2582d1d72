"""From a file to a version that can serve: read, compile, inspect, grant, start.

All of it blocks, and some of it runs the guest's own code: call it in a thread.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

from wasmtime import Module

from int3rceptor.errors import PluginError
from int3rceptor.files.reading import Watched
from int3rceptor.hooks.dispatcher import Listener
from int3rceptor.hooks.points import HookPoint
from int3rceptor.plugins.abi.codes import Extra
from int3rceptor.plugins.abi.rows import DECIDE
from int3rceptor.plugins.engine.boundary import Fault
from int3rceptor.plugins.engine.cache import ModuleCache
from int3rceptor.plugins.engine.callers import MakerFactory, maker_factory
from int3rceptor.plugins.engine.compiling import compiled
from int3rceptor.plugins.engine.inspection import (
    ModuleInfo,
    inspect_module,
    limited_to,
    require_loadable,
)
from int3rceptor.plugins.host.host import Surroundings
from int3rceptor.plugins.network.outbound import Fetcher, offline
from int3rceptor.plugins.policy.manifest import (
    MAX_MODULE_BYTES,
    Limits,
    Manifest,
    Settings,
    read_manifest,
)
from int3rceptor.plugins.policy.permissions import (
    GRANTED_UNASKED,
    SCOPED,
    Grant,
    Permission,
    grant_of,
)
from int3rceptor.plugins.running.clocks import Clocks
from int3rceptor.plugins.running.instance import PluginCode, PluginInstance
from int3rceptor.plugins.running.lane import Lane
from int3rceptor.plugins.running.lines import PluginLog
from int3rceptor.plugins.running.listener import PluginListener
from int3rceptor.plugins.state.kept import PluginStates
from int3rceptor.plugins.topics.messages import Mailbox, Message

SUFFIXES = (".wasm", ".wat")

_TALKING = frozenset({Permission.TOPICS_HEAR, Permission.TOPICS_SEND})

MAX_INLINE_FUEL = 2_000_000
"""A call with more may hold the loop for over 5 ms: by measurement these take 0.7 ms of
reading memory, 2 ms of an empty loop, 3.3 ms of square roots."""

MAX_INLINE_HOST_CALLS = 2_000
"""For the same reason: 1 to 2 µs each."""

MAX_INLINE_HOST_BYTES = 8 * 1024 * 1024
"""For the same reason: copied at some GB a second, and made into text."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Prepared:
    """A version that was read and compiled, and has not run yet. `may_block`: it is the
    user's own config that says what its failures mean."""

    source: Path
    manifest: Manifest
    module: Module
    info: ModuleInfo
    digest: str
    size_bytes: int
    may_block: bool = False

    @property
    def asked(self) -> frozenset[Grant]:
        """What it asks for."""
        skipping = replace(self.manifest, on_error="skip")
        return asked_for(self.info, skipping if self.may_block else self.manifest)

    def within(self, granted: frozenset[Grant]) -> Manifest:
        """What is set about it, as far as it was granted: one that may end no flow ends
        none by failing either."""
        may_block = self.may_block or granted & _deciding(self.info)
        return self.manifest if may_block else replace(self.manifest, on_error="skip")


@dataclass(slots=True, frozen=True, kw_only=True)
class LoadedPlugin:
    """A version that serves, or served. `withheld` waits for a grant by the user."""

    prepared: Prepared
    granted: frozenset[Grant]
    runner: PluginListener
    mailbox: Mailbox
    listeners: tuple[Listener, ...]
    loaded_at: float

    @property
    def source(self) -> Path:
        """The module's file."""
        return self.prepared.source

    @property
    def manifest(self) -> Manifest:
        """What is set about it."""
        return self.prepared.manifest

    @property
    def withheld(self) -> frozenset[Grant]:
        """What it asks for and was not granted."""
        return self.prepared.asked - self.granted


@dataclass(slots=True, frozen=True, kw_only=True)
class Loader:
    """What versions are made with."""

    executor: Executor
    waiting: Executor
    states: PluginStates
    publish: Callable[[Message], int]
    clocks: Clocks
    factory: MakerFactory | None = None
    cache: ModuleCache | None = None
    fetch: Fetcher = offline

    def prepare(
        self, path: Path, settings: Mapping[str, Settings], watched: Watched
    ) -> Prepared:
        """Everything before the plugin runs. PluginError says what is wrong with which
        file; `watched` has seen all files that it was made of in either case."""
        data = read_module(path, MAX_MODULE_BYTES, watched)
        manifest = read_manifest(path, settings, data, watched)
        may_block = "on_error" in settings.get(manifest.name, ())
        return self.examine(path, data, manifest, may_block=may_block)

    def examine(
        self, path: Path, data: bytes, manifest: Manifest, *, may_block: bool = False
    ) -> Prepared:
        """What is in a module; PluginError when it cannot be loaded."""
        if len(data) > manifest.limits.module_bytes:
            most = manifest.limits.module_bytes
            raise PluginError(f"{path}: larger than {most} bytes (limits.module_bytes)")
        module = compiled(
            data, str(path), self.cache, limit_s=manifest.limits.compile_s
        )
        info = inspect_module(module)
        require_loadable(info, str(path))
        info = limited_to(info, manifest.hooks, str(path))
        return Prepared(
            source=path,
            manifest=manifest,
            module=module,
            info=info,
            digest=hashlib.sha256(data).hexdigest(),
            size_bytes=len(data),
            may_block=may_block,
        )

    def build(
        self, prepared: Prepared, granted: frozenset[Grant], book: PluginLog
    ) -> LoadedPlugin:
        """The instances, started and initialised. PluginError when one does not."""
        manifest, info = prepared.manifest, prepared.info
        surroundings = self._surroundings(manifest)
        factory = self.factory or maker_factory(self.cache)
        code = PluginCode(module=prepared.module, info=info, granted=granted)
        instances = [
            PluginInstance(code, manifest.limits, surroundings, factory)
            for _ in range(manifest.limits.instances)
        ]
        _start(instances, manifest.name)
        may_wait = why_it_waits(info, granted)
        executor = self.waiting if may_wait else self.executor
        runner = PluginListener(
            prepared.within(granted),
            instances,
            Lane(instances, executor, manifest.limits.wall_s),
            book,
            self.clocks,
            digest=prepared.digest,
            is_heavy=bool(why_off_loop(manifest.limits, info, granted)),
        )
        return LoadedPlugin(
            prepared=prepared,
            granted=granted,
            runner=runner,
            mailbox=surroundings.mailbox,
            listeners=runner.listeners(
                info.entries,
                needs_body=info.needs_body,
                may_redact=grant_of(Permission.RECORD) in granted,
            ),
            loaded_at=self.clocks.wall(),
        )

    def _surroundings(self, manifest: Manifest) -> Surroundings:
        state = self.states.open(
            manifest.name,
            manifest.state.quota_bytes,
            is_on_disk=manifest.state.keep == "disk",
            carries=manifest.state.carry,
            is_shared=manifest.state.shared,
        )
        return Surroundings(
            name=manifest.name,
            config=manifest.guest_config(),
            secret_fields=manifest.secret_fields,
            args=(manifest.name, *manifest.wasi.args),
            env=manifest.wasi.env,
            state=state,
            mailbox=Mailbox(
                manifest.name,
                message_bytes=manifest.limits.message_bytes,
                messages=manifest.limits.messages,
            ),
            publish=self.publish,
            fetch=self.fetch,
        )


def _start(instances: Sequence[PluginInstance], name: str) -> None:
    """Start all; after one that cannot be, none is left."""
    for instance in instances:
        started = instance.start()
        if isinstance(started, Fault):
            lines = "".join(f"\n  {text}" for _, text in instance.take_lines())
            for one in instances:
                one.close()
            raise PluginError(f"plugin {name}: {started}{lines}")


def why_it_waits(info: ModuleInfo, granted: frozenset[Grant]) -> str:
    """What its calls may wait for beside the processor; "" if for nothing."""
    if info.waits_for:
        return f"{info.waits_for} may wait"
    has_folders = any(one.permission is Permission.FILES for one in granted)
    return "a disk may be slow" if info.uses_wasi and has_folders else ""


def why_off_loop(limits: Limits, info: ModuleInfo, granted: frozenset[Grant]) -> str:
    """Why no call of it may run in the loop; "" if they may as long as it is quick."""
    if why := why_it_waits(info, granted):
        return why
    for name, most in (
        ("fuel", MAX_INLINE_FUEL),
        ("host_calls", MAX_INLINE_HOST_CALLS),
        ("host_bytes", MAX_INLINE_HOST_BYTES),
    ):
        if getattr(limits, name) > most:
            return f"limits.{name} is above {most}"
    return ""


def asked_for(info: ModuleInfo, manifest: Manifest) -> frozenset[Grant]:
    """What a plugin asks for: by its imports, and in its manifest.

    An import cannot say what a scoped permission is for: the manifest must. Of talking
    on a topic, who only listens asks for no more than that, or the other way round. Who
    refuses what it fails on asks to end flows.
    """
    plain = {grant_of(one) for one in info.permissions if one not in SCOPED}
    unused = _TALKING - info.permissions
    named = {one for one in manifest.asked if one.permission not in unused}
    asked, deciding = frozenset(plain | named), _deciding(info)
    is_more = manifest.on_error == "block" and not asked & deciding
    return asked | deciding if is_more else asked


def imported(prepared: Prepared) -> frozenset[Grant]:
    """What naming its file grants: of what it asks for, all that its imports show, and
    to end flows, by returning DROP or by failing. What else no import shows (as reading
    secrets) always needs a grant."""
    shown = prepared.info.permissions
    asked = {one for one in prepared.asked if one.permission in shown}
    may_end = prepared.asked & _deciding(prepared.info)
    return frozenset(asked | may_end | _may_drop(prepared))


def _deciding(info: ModuleInfo) -> frozenset[Grant]:
    """What ending a flow takes in its hooks."""
    points = (point for point in info.entries if point is not Extra.MESSAGE)
    return frozenset(grant_of(DECIDE.in_hook(point)) for point in points)


def _may_drop(prepared: Prepared) -> set[Grant]:
    """What returning DROP takes: a module shows by no import that it does."""
    entries = prepared.info.entries
    ends = (*HookPoint, Extra.SSE_EVENT, Extra.WEBSOCKET_MESSAGE)
    return {grant_of(DECIDE.in_hook(point)) for point in entries if point in ends}


def granted_to(
    prepared: Prepared, trusted: frozenset[Grant], given: frozenset[Grant]
) -> frozenset[Grant]:
    """The user's grants, in the config or `given` at run time; and what it asks for and
    gets without one: looking, and what was `trusted` when its file was named."""
    free = {one for one in prepared.asked if one.permission in GRANTED_UNASKED}
    return (
        prepared.manifest.granted
        | given
        | free
        | (trusted & (prepared.asked | _may_drop(prepared)))
    )


def read_module(
    path: Path, limit: int = MAX_MODULE_BYTES, watched: Watched | None = None
) -> bytes:
    """A module file's bytes; PluginError when it cannot be read or is too large."""
    if path.suffix not in SUFFIXES:
        raise PluginError(f"{path}: not a plugin: its name ends neither .wasm nor .wat")
    try:
        data = (watched or Watched()).read(path, limit)
    except OSError as error:
        raise PluginError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise PluginError(f"{path}: {error}") from None
    if not data:
        raise PluginError(f"{path}: the file is empty")
    return data
