"""Compilers of guest plugins, and how the tests build with each. `make toolchains`
installs all but Rust's; without one the test that needs it is skipped, in CI it fails.
"""

import os
import subprocess
from pathlib import Path

from tests.support.tools import find, missing, require

ROOT = Path(__file__).resolve().parents[2]
Command = list[str | Path]

BIN = ROOT / ".toolchains" / "bin"
RUST_TARGET = "wasm32-unknown-unknown"

GO_OFFLINE = {
    "GOFLAGS": "-mod=mod",
    "GOPROXY": "off",
    "GOTOOLCHAIN": "local",
    "GOOS": "wasip1",
    "GOARCH": "wasm",
}


def compiler(name: str) -> Path:
    """zig, go or asc as the lock pins it."""
    path = BIN / name
    if not path.exists():
        missing(f"{name} is not installed (make toolchains)")
    return path


def rustc() -> Path:
    """The first rustc that has the WebAssembly target."""
    for one in (find("rustc"), Path("/usr/bin/rustc")):
        if one is not None and one.exists() and _has_target(one):
            return one
    missing(f"no rustc with the target {RUST_TARGET} is installed")


def _has_target(rustc: Path) -> bool:
    asked: Command = [rustc, "--print", "target-libdir", "--target", RUST_TARGET]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    return any(Path(answer.stdout.strip() or "/nowhere").glob("libcore-*.rlib"))


def path_with_toolchains() -> str:
    """PATH with the pinned compilers first."""
    return os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)])


def compile_guest(language: str, source: Path, module: Path) -> Path:
    """Compile one source file, with its SDK beside it, into `module`."""
    extra = GO_OFFLINE if language == "go" else {}
    ran = subprocess.run(
        _command(language, source, module),
        cwd=source.parent,
        env={**os.environ, **extra},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return module


def _command(language: str, source: Path, module: Path) -> Command:
    match language:
        case "c":
            kind = ["-target", "wasm32-freestanding", "-Oz", "-nostdlib"]
            strict = ["-Wall", "-Wextra", "-Werror", "-Wl,--no-entry,--strip-all"]
            return [compiler("zig"), "cc", *kind, *strict, "-o", module, source]
        case "rust":
            small = ["-Copt-level=z", "-Cpanic=abort", "-Clto", "-Cstrip=symbols"]
            kind = ["--crate-type=cdylib", f"--target={RUST_TARGET}", "-Dwarnings"]
            return [rustc(), "--edition=2021", *kind, *small, "-o", module, source]
        case "zig":
            kind = ["-target", "wasm32-freestanding", "-fno-entry", "-rdynamic"]
            small = ["-O", "ReleaseSmall", "-fstrip", f"-femit-bin={module}"]
            return [compiler("zig"), "build-exe", source, *kind, *small]
        case "assemblyscript":
            require("node")
            said = ["--use", "abort=int3rceptor/trap"]
            return [compiler("asc"), source.name, "-Oz", *said, "-o", module]
        case _:
            small = ["-trimpath", "-buildmode=c-shared", "-ldflags=-s -w"]
            return [compiler("go"), "build", *small, "-o", module, "."]
