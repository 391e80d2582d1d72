"""Tries a plugin on a kept flow, in a process of its own: what it does is only told.

The two commands that a person would type do it: `flows show ID --json`, and `plugins
test` on what that printed. So a module that nobody enabled yet runs nowhere near the
proxy or the hub.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

from int3rceptor.control.failures import RETRY_S, ApiError
from int3rceptor.net.children import command, environment

PROGRAM = "int3rceptor"

FAILED = 2
"""The exit code of a module that cannot be tried, which prints nothing, and of a trial
in which a call failed: that is a report like any other."""

MAX_TRIALS = 2
"""At once: each is a process with an engine of its own."""

TRIAL_S = 60.0
"""Longest trial: compiling a large module takes half of it, a call 5 s by default."""

MAX_REPORT_BYTES = 1024 * 1024
"""Of what a trial prints: the log budget of several calls."""


class Trials:
    """Trials on the flows of one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._running = 0

    async def run(self, module: Path, flow_id: int) -> str:
        """What the module does with the flow, as `plugins test` tells it.

        ApiError: 404 without such a flow, 409 when the module cannot be tried, 503
        when too many trials run, or this one does not end.
        """
        if self._running >= MAX_TRIALS:
            retry = {"Retry-After": str(RETRY_S)}
            raise ApiError(503, "too many trials run", code="busy", headers=retry)
        self._running += 1
        try:
            with tempfile.TemporaryDirectory(prefix="int3rceptor-trial-") as folder:
                return await self._run(module, flow_id, Path(folder) / "flow.json")
        except OSError as error:  # no room for its files, or for one more process
            why = f"the trial cannot be run: {error.strerror}"
            raise ApiError(503, why) from None
        finally:
            self._running -= 1

    async def _run(self, module: Path, flow_id: int, flow: Path) -> str:
        where = f"--data-dir={self._data_dir}"
        with flow.open("wb") as output:
            arguments = ("flows", "show", str(flow_id), "--json", where)
            code, said = await _ended(arguments, output.fileno())
        if code:
            raise ApiError(404, _last_line(said))
        report = flow.with_name("report")
        with report.open("wb") as output:
            arguments = ("plugins", "test", str(module), "--flow", str(flow))
            code, said = await _ended(arguments, output.fileno())
        with report.open("rb") as printed:
            text = printed.read(MAX_REPORT_BYTES).decode("utf-8", "replace")
        if code and not (code == FAILED and text):
            raise ApiError(409, _last_line(said))
        return text.replace(f"{flow}", "flow").replace(flow.name, f"flow {flow_id}")


async def _ended(arguments: tuple[str, ...], output: int) -> tuple[int, str]:
    """The exit code of one of our commands, and what it complained of."""
    process = await asyncio.create_subprocess_exec(
        *command(PROGRAM, *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(),
    )
    try:
        async with asyncio.timeout(TRIAL_S):
            _, said = await process.communicate()
    except TimeoutError:
        why = f"the trial did not end within {TRIAL_S:g} s"
        raise ApiError(503, why, code="busy") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return process.returncode or 0, said[-MAX_REPORT_BYTES:].decode("utf-8", "replace")


def _environment() -> Mapping[str, str]:
    """Settings come from the arguments alone: what set the proxy is not for trials."""
    return {
        name: value
        for name, value in environment().items()
        if not name.startswith("INT3RCEPTOR_")
    }


def _last_line(said: str) -> str:
    lines = said.strip().splitlines() or ["it cannot be run"]
    return lines[-1].removeprefix(f"{PROGRAM}: error: ")
