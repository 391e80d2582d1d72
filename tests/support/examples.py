"""A program of examples/, or one of the documentation, run as its reader would."""

import asyncio
import contextlib
import re
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.clients import kill_group
from tests.support.patience import PATIENT_S
from tests.support.process import environment

READY = re.compile(
    r"proxy (?P<url>http://127\.0\.0\.1:(?P<port>\d+)), trust (?P<ca>.+)"
)


@dataclass(slots=True, kw_only=True)
class Example:
    """A running program, past its first line; `output` is whole once it has ended."""

    url: str
    address: tuple[str, int]
    ca: Path
    output: str = ""


@contextlib.asynccontextmanager
async def running_example(
    program: Path, home: Path, origin_ca: Path, *arguments: str | Path
) -> AsyncIterator[Example]:
    """`program`, stopped by Ctrl-C on the way out: it must end well, and say nothing
    on standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        program,
        *map(str, arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        # Its home is where the CA goes; the origin's certificate is the system's trust.
        env={**environment(home), "SSL_CERT_FILE": str(origin_ca)},
        cwd=home,
        start_new_session=True,
    )
    assert process.stdout
    try:
        async with asyncio.timeout(PATIENT_S):
            line = (await process.stdout.readline()).decode()
        ready = READY.match(line)
        if ready is None:
            raise AssertionError(f"not ready: {line!r}, {await process.communicate()}")
        example = Example(
            url=ready["url"],
            address=("127.0.0.1", int(ready["port"])),
            ca=Path(ready["ca"].strip()),
        )
        yield example
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENT_S):
            output, errors = await process.communicate()
        example.output = output.decode()
        assert (process.returncode, errors.decode()) == (0, "")
    finally:
        kill_group(process.pid)
        await process.wait()
