"""A real proxy process: started, waited for, read from, stopped and judged.

Knows the command line contract and nothing of what is inside the package.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, ClassVar, Self

import psutil

from tests.support.compiled import CompiledModules
from tests.support.patience import PATIENT_S

POLL_S = 0.01

LISTENING = re.compile(r"listening on (?P<host>\S+):(?P<port>\d+)")
# A traceback, or the line that stands for one while --verbose is not given.
UNEXPECTED = ("Traceback (most recent call last)", "for the traceback")
# Of a stop that waited for `limits.drain_s`.
CUT = ("that did not end",)
# Coverage measures started proxies through these; everything else of ours stays out, so
# that a machine's own proxy and trust settings cannot change what a test shows.
PASSED_ON = ("PATH", "LANG", "TMPDIR", "VIRTUAL_ENV", "SYSTEMROOT")
PASSED_ON_PREFIX = "COVERAGE_"


# A hub takes a second to start, and a store disk space.
DATA_PLANE_ALONE = ("--control", "off", "--no-store")
BOTH_PLANES = ("--control", "127.0.0.1:0")
STORE_ALONE = ("--control", "off")
HUB_MODULE = "int3rceptor.app.hub"
CONTROL = re.compile(r"control on (?P<url>http://\S+:(?P<port>\d+))")


class ProxyFailed(AssertionError):
    """The proxy process did not start, say or stop as its contract promises."""


def environment(home: Path) -> dict[str, str]:
    """What a started program gets: a home of its own, nobody's proxies or CAs."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in PASSED_ON or name.startswith(PASSED_ON_PREFIX)
    }
    return {**kept, "HOME": str(home), "LC_ALL": "C.UTF-8"}


