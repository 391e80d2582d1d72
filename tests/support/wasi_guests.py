"""Builds the programs of tests/guests/wasi, each by its language's own toolchain.

A toolchain that is missing skips the test, with a reason; in CI it fails it.
"""

import os
import subprocess
from pathlib import Path

from tests.support.toolchains import GO_OFFLINE, compiler
from tests.support.tools import missing, require

SOURCES = Path(__file__).resolve().parents[1] / "guests" / "wasi"
BUILD_S = 240
"""The first build of a machine makes Go's standard library, too."""


def build(language: str, folder: Path) -> Path:
    """The module of one language, built once into `folder`."""
    module = folder / f"{language}.wasm"
    if not module.exists():
        _BUILDERS[language](module)
    return module


def _build_c(module: Path) -> None:
    command: list[str | Path] = [
        *(require("clang"), "--target=wasm32-wasi", "--sysroot=/usr"),
        *("-mexec-model=reactor", "-Oz", "-Wl,--strip-all"),
        *("-o", module, SOURCES / "notes.c"),
    ]
    _run(command, needs="wasi-libc and libclang-rt-dev-wasm32")


def _build_rust(module: Path) -> None:
    # Debian's own: only that one comes with the standard library for WASI.
    compiler = Path("/usr/bin/rustc")
    if not compiler.exists():
        missing("/usr/bin/rustc is not installed")
    command: list[str | Path] = [
        *(compiler, "--edition", "2021", "--target", "wasm32-wasi"),
        *("--crate-type", "cdylib", "-C", "opt-level=s", "-C", "strip=symbols"),
        *("-o", module, SOURCES / "notes.rs"),
    ]
    _run(command, needs="libstd-rust-dev-wasm32")


def _build_go(module: Path) -> None:
    command: list[str | Path] = [
        *(compiler("go"), "build", "-C", SOURCES / "go", "-buildmode=c-shared"),
        *("-ldflags=-s -w", "-o", module, "."),
    ]
    _run(command, needs="Go", variables={**GO_OFFLINE, "GOFLAGS": "-trimpath"})


def _run(
    command: list[str | Path], *, needs: str, variables: dict[str, str] | None = None
) -> None:
    built = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_S,
        env={**os.environ, **(variables or {})},
    )
    if built.returncode:
        missing(f"cannot build for WASI; is {needs} installed? {built.stderr[-800:]}")


_BUILDERS = {"c": _build_c, "rust": _build_rust, "go": _build_go}
LANGUAGES = tuple(_BUILDERS)
