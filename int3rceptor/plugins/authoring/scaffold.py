"""`plugins new`: a folder with a small plugin, its settings, its test and its build.

It writes into a folder that it makes itself, and nowhere else. The bindings in it are
written from this version's table of host functions.
"""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from int3rceptor.errors import PluginError
from int3rceptor.plugins.authoring.bindings import binding

TEMPLATES = Path(__file__).parent / "templates"
"""`common` is in every plugin; beside it a folder for each language."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(slots=True, frozen=True, kw_only=True)
class _Kind:
    """A language: what is built from its sources, where its bindings go ("" for none),
    and what else a build leaves behind."""

    suffix: str
    sdk: str
    leaves: str = ""


_KINDS: Mapping[str, _Kind] = MappingProxyType(
    {
        "rust": _Kind(suffix=".wasm", sdk="src/int3rceptor.rs", leaves="target"),
        "c": _Kind(suffix=".wasm", sdk="int3rceptor.h"),
        "zig": _Kind(suffix=".wasm", sdk="int3rceptor.zig"),
        "assemblyscript": _Kind(
            suffix=".wasm", sdk="int3rceptor.ts", leaves="node_modules"
        ),
        "go": _Kind(suffix=".wasm", sdk="int3rceptor/int3rceptor.go"),
        "wat": _Kind(suffix=".wat", sdk=""),
    }
)
LANGUAGES = tuple(_KINDS)
"""What `--lang` may be."""

_PARTS = frozenset({"build.mk", "needs.md"})
"""Files of a language that go into the common ones."""


def make_plugin(name: str, language: str, parent: Path) -> list[PurePosixPath]:
    """Make the folder `parent`/`name`; the files in it, by their paths there.

    PluginError, and nothing written, when it exists already or the name will not do.
    """
    if not _NAME.fullmatch(name):
        raise PluginError(
            f"{name!r} is no name for a plugin: letters, digits, - and _, at most 64, "
            "beginning with a letter or a digit"
        )
    if language not in _KINDS:
        raise PluginError(f"no language {language!r}; there are {', '.join(LANGUAGES)}")
    files = _files(name, language)
    folder = parent / name
    try:
        folder.mkdir()
    except FileExistsError:
        raise PluginError(f"{folder} exists already; nothing was written") from None
    except OSError as error:
        raise PluginError(f"{folder} cannot be made: {error.strerror}") from None
    try:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, "utf-8")
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise PluginError(f"{folder} cannot be written: {error.strerror}") from None
    return sorted(files)


def _files(name: str, language: str) -> dict[PurePosixPath, str]:
    kind = _KINDS[language]
    own = _texts(TEMPLATES / language)
    words = {
        "@BUILD@": own[PurePosixPath("build.mk")],
        "@NEEDS@": own[PurePosixPath("needs.md")].rstrip("\n"),
        "@MODULE@": f"{name}{kind.suffix}",
        "@CLEAN@": " ".join(one for one in (f"{name}.wasm", kind.leaves) if one),
        "@SDK@": kind.sdk or "docs/plugin-abi.md of INT3RCEPTOR",
        "@NAME@": name,
    }
    files = {
        _placed(path, name, kind): _filled(text, words)
        for path, text in (_texts(TEMPLATES / "common") | own).items()
        if path.name not in _PARTS
    }
    files[PurePosixPath(".gitignore")] = words["@CLEAN@"].replace(" ", "\n") + "\n"
    if kind.sdk:
        files[PurePosixPath(kind.sdk)] = binding(language)
    return files


def _texts(folder: Path) -> dict[PurePosixPath, str]:
    return {
        PurePosixPath(path.relative_to(folder).as_posix()): path.read_text("utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


def _placed(path: PurePosixPath, name: str, kind: _Kind) -> PurePosixPath:
    """plugin.toml, and a source that is the module itself, bear the plugin's name."""
    if path.name in {"plugin.toml", f"plugin{kind.suffix}"}:
        return path.with_name(f"{name}{path.suffix}")
    return path


def _filled(text: str, words: Mapping[str, str]) -> str:
    for place, word in words.items():
        text = text.replace(place, word)
    return text
