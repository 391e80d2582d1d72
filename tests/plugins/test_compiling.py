"""The compiler's process: its answers, its limits, its ends; and what is kept."""

import logging
import sys
import textwrap
from pathlib import Path

import psutil
import pytest
from wasmtime import Module

from int3rceptor.errors import PluginError
from int3rceptor.net import children
from int3rceptor.plugins.engine import compiling, engine
from int3rceptor.plugins.engine.cache import ModuleCache
from int3rceptor.plugins.engine.compiling import compiled
from int3rceptor.plugins.engine.engine import MAX_EXPORTS, compile_module
from int3rceptor.plugins.policy.manifest import MAX_MODULE_BYTES
from tests.support.wasm import EMPTY, empty_functions

pytestmark = pytest.mark.measured


EXPORTS = "".join(f'(func (export "f{n}"))' for n in range(MAX_EXPORTS + 1)).encode()
TEXT = b'(module (func (export "on_request") (result i32) (i32.const 0)))'


def refusal(data: bytes) -> str:
    """Why a module is not compiled, in one line."""
    with pytest.raises(PluginError) as caught:
        compiled(data, "dir/a.wasm")
    message = str(caught.value)
    assert message.startswith("dir/a.wasm: ")
    assert "\n" not in message
    return message


def use_as_compiler(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Start another program in place of the compiler."""
    code = textwrap.dedent(program)
    monkeypatch.setattr(
        children,
        "command",
        lambda _module, source: [sys.executable, "-c", code, source],
    )


@pytest.fixture
def unwanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be compiled in this process."""

    def refused(_data: bytes, _source: str) -> Module:
        raise AssertionError("compiled here")

    monkeypatch.setattr(compiling, "compile_module", refused)


@pytest.mark.usefixtures("unwanted")
def test_binary_and_text_are_compiled() -> None:
    assert compiled(EMPTY, "a.wasm").exports == []
    assert [one.name for one in compiled(TEXT, "a.wat").exports] == ["on_request"]


@pytest.mark.usefixtures("unwanted")
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (EMPTY + b"nonsense", "not a usable WebAssembly module: "),
        (b"(module (func (drop)))", "not a usable WebAssembly module: "),
        (b"\x80\x81", "neither a WebAssembly binary (it would begin with \\0asm) nor"),
        (EMPTY + bytes(MAX_MODULE_BYTES), f"larger than {MAX_MODULE_BYTES} bytes"),
        (EXPORTS, f"0 imports and {MAX_EXPORTS + 1} exports, but at most"),
    ],
    ids=["binary", "text", "neither", "large", "exports"],
)
def test_what_is_no_module_is_refused(data: bytes, said: str) -> None:
    assert said in refusal(data)


def test_a_name_that_is_not_utf8_comes_back_as_it_was() -> None:
    with pytest.raises(PluginError) as caught:
        compiled(EMPTY + b"x", "caf\udce9.wasm")
    assert str(caught.value).startswith("caf\udce9.wasm: not a usable")


@pytest.mark.usefixtures("unwanted")
def test_one_that_takes_too_long_is_given_up_and_its_process_ended() -> None:
    before = psutil.Process().children()
    with pytest.raises(PluginError, match=r"than 0\.3 s \(limits\.compile_s"):
        compiled(empty_functions(150_000), "a module", limit_s=0.3)
    assert psutil.Process().children() == before


LIMITED = """
    import sys
    from int3rceptor.plugins.engine import compiler
    compiler.{name} = {value}
    compiler.main(sys.argv[1])
"""


@pytest.mark.usefixtures("unwanted")
@pytest.mark.skipif(sys.platform != "linux", reason="others bound no memory")
def test_one_that_takes_too_much_memory_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_as_compiler(
        monkeypatch, LIMITED.format(name="MAX_COMPILE_BYTES", value="40 << 20")
    )
    said = refusal(empty_functions(20_000))
    assert said.endswith("compiling it takes more than 1024 MiB of memory")


