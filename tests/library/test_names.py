"""The public names: cheap to import, all there, all typed."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import pytest

import int3rceptor
from tests.library.test_documentation import PIECES, PROGRAM
from tests.support.tools import require

VERIFY_S = 180.0


def newly_imported(program: str) -> set[str]:
    """The modules that `program` loads in a fresh interpreter."""
    before = "import sys, typing; before = set(sys.modules); "
    after = "; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run(
        [sys.executable, "-c", before + program + after],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_the_package_imports_nothing_else() -> None:
    assert newly_imported("import int3rceptor") == {"int3rceptor"}


def test_a_name_is_loaded_when_it_is_used() -> None:
    loaded = newly_imported("import int3rceptor; int3rceptor.Drop")

    assert "int3rceptor.hooks.verdicts" in loaded
    assert "asyncio" not in loaded


def test_a_proxy_loads_no_hub_and_no_engine() -> None:
    loaded = newly_imported("from int3rceptor import Proxy")
    heavy = {"fastapi", "uvicorn", "wasmtime", "sqlite3", "typer", "rich"}

    assert "int3rceptor.embedding" in loaded
    assert loaded & heavy == set()


def test_every_name_is_there() -> None:
    assert list(int3rceptor.__all__) == sorted(int3rceptor.__all__)
    for name in int3rceptor.__all__:
        assert getattr(int3rceptor, name) is not None
    assert set(int3rceptor.__all__) < set(dir(int3rceptor))


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Prxy'"):
        getattr(int3rceptor, "Prxy")  # noqa: B009  # what is tested


def pyright(folder: Path, *arguments: str) -> str:
    """What it says in JSON, of the package as it is installed."""
    require("node")
    scripts = Path(sys.executable).parent
    program = scripts / "pyright"
    assert program.exists(), "pyright is a development dependency: install those"
    done = subprocess.run(
        [program, "--outputjson", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,  # not here, where the package is sources and not installed
        env={**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"},
    )
    return done.stdout


def public_prefixes() -> list[str]:
    """Where the exported classes are defined, as pyright names them."""
    found = [getattr(int3rceptor, name) for name in int3rceptor.__all__]
    classes = [one for one in found if inspect.isclass(one)]
    return [f"{one.__module__}.{one.__qualname__}" for one in classes]


@pytest.mark.timeout(VERIFY_S)
def test_what_is_exported_is_typed_whole(tmp_path: Path) -> None:
    """As pyright sees an installed package: every symbol of every exported class."""
    said = pyright(tmp_path, "--ignoreexternal", "--verifytypes", "int3rceptor")
    symbols = json.loads(said)["typeCompleteness"]["symbols"]
    prefixes = public_prefixes()
    public = [
        one
        for one in symbols
        if any(f"{one['name']}.".startswith(f"{prefix}.") for prefix in prefixes)
    ]

    assert len(public) > 100
    unclear = {
        one["name"]: [said["message"] for said in one["diagnostics"]]
        for one in public
        if not one["isTypeKnown"] or one["isTypeAmbiguous"]
    }
    assert unclear == {}


@pytest.mark.timeout(VERIFY_S)
def test_the_pieces_of_the_page_satisfy_a_type_checker(tmp_path: Path) -> None:
    names = f"from int3rceptor import {', '.join(int3rceptor.__all__)}\n"
    for number, piece in enumerate(PIECES):
        written = names + "async def use(proxy: Proxy) -> None:\n" + indent(piece, "  ")
        (tmp_path / f"piece_{number}.py").write_text(written)
    (tmp_path / "program.py").write_text(PROGRAM)
    said = json.loads(pyright(tmp_path, "."))
    assert said["summary"]["filesAnalyzed"] == len(PIECES) + 1
    assert [one["message"] for one in said["generalDiagnostics"]] == []
