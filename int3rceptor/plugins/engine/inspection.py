"""What a compiled module wants and offers, judged against the ABI table.

What a module imports is what it can do: the permissions it asks for are read here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from wasmtime import FuncType, MemoryType, Module

from int3rceptor.errors import PluginError
from int3rceptor.hooks.points import HookPoint
from int3rceptor.plugins.abi.codes import (
    ENTRIES,
    INIT_EXPORT,
    INITIALIZE_EXPORT,
    MEMORY_EXPORT,
    PAGE_BYTES,
    START_EXPORT,
    WASI_MODULE,
    Entry,
    Extra,
)
from int3rceptor.plugins.abi.table import ROWS
from int3rceptor.plugins.engine.engine import spell_types
from int3rceptor.plugins.policy.permissions import Permission
from int3rceptor.plugins.wording import shown

MAX_SHOWN_CHARS = 64
"""Of a name that a module brings: it may have 100,000 letters."""

MAX_SHOWN_PROBLEMS = 4
"""In one line; `plugins check` tells all."""

_BODY_PERMISSIONS = frozenset({Permission.BODY_READ, Permission.BODY_MODIFY})


@dataclass(slots=True, kw_only=True)
class ModuleInfo:
    """A module's side of the contract. `problems` are why it cannot be loaded.

    `imports` maps a host function's name to the result it is declared with ("" for
    none). `notes` are what its author may have meant otherwise.
    """

    imports: dict[str, str] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    has_init: bool = False
    has_initialize: bool = False
    is_command: bool = False
    has_memory: bool = False
    initial_memory_bytes: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def exports(self) -> tuple[str, ...]:
        """The functions that the host calls."""
        entries = tuple(entry.value for entry in self.entries)
        begin = (INITIALIZE_EXPORT,) if self.has_initialize else ()
        init = (INIT_EXPORT,) if self.has_init else ()
        return (*entries, *begin, *init)

    @property
    def hooks(self) -> list[HookPoint]:
        """The hooks of the dispatcher among its entries."""
        return [entry for entry in self.entries if isinstance(entry, HookPoint)]

    @property
    def waits_for(self) -> str:
        """An import that may wait for something else than the processor: its calls
        never run in the event loop."""
        return next((name for name in self.imports if ROWS[name].blocks), "")

    @property
    def uses_wasi(self) -> bool:
        """Whether it was built for wasm32-wasip1."""
        return any(ROWS[name].module == WASI_MODULE for name in self.imports)

    @property
    def permissions(self) -> frozenset[Permission]:
        """What its imports, in the entries that it exports, ask for."""
        asked = (ROWS[name].permissions(self.entries) for name in self.imports)
        return frozenset().union(*asked)

    @property
    def needs_body(self) -> bool:
        """Whether bodies must be made whole for it."""
        rows = (ROWS[name] for name in self.imports)
        asked = (row.permissions(self.hooks) for row in rows if not row.streams)
        return not _BODY_PERMISSIONS.isdisjoint(frozenset().union(*asked))

    @property
    def changes_chunks(self) -> bool:
        """Whether it can put other bytes in the place of a chunk."""
        return "host_set_chunk" in self.imports


def inspect_module(module: Module) -> ModuleInfo:
    """Read imports and exports; problems are collected, not raised."""
    info = ModuleInfo()
    for one in module.imports:
        _judge_import(info, one.module, one.name or "", one.type)
    for export in module.exports:
        _judge_export(info, export.name, export.type)
    _judge_whole(info)
    return info


def limited_to(info: ModuleInfo, hooks: Sequence[str], source: str) -> ModuleInfo:
    """The module as if it exported these hooks alone; PluginError for one that it does
    not export, since a plugin that is silently never asked guards nothing."""
    if "*" in hooks:
        return info
    exported = [entry.value for entry in info.entries]
    if unknown := [name for name in hooks if name not in exported]:
        raise PluginError(
            f"{source}: hooks: {unknown[0]!r} is not exported; "
            f"it exports {', '.join(exported)}"
        )
    if not hooks:
        raise PluginError(f"{source}: hooks: names none; leave the key out for all")
    entries = [entry for entry in info.entries if entry.value in hooks]
    return replace(info, entries=entries)


def require_loadable(info: ModuleInfo, source: str) -> None:
    """PluginError with its problems, if there is one."""
    found = info.problems
    if found:
        more = len(found) - MAX_SHOWN_PROBLEMS
        rest = (f"and {more} more",) if more > 0 else ()
        told = "; ".join((*found[:MAX_SHOWN_PROBLEMS], *rest))
        raise PluginError(f"{source}: {told}")


def _judge_import(info: ModuleInfo, module: str, name: str, kind: object) -> None:
    row = ROWS.get(name)
    if row is None or row.module != module:
        info.problems.append(
            f"imports {shown(f'{module}.{name}', MAX_SHOWN_CHARS)}, which this host "
            "does not have "
            "(docs/plugin-abi.md lists what it has)"
        )
        return
    result_words = " or ".join(one or "no result" for one in row.results)
    expected = f"({_spell(row.types)}) -> {result_words}"
    if not isinstance(kind, FuncType):
        info.problems.append(
            f"imports {module}.{name} as something that is no function; "
            f"expected a function {expected}"
        )
        return
    params, results = spell_types(kind)
    if tuple(params) != row.types or _spell(results) not in row.results:
        found = f"({_spell(params)}) -> {_spell(results) or 'nothing'}"
        info.problems.append(f"imports {module}.{name} as {found}; expected {expected}")
        return
    result = results[0] if results else ""
    if info.imports.setdefault(name, result) != result:
        info.problems.append(f"imports {module}.{name} twice, with and without result")


def _judge_export(info: ModuleInfo, name: str, kind: object) -> None:
    if name == MEMORY_EXPORT:
        if isinstance(kind, MemoryType):
            info.has_memory = True
            info.initial_memory_bytes = kind.limits.min * PAGE_BYTES
        return
    entry = _ENTRIES.get(name)
    info.is_command |= name == START_EXPORT
    if entry is None and name not in (INIT_EXPORT, INITIALIZE_EXPORT):
        if name.startswith("on_"):
            info.notes.append(
                f"exports {shown(name, MAX_SHOWN_CHARS)}, which is no hook and is "
                "never called"
            )
        return
    if not isinstance(kind, FuncType):
        info.problems.append(f"exports {name} as something that is no function")
        return
    params, results = spell_types(kind)
    wanted = "nothing" if name == INITIALIZE_EXPORT else "i32"
    if params or (_spell(results) or "nothing") != wanted:
        found = f"({_spell(params)}) -> {_spell(results) or 'nothing'}"
        info.problems.append(f"exports {name} as {found}; expected () -> {wanted}")
    elif entry is not None:
        info.entries.append(entry)
    elif name == INIT_EXPORT:
        info.has_init = True
    else:
        info.has_initialize = True


def _judge_whole(info: ModuleInfo) -> None:
    if "host_subscribe" in info.imports and Extra.MESSAGE not in info.entries:
        info.problems.append(
            f"imports host_subscribe, but exports no {Extra.MESSAGE.value}: it would "
            "never hear of a message"
        )
    is_command = info.is_command and not info.has_initialize
    if is_command and not info.problems and (info.uses_wasi or not info.entries):
        info.problems.append(_COMMAND)
    if not info.entries and not info.problems:
        names = ", ".join(_ENTRIES)
        info.problems.append(f"exports no hook; it needs at least one of {names}")
    users = [name for name in info.imports if ROWS[name].needs_memory]
    if users and not info.has_memory:
        info.problems.append(
            f"imports {users[0]}, which takes addresses, but exports no memory "
            f'named "{MEMORY_EXPORT}"'
        )


_ENTRIES = {entry.value: entry for entry in ENTRIES}


_COMMAND = (
    "is a program that runs once and ends (it exports _start), while a plugin is "
    "called again and again: build a reactor (Go: -buildmode=c-shared; C and Zig: "
    "-mexec-model=reactor; Rust: crate-type cdylib)"
)


def _spell(types: Iterable[str]) -> str:
    return ", ".join(types)
