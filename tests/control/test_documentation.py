"""docs/control-api.md against the code; its commands are run as they stand."""

import asyncio
import os
import re
from pathlib import Path

import msgspec
import pytest
from fastapi.routing import APIRoute

from int3rceptor.config.model import ControlConfig
from int3rceptor.control import bodies, connections, events, reading, viewers
from int3rceptor.control.application import build
from int3rceptor.control.asking import MAX_PAGE, PAGE, PageQuery
from int3rceptor.control.failures import CODES
from tests.support.control import (
    RECORD,
    TOKEN,
    FlowsInMemory,
    Hub,
    control_port,
    records,
)
from tests.support.patience import PATIENT_S
from tests.support.tools import require

ROOT = Path(__file__).resolve().parents[2]
PAGE_TEXT = (ROOT / "docs" / "control-api.md").read_text()
COMMANDS = [
    block
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE_TEXT, re.MULTILINE | re.DOTALL)
    if block.startswith("curl")
]


def table(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, without its own heading."""
    section = PAGE_TEXT.partition(f"\n{heading}\n")[2]
    rows = re.search(r"^\|.*\|\n\|[ |-]+\|\n((?:\|.*\|\n)+)", section, re.MULTILINE)
    assert rows is not None, heading
    return [
        [cell.strip() for cell in row.strip("|").split(" | ")]
        for row in rows[1].splitlines()
    ]


def test_every_path_and_no_other() -> None:
    app = build(Hub().state(FlowsInMemory(), ControlConfig(), 1))
    served = {
        f"{method} {route.path}"
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }

    assert {row[0].strip("| `") for row in table("## Paths")} == served


def test_every_parameter_of_the_list() -> None:
    documented = {row[0].strip("| `") for row in table("### The list")}

    assert documented == set(PageQuery.model_fields)
    assert f"1 to {MAX_PAGE}; {PAGE} unless" in PAGE_TEXT


def test_every_error() -> None:
    documented = {
        (int(row[0].strip("| ")), row[1].strip("`")) for row in table("## Errors")
    }
    special = {
        (400, "not_a_proxy"),
        (403, "foreign_origin"),
        (503, "busy"),
        (503, "store_unavailable"),
    }
    # 403 always says more than that it is forbidden.
    assert documented == {*CODES.items(), *special} - {(403, CODES[403])}


def test_every_event_and_close_code() -> None:
    types = {row[0].strip("| `") for row in table("## Events")}

    assert types == {"hello", "flow.began", "flow.ended", "plugin.line", "gap"}
    for code in (
        events.UNEXPECTED,
        events.UNAUTHORISED,
        events.TOO_SLOW,
        events.TOO_MANY,
    ):
        assert f"{code} " in PAGE_TEXT
    for name in (events.SUBPROTOCOL, f"{events.TOKEN_PREFIX}TOKEN"):
        assert f"`{name}`" in PAGE_TEXT


def test_the_limits() -> None:
    for sentence in (
        f"{viewers.MAX_QUEUED:,} messages wait",
        f"too many viewers ({viewers.MAX_VIEWERS})",
        f"within {events.HELLO_S:g} seconds",
        f"above {events.MAX_MESSAGE_BYTES // 1024} KiB",
        f"up to {bodies.MAX_DECODED_BYTES // 1024**2} MiB",
        f"bodies are limited to {reading.MAX_BODY_BYTES // 1024} KiB",
        f"did not come within {connections.HEAD_S:g} s",
        f"send a head of at most {connections.MAX_HEAD_BYTES // 1024} KiB",
        f"too many connections ({connections.MAX_CONNECTIONS})",
    ):
        assert sentence in PAGE_TEXT, sentence
    assert connections.HEAD_S == reading.BODY_S


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_command_works_as_it_stands(command: str, tmp_path: Path) -> None:
    require("curl")
    flows = FlowsInMemory(
        [*records(2), msgspec.structs.replace(RECORD, id=3, status=404)]
    )
    (tmp_path / "hello.wasm").write_bytes(b"\0asm\1\0\0\0")
    async with control_port(flows) as control, asyncio.timeout(PATIENT_S):
        process = await asyncio.create_subprocess_exec(
            "sh",
            "-ec",
            command,
            cwd=tmp_path,
            env={**os.environ, "CONTROL": control.url, "TOKEN": TOKEN},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()

    assert process.returncode == 0, errors
    assert output or "DELETE" in command or "-o ca.cer" in command


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 9
