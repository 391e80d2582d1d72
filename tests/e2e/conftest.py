"""What the end-to-end tests share: one proxy, one nginx, one private CA."""

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Protocol

import pytest

from tests.support.compiled import CompiledModules
from tests.support.guests import guest_file
from tests.support.nginx import Nginx, running_nginx
from tests.support.origin_tls import OriginTls
from tests.support.pairs import Version
from tests.support.process import ProxyProcess

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.e2e)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the proxies of a failed test printed."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for value in item.funcargs.values():
            if isinstance(value, ProxyProcess):
                report.sections.append(("proxy", value.report("printed so far")))
    return report


@pytest.fixture(scope="session")
def origin_tls(tmp_path_factory: pytest.TempPathFactory) -> OriginTls:
    return OriginTls(tmp_path_factory.mktemp("origin-tls"))


@pytest.fixture(scope="session", autouse=True)
def lender(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Each plugin is compiled once, by the first proxy of any worker that has it."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    ProxyProcess.lender = CompiledModules(shared / "compiled")
    yield
    ProxyProcess.lender = None


@pytest.fixture(scope="session")
def nginx(
    tmp_path_factory: pytest.TempPathFactory, origin_tls: OriginTls
) -> Iterator[Nginx]:
    with running_nginx(tmp_path_factory.mktemp("nginx"), origin_tls) as server:
        yield server


@pytest.fixture(scope="session")
def proxy(
    tmp_path_factory: pytest.TempPathFactory, origin_tls: OriginTls
) -> Iterator[ProxyProcess]:
    """The proxy as it is without settings, but for the origins' CA."""
    folder = tmp_path_factory.mktemp("proxy")
    with ProxyProcess(folder, "--upstream-ca", origin_tls.ca) as running:
        yield running


# Deadlines that a test can wait for; the defaults are made for people.
IMPATIENT = """
[upstream]
connect_timeout_s = 1.0
tls_timeout_s = 1.0
first_byte_timeout_s = 1.0
idle_timeout_s = 1.0
"""


@pytest.fixture(scope="session")
def impatient_proxy(
    tmp_path_factory: pytest.TempPathFactory, origin_tls: OriginTls
) -> Iterator[ProxyProcess]:
    """A proxy that waits for origins no longer than a second."""
    folder = tmp_path_factory.mktemp("impatient")
    arguments = ("--upstream-ca", origin_tls.ca)
    with ProxyProcess(folder, *arguments, config=IMPATIENT) as running:
        yield running


class StartProxy(Protocol):
    def __call__(self, *arguments: str | Path, config: str = "") -> ProxyProcess: ...


@pytest.fixture
def start_proxy(tmp_path: Path, origin_tls: OriginTls) -> Iterator[StartProxy]:
    """Start a proxy with own settings; it is stopped, and judged, after the test."""
    with ExitStack() as stack:

        def start(*arguments: str | Path, config: str = "") -> ProxyProcess:
            process = ProxyProcess(
                tmp_path / "proxy",
                "--upstream-ca",
                origin_tls.ca,
                *arguments,
                config=config,
            )
            return stack.enter_context(process)

        yield start


# Each side speaks HTTP/2 whenever its peer can, so one proxy makes all four pairs.
BOTH = '[tls]\nclient_http2 = "always"\n[upstream]\nhttp2 = "always"\n'

Running = Callable[[str], ProxyProcess]


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, origin_tls: OriginTls
) -> Iterator[Running]:
    """A proxy for each guest, by its name."""
    with ExitStack() as stack:

        @cache
        def start(name: str) -> ProxyProcess:
            folder = tmp_path_factory.mktemp(name)
            arguments = ("--upstream-ca", origin_tls.ca, "--plugin", guest_file(name))
            return stack.enter_context(ProxyProcess(folder, *arguments, config=BOTH))

        yield start


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home directory of the programs that a test starts."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture(params=["h1", "h2"], ids=["client-h1", "client-h2"])
def near(request: pytest.FixtureRequest) -> Version:
    version: Version = request.param
    return version


@pytest.fixture(params=["h1", "h2"], ids=["origin-h1", "origin-h2"])
def far(request: pytest.FixtureRequest) -> Version:
    version: Version = request.param
    return version
