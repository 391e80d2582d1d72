"""Limits that a manifest sets, each met by a module that wants more."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from int3rceptor.errors import PluginError
from int3rceptor.hooks.points import HookPoint
from int3rceptor.model.flow import Flow
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.managing.manager import PluginManager
from int3rceptor.plugins.policy.manifest import Limits
from int3rceptor.plugins.running.clocks import Clocks
from tests.plugins.support import LogBook, make_dispatcher, make_flow, make_instance
from tests.support.guests import put, sayer

REQUEST = HookPoint.REQUEST


class Bench:
    """A manager over one folder, and what its plugins did."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hooks = make_dispatcher()
        self.book = LogBook()
        clocks = Clocks(monotonic=lambda: 1_000.0)
        self.manager = PluginManager(self.hooks, log=self.book, clocks=clocks)

    async def load(self, source: str, limits: str) -> None:
        path = put(self.folder, "one", source, f"limits = {{ {limits} }}")
        await self.manager.load(path)

    async def ask(self) -> Flow:
        flow = make_flow()
        await self.hooks.dispatch(REQUEST, flow)
        return flow


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    one = Bench(tmp_path)
    yield one
    await one.manager.aclose()


TABLES = """(module (table 1 funcref) (table 1 funcref)
  (func (export "on_request") (result i32) (i32.const 0)))"""

GROWING = """(module (table $t 10 funcref)
  (func (export "on_request") (result i32)
    (table.grow $t (ref.null func) (i32.const 90))))"""


async def test_tables(bench: Bench) -> None:
    with pytest.raises(PluginError, match="could not be started"):
        await bench.load(TABLES, "tables = 1")
    await bench.load(TABLES, "tables = 2")


@pytest.mark.parametrize(
    ("elements", "answer"), [(99, "code -1"), (100, "code 10"), (10, "code -1")]
)
def test_table_elements(elements: int, answer: str, factory: MakerFactory) -> None:
    limits = Limits(table_elements=elements)
    instance = make_instance(GROWING.encode(), factory, limits=limits)
    assert str(instance.run(REQUEST, make_flow())) == f"returned an error: {answer}"


async def test_log_lines(bench: Bench) -> None:
    await bench.load(sayer("hello"), "log_lines = 5")
    for _ in range(9):
        await bench.ask()
    assert bench.book.texts() == ["hello"] * 5
    bench.manager.unload("one")
    assert bench.book.texts()[5:] == [
        "4 lines left out: more than limits.log_lines or limits.log_bytes"
    ]


async def test_log_bytes(bench: Bench) -> None:
    await bench.load(sayer("x" * 100), "log_bytes = 250")
    for _ in range(4):
        await bench.ask()
    assert bench.book.texts() == ["x" * 100] * 2


async def test_module_bytes(bench: Bench) -> None:
    size = len(sayer("hello"))
    with pytest.raises(PluginError, match=rf"one.wat: larger than {size - 1} bytes"):
        await bench.load(sayer("hello"), f"module_bytes = {size - 1}")
    await bench.load(sayer("hello"), f"module_bytes = {size}")


async def test_compile_s(bench: Bench) -> None:
    with pytest.raises(PluginError, match=r"longer than 0\.01 s \(limits\.compile_s\)"):
        await bench.load(sayer("hello"), "compile_s = 0.01")


async def test_message_bytes(bench: Bench) -> None:
    await bench.load(sayer("hello"), "message_bytes = 5")
    loaded = bench.manager.plugins["one"]
    assert loaded.mailbox.message_bytes == 5


async def test_instances(bench: Bench) -> None:
    await bench.load(sayer("hello"), "instances = 4")
    assert len(bench.manager.plugins["one"].runner.instances) == 4
    await bench.ask()
    assert bench.book.texts() == ["hello"]


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ("instances = 17", "limits.instances"),
        ("instances = 0", "limits.instances"),
        ("tables = 101", "limits.tables"),
        ("table_elements = 10_000_001", "limits.table_elements"),
        ("module_bytes = 100_000_000", "limits.module_bytes"),
        ("log_lines = -1", "limits.log_lines"),
        ("compile_s = 61", "limits.compile_s"),
        ("messages = 100_001", "limits.messages"),
        ("message_bytes = 300_000", "limits.message_bytes"),
    ],
)
async def test_no_manifest_lifts_a_limit_past_its_cap(
    bench: Bench, limits: str, why: str
) -> None:
    with pytest.raises(PluginError, match=why):
        await bench.load(sayer("hello"), limits)
