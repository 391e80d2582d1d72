"""Writes the bindings of each guest language from the table of host functions.

`python -m int3rceptor.plugins.authoring.bindings guest-plugins` writes the SDKs' copies
anew; a test holds that this was done. `plugins new` puts one into each new plugin.
"""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from int3rceptor.plugins.abi.rows import HostFunction
from int3rceptor.plugins.abi.table import FUNCTIONS
from int3rceptor.plugins.authoring.languages import assemblyscript, c, go, rust, zig
from int3rceptor.plugins.authoring.languages.text import Lines
from int3rceptor.plugins.authoring.shapes import Shape, shape_of

PRELUDES = Path(__file__).parent / "sdk"
"""What each binding says besides the functions: `@place@` lines are filled in."""

_PLACE = re.compile(r"^@(\w+)@$", re.MULTILINE)

Sections = Callable[[Sequence[Shape]], Mapping[str, Lines]]

BINDINGS: Mapping[str, tuple[str, Sections]] = MappingProxyType(
    {
        "c": ("int3rceptor.h", c.sections),
        "rust": ("int3rceptor.rs", rust.sections),
        "zig": ("int3rceptor.zig", zig.sections),
        "assemblyscript": ("int3rceptor.ts", assemblyscript.sections),
        "go": ("int3rceptor.go", go.sections),
    }
)
"""For each language its file and who fills it."""

COPIES: Mapping[str, str] = MappingProxyType(
    {
        "c": "sdk-c/int3rceptor.h",
        "rust": "sdk-rust/src/int3rceptor.rs",
        "zig": "sdk-zig/int3rceptor.zig",
        "assemblyscript": "sdk-assemblyscript/int3rceptor.ts",
        "go": "sdk-go/int3rceptor.go",
    }
)
"""Where the SDKs keep them, below guest-plugins."""


def binding(
    language: str, rows: Sequence[HostFunction] = tuple(FUNCTIONS.values())
) -> str:
    """The whole file for one language."""
    prelude, sections = BINDINGS[language]
    filled = sections([shape_of(row) for row in rows])
    text = (PRELUDES / prelude).read_text("utf-8")
    return _PLACE.sub(lambda place: "\n".join(filled[place[1]]), text)


def write_copies(folder: Path) -> None:
    """Write every SDK's copy below `folder`."""
    for language, path in COPIES.items():
        (folder / path).write_text(binding(language), "utf-8")


if __name__ == "__main__":
    write_copies(Path(sys.argv[1]))
