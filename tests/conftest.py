"""What holds for every test: which event loops it runs on, and that it tidies up."""

import asyncio
import os
import signal
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

from tests.support.patience import PATIENT_S

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

LOOPS: dict[str, LoopFactory] = {"asyncio": asyncio.new_event_loop}
try:
    from uvloop import new_event_loop
except ImportError:  # Windows and PyPy: plain asyncio is all there is
    pass
else:
    LOOPS["uvloop"] = new_event_loop

TESTS = Path(__file__).parent
# These rooms touch sockets and TLS, where the two loops differ: each test runs on both.
BOTH_LOOPS = [TESTS / room for room in ("net", "tls", "proxy", "app", "library")]
MEASURE_PROCESSES = "COVERAGE_PROCESS_CONFIG"
LONG = ("slow", "guests")

# A deadline in wall clock fails on a busy machine; the time-out per test stays.
settings.register_profile("int3rceptor", deadline=None, print_blob=True)
settings.load_profile("int3rceptor")


# A shell that starts us in the background has us ignore Ctrl-C, and what we start too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, LoopFactory]:
    """Plain asyncio everywhere, and uvloop too where the loop matters."""
    if any(map(item.path.is_relative_to, BOTH_LOOPS)):
        return LOOPS
    return {"asyncio": asyncio.new_event_loop}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files come first, so that no worker ends minutes after the others."""
    long = {item.path for item in items if set(LONG) & set(item.keywords)}
    items.sort(key=lambda item: (item.path not in long, "e2e" not in item.keywords))
    for item in items:
        # What random examples run, chosen ones run too: coverage doubles their time.
        if "hypothesis" in item.keywords:
            item.add_marker("no_cover")


held: list[str] = []
"""What tells a process to measure itself, while none shall."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Processes that a test starts count for coverage if it is marked so: it doubles
    their time too, and most do what the tests in one process do."""
    if "measured" in item.keywords or MEASURE_PROCESSES not in os.environ:
        return (yield)
    held.append(os.environ.pop(MEASURE_PROCESSES))
    try:
        return (yield)
    finally:
        os.environ[MEASURE_PROCESSES] = held.pop()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object],
) -> Generator[None, object, object]:
    """Those that all tests share count always."""
    if fixturedef.scope != "session" or not held:
        return (yield)
    os.environ[MEASURE_PROCESSES] = held[-1]
    try:
        return (yield)
    finally:
        del os.environ[MEASURE_PROCESSES]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[
    None, pytest.TestReport, pytest.TestReport
]:
    """What a test printed goes from process to process as UTF-8, odd bytes too."""
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode())
        for name, text in report.sections
    ]
    return report


@pytest.fixture(scope="session", autouse=True)
def no_process_left() -> Iterator[None]:
    """Every process that a test started has ended when the last test has."""
    before = set(psutil.Process().children())
    yield
    started = set(psutil.Process().children()) - before
    _, alive = psutil.wait_procs(started, timeout=PATIENT_S)
    assert not alive, f"left running: {[' '.join(left.cmdline()) for left in alive]}"