@pytest.mark.usefixtures("unwanted")
def test_a_compiler_that_lost_its_parent_ends_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_as_compiler(
        monkeypatch,
        LIMITED.format(name="MAX_COMPILE_S", value="0.3 - compiler.GRACE_S"),
    )
    assert "compiling it takes longer than" in refusal(empty_functions(150_000))


@pytest.mark.usefixtures("unwanted")
def test_one_that_is_too_large_once_compiled_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_as_compiler(monkeypatch, LIMITED.format(name="MAX_COMPILED_BYTES", value="100"))
    assert refusal(EMPTY).endswith("larger than 100 bytes, compiled")


@pytest.mark.usefixtures("unwanted")
@pytest.mark.parametrize(
    ("program", "said"),
    [
        (
            "import os; os.kill(os.getpid(), 9)",
            "was ended by signal 9 (is the system out of memory?)",
        ),
        ("import os; os.kill(os.getpid(), 2)", "its compiler was ended by signal 2"),
        (
            "import os; os.write(2, b'a\\n oh \\n'); os.abort()",
            "its compiler was ended by signal 6: oh",
        ),
        ("print('+nonsense')", "its compiler answered nonsense: "),
        ("print('-sorry')", "sorry"),
    ],
    ids=["kill", "interrupt", "abort", "nonsense", "message"],
)
def test_a_compiler_that_ends_otherwise_is_told_of(
    program: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_as_compiler(monkeypatch, program)
    with pytest.raises(PluginError) as caught:
        compiled(EMPTY, "dir/a.wasm")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("executable", "said"),
    [
        ("", "there is no Python interpreter to start"),
        ("/nowhere/python", "no process can be started: No such file or directory"),
        ("/bin/false", "its compiler did not start: "),
    ],
)
def test_without_a_process_it_is_compiled_here_with_a_line(
    executable: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    with caplog.at_level(logging.WARNING):
        module = compiled(TEXT, "a.wat")
    assert [one.name for one in module.exports] == ["on_request"]
    assert [one.message for one in caplog.records] == [
        f"a.wat is compiled in the proxy's own process, unbounded: {said}"
    ]


def test_a_program_that_is_its_own_interpreter_is_not_started_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert compiled(EMPTY, "a.wasm").exports == []


# What is kept


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whose compilers were started."""
    seen: list[str] = []

    def outside(data: bytes, source: str, limit_s: float) -> bytes:
        seen.append(source)
        return bytes(compile_module(data, source).serialize())

    monkeypatch.setattr(compiling, "_compiled_outside", outside)
    return seen


def test_a_kept_module_is_not_compiled_again(tmp_path: Path, starts: list[str]) -> None:
    cache = ModuleCache(tmp_path)
    for source in ("first", "second"):
        module = compiled(TEXT, source, cache)
        assert [one.name for one in module.exports] == ["on_request"]
    compiled(EMPTY, "other", cache)
    compiled(TEXT, "third", ModuleCache(tmp_path))
    assert starts == ["first", "other"]


@pytest.mark.parametrize("what", ["settings", "wasmtime", "format"])
def test_what_was_compiled_otherwise_is_not_found(
    what: str, tmp_path: Path, starts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ModuleCache(tmp_path)
    compiled(TEXT, "before", cache)
    other = tmp_path / "library"
    other.write_bytes(b"another build")
    match what:
        case "settings":
            monkeypatch.setattr(engine, "_SETTINGS", {**engine._SETTINGS, "x": 1})
        case "wasmtime":
            monkeypatch.setattr(engine, "filename", other)
        case _:
            monkeypatch.setattr(compiling, "_FORMAT", 0)
    compiled(TEXT, "after", cache)
    assert starts == ["before", "after"]


def test_what_this_machine_cannot_run_is_compiled_anew(
    tmp_path: Path, starts: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    cache = ModuleCache(tmp_path)
    cache.store(compiling._name(TEXT), b"of another processor")
    compiled(TEXT, "first", cache)
    compiled(TEXT, "second", cache)
    assert starts == ["first"]
    assert len(caplog.records) == 1
    assert "it was compiled for another machine" in caplog.text
