"""What `plugins check FILE` tells: a module's hooks, imports and what they allow."""

from dataclasses import dataclass
from pathlib import Path

from int3rceptor.errors import PluginError
from int3rceptor.plugins.abi.codes import IMPORT_MODULE, INIT_EXPORT
from int3rceptor.plugins.abi.table import ROWS
from int3rceptor.plugins.abi.wasi import GROUPS
from int3rceptor.plugins.engine.compiling import compiled
from int3rceptor.plugins.engine.inspection import ModuleInfo, inspect_module, limited_to
from int3rceptor.plugins.managing.loading import asked_for, read_module
from int3rceptor.plugins.policy.manifest import Manifest, read_manifest
from int3rceptor.plugins.policy.permissions import (
    GRANTED_UNASKED,
    MEANINGS,
    Grant,
    Permission,
)


@dataclass(slots=True, frozen=True, kw_only=True)
class Description:
    """A module that was read but not run. `problems` are why it could not be loaded."""

    source: Path
    size_bytes: int
    info: ModuleInfo
    manifest: Manifest | None
    problems: tuple[str, ...]

    def lines(self) -> list[str]:
        """The report, a line each, for people."""
        return [
            f"{self.source} ({self.size_bytes} bytes)",
            *self._manifest_lines(),
            "Hooks: " + (", ".join(self._hooks()) or "none"),
            *self._permission_lines(),
            *(f"Note: {note}" for note in self.info.notes),
            *(f"Problem: {problem}" for problem in self.problems),
            "It can be loaded." if not self.problems else "It cannot be loaded.",
        ]

    def _hooks(self) -> list[str]:
        hooks = [entry.value for entry in self.info.entries]
        return [INIT_EXPORT, *hooks] if self.info.has_init else hooks

    def _manifest_lines(self) -> list[str]:
        manifest = self.manifest
        if manifest is None:
            return []
        limits, hosts = manifest.limits, ", ".join(manifest.scope.hosts)
        priority, on_error = manifest.priority, manifest.on_error
        methods = ", ".join(manifest.scope.methods)
        types = ", ".join(manifest.scope.content_types)
        return [
            f"Name: {manifest.name} {manifest.version}".rstrip(),
            *([f"Says of itself: {manifest.description}"] * bool(manifest.description)),
            f"Priority: {priority}; on error: {on_error}; hosts: {hosts}",
            f"Methods: {methods}; content types: {types}",
            f"Limits: fuel {limits.fuel}, {limits.wall_s:g} s",
            f"Limits: {limits.memory_bytes} bytes of memory",
            f"Limits: {limits.host_calls} host calls, {limits.host_bytes} bytes",
        ]

    def _permission_lines(self) -> list[str]:
        lines = ["Its imports allow it to:"]
        for permission in Permission:
            names = [
                name
                for name in self.info.imports
                if permission in ROWS[name].permissions(self.info.entries)
                and ROWS[name].module == IMPORT_MODULE
            ]
            if not names:
                continue
            waits = "" if permission in GRANTED_UNASKED else " (needs a grant)"
            lines.append(f"  {permission.value}: {MEANINGS[permission]}{waits}")
            lines.append(f"    {', '.join(names)}")
        if len(lines) == 1:
            lines = [] if self.info.uses_wasi else ["It imports nothing."]
        return lines + self._wasi_lines() + self._asking_lines()

    def _wasi_lines(self) -> list[str]:
        """What its imports from WASI show."""
        if not self.info.uses_wasi:
            return []
        lines = ["Through WASI (preview 1), which it was built for, it:"]
        for words, names in GROUPS.items():
            used = [name for name in names if name in self.info.imports]
            if used:
                lines += [f"  {words}", f"    {', '.join(used)}"]
        return lines

    def _asking_lines(self) -> list[str]:
        """What the manifest asks for beyond the imports."""
        beyond = [
            one
            for one in sorted(self._asked())
            if one.permission not in self.info.permissions or one.scope
        ]
        if not beyond:
            return []
        lines = [f"  {one}: {one.in_words()} (needs a grant)" for one in beyond]
        return ["Its manifest asks, too, to:", *lines]

    def _asked(self) -> frozenset[Grant]:
        if self.manifest is None:
            return frozenset()
        return asked_for(self.info, self.manifest)


def _limited(
    info: ModuleInfo, manifest: Manifest, path: Path, problems: list[str]
) -> ModuleInfo:
    """The module with the hooks that its manifest uses."""
    try:
        return limited_to(info, manifest.hooks, str(path))
    except PluginError as error:
        problems.append(str(error))
        return info


def describe(path: Path) -> Description:
    """Compile and inspect a module file without running any of it.

    PluginError only when there is nothing to describe: no such file, no module.
    """
    data = read_module(path)
    info = inspect_module(compiled(data, str(path)))
    problems = list(info.problems)
    manifest: Manifest | None = None
    try:
        manifest = read_manifest(path, {}, data)
    except PluginError as error:
        problems.append(str(error))
    else:
        if not problems:
            info = _limited(info, manifest, path, problems)
        needed, allowed = info.initial_memory_bytes, manifest.limits.memory_bytes
        if needed > allowed:
            problems.append(
                f"starts with {needed} bytes of memory, but {allowed} are allowed "
                "(limits.memory_bytes)"
            )
    return Description(
        source=path,
        size_bytes=len(data),
        info=info,
        manifest=manifest,
        problems=tuple(problems),
    )
