"""Programs in C, Rust and Go, built for WASI by their own toolchains."""

from pathlib import Path

import pytest

from int3rceptor.hooks.points import HookPoint
from int3rceptor.plugins.abi.codes import LogLevel
from int3rceptor.plugins.authoring.description import describe
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.host.host import Surroundings
from int3rceptor.plugins.policy.manifest import Limits
from int3rceptor.plugins.policy.permissions import Permission, grant_of
from tests.plugins.support import FETCHED, make_flow, make_instance
from tests.support.wasi_guests import BUILD_S, LANGUAGES, build

pytestmark = [pytest.mark.guests, pytest.mark.timeout(BUILD_S + 60)]


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wasi-guests")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_program_prints_reads_and_appends(
    language: str, builds: Path, factory: MakerFactory, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("out of reach")
    folder = tmp_path / "granted"
    folder.mkdir()
    (folder / "in.txt").write_text("hello\n")
    instance = make_instance(
        build(language, builds).read_bytes(),
        factory,
        limits=Limits(fuel=20_000_000),
        granted=frozenset(
            {
                grant_of(Permission.BASE),
                grant_of(Permission.AMBIENT),
                grant_of(Permission.FILES, f"{folder}:rw"),
            }
        ),
        surroundings=Surroundings(
            args=("notes",),
            env={"MODE": "test", "FOLDER": str(folder)},
            fetch=lambda _request, _terms: FETCHED,
        ),
    )
    for count in (1, 2):
        result = instance.run(HookPoint.REQUEST, make_flow())
        lines = list(instance.take_lines())
        assert result is None, lines
        if count == 1:
            assert lines.pop(0) == (LogLevel.WARN, "ready")
        assert lines == [
            (LogLevel.INFO, f"request {count} test"),
            (LogLevel.INFO, "read hello"),
            (LogLevel.INFO, "escape refused"),
            (LogLevel.INFO, "clock runs"),
        ]
    assert (folder / "out.txt").read_text() == "line 1\nline 2\n"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_check_tells_it_in_plain_words(language: str, builds: Path) -> None:
    text = "\n".join(describe(build(language, builds)).lines())
    assert "Through WASI (preview 1), which it was built for, it:" in text
    assert "writes to its log\n    fd_write" in text
    assert "in folders that it is granted" in text
    assert text.endswith("It can be loaded.")


def test_a_program_that_is_no_reactor_is_told_how_to_become_one() -> None:
    source = b"""(module
      (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
      (memory (export "memory") 1)
      (func (export "_start")) (func (export "on_request") (result i32) (i32.const 0)))
    """
    with pytest.raises(Exception, match=r"exports _start.*build a reactor"):
        make_instance(source)