def unmeasured() -> dict[str, str]:
    """The environment without coverage: for programs that are not ours, which it slows
    down, and for those that cannot write what it found."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(PASSED_ON_PREFIX)
    }


class Lines:
    """The lines of one pipe, read by a thread of their own as they come."""

    def __init__(self, pipe: IO[str], changed: threading.Condition) -> None:
        self._changed = changed
        self._lines: list[str] = []
        self.closed = False
        self._thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self._thread.start()

    def _read(self, pipe: IO[str]) -> None:
        with pipe:
            for line in pipe:
                with self._changed:
                    self._lines.append(line.rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def all(self) -> list[str]:
        with self._changed:
            return list(self._lines)

    def join(self) -> None:
        self._thread.join(PATIENT_S)


class ProxyProcess:
    """`python -m int3rceptor` on a free port; a context manager.

    `arguments` follow `--listen` and `--data-dir`. `config` is TOML for `--config`.
    `planes` says what runs beside the data plane: nothing, unless a test needs it.
    Plugins that another proxy compiled are lent to it, unless it `compiles` itself. On
    exit the process gets SIGTERM, must end with 0, soon and in order, and must not have
    printed a traceback; it is killed whatever happens.
    """

    lender: ClassVar[CompiledModules | None] = None

    def __init__(
        self,
        folder: Path,
        *arguments: str | Path,
        config: str = "",
        variables: Mapping[str, str] | None = None,
        planes: Sequence[str] = DATA_PLANE_ALONE,
        compiles: bool = False,
    ) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self._arguments = [*planes, *(str(argument) for argument in arguments)]
        self._config = config
        self._variables = dict(variables or {})
        self._lender = self.lender if "--plugin" in arguments and not compiles else None
        self._changed = threading.Condition()
        self.host = ""
        self.port = 0

    def command(self) -> list[str]:
        """The command line, with the configuration file written where it names one."""
        command = [sys.executable, "-m", "int3rceptor", "--listen", "127.0.0.1:0"]
        command += ["--data-dir", str(self.data_dir), *self._arguments]
        if self._config:
            path = self.folder / "int3rceptor.toml"
            path.write_text(self._config)
            command += ["--config", str(path)]
        return command

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._lender is not None:
            self._lender.lend(self.data_dir)
        self.process = subprocess.Popen(
            self.command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="backslashreplace",
            env={**environment(self.folder), **self._variables},
        )
        assert self.process.stdout
        assert self.process.stderr
        self._stdout = Lines(self.process.stdout, self._changed)
        self._stderr = Lines(self.process.stderr, self._changed)
        try:
            ready = self.wait_for_line(LISTENING.pattern, PATIENT_S)
        except BaseException:
            self._kill()
            raise
        found = LISTENING.search(ready)
        assert found
        self.host, self.port = found["host"], int(found["port"])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        finally:
            self._kill()
            if self._lender is not None:
                self._lender.take(self.data_dir)

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def control(self) -> str:
        """The control port's URL, waited for."""
        found = CONTROL.search(self.wait_for_line(CONTROL.pattern, PATIENT_S))
        assert found
        return found["url"]

    @property
    def token(self) -> str:
        return (self.data_dir / "control-token").read_text().strip()

    def hub(self) -> psutil.Process | None:
        """Its hub, while it has one."""
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if HUB_MODULE in child.cmdline():
                    return child
        return None

    def wait_for_hub(self, other_than: int = 0) -> psutil.Process:
        """Its hub, waited for; not the one of that number, which is dead or dying."""
        deadline = time.monotonic() + PATIENT_S
        while time.monotonic() < deadline:
            hub = self.hub()
            if hub is not None and hub.pid != other_than:
                return hub
            time.sleep(POLL_S)
        raise ProxyFailed(self.report("has no hub"))

    @property
    def ca(self) -> Path:
        """The certificate that clients trust."""
        return self.data_dir / "ca.pem"

    @property
    def stdout(self) -> list[str]:
        return self._stdout.all()

    @property
    def stderr(self) -> list[str]:
        return self._stderr.all()

    @property
    def lines(self) -> list[str]:
        """Everything printed: standard output, then standard error."""
        return self.stdout + self.stderr

    def wait_for_line(
        self, pattern: str, within_s: float = PATIENT_S, count: int = 1
    ) -> str:
        """The count-th line, on either stream, that holds this regular expression."""
        matches: list[str] = []

        def settled() -> bool:
            matches[:] = [line for line in self.lines if re.search(pattern, line)]
            ended = self._stdout.closed and self._stderr.closed
            return len(matches) >= count or ended

        with self._changed:
            self._changed.wait_for(settled, within_s)
        if len(matches) < count:
            raise ProxyFailed(
                self.report(f"{len(matches)} of {count} lines {pattern!r}")
            )
        return matches[count - 1]

    def stop(self) -> None:
        """SIGTERM, and what the contract promises of it: exit code 0, no traceback."""
        if self.process.poll() is not None:
            raise ProxyFailed(
                self.report(f"ended by itself: {self.process.returncode}")
            )
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(PATIENT_S)
        except subprocess.TimeoutExpired:
            raise ProxyFailed(
                self.report(f"not ended {PATIENT_S:g} s after SIGTERM")
            ) from None
        self._join()
        if code != 0:
            raise ProxyFailed(self.report(f"exit code {code} after SIGTERM"))
        printed = "\n".join(self.lines)
        if any(sign in printed for sign in UNEXPECTED):
            raise ProxyFailed(self.report("met an error that nobody expected"))
        if any(sign in printed for sign in CUT):
            raise ProxyFailed(self.report("waited for its limits to stop"))

    def report(self, what: str) -> str:
        shown = [f"proxy: {what}"]
        shown += [f"  stdout: {line}" for line in self.stdout[-40:]]
        shown += [f"  stderr: {line}" for line in self.stderr[-80:]]
        return "\n".join(shown)

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(PATIENT_S)
        self._join()

    def _join(self) -> None:
        self._stdout.join()
        self._stderr.join()


def run_once(
    folder: Path, arguments: Sequence[str | Path], within_s: float = PATIENT_S
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end: for refused starts and subcommands."""
    return subprocess.run(
        [sys.executable, "-m", "int3rceptor", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=within_s,
        # Two test runs at once would fight for the default control port.
        env={"INT3RCEPTOR_CONTROL": "off", **environment(folder)},
        check=False,
    )


@contextlib.contextmanager
def without_judgement(proxy: ProxyProcess) -> Iterator[ProxyProcess]:
    """A proxy that the test stops itself, in its own way."""
    proxy.__enter__()
    try:
        yield proxy
    finally:
        proxy._kill()
