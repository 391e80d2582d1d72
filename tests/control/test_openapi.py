"""The OpenAPI description: complete, and true of what is answered."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, JsonValue

from int3rceptor.config.model import ControlConfig
from int3rceptor.control.application import build, described
from int3rceptor.control.failures import CODES
from int3rceptor.control.schemas import Failure
from tests.support.control import (
    TOKEN,
    FlowsInMemory,
    Hub,
    PluginsInMemory,
    control_port,
    records,
)
from tests.support.process import unmeasured


class Operation(BaseModel):
    """What is looked at of an operation."""

    operationId: str
    summary: str = ""
    description: str = ""
    security: list[dict[str, list[str]]] = []
    parameters: list[dict[str, JsonValue]] = []
    responses: dict[str, "Response"]


class Response(BaseModel):
    description: str = ""
    content: dict[str, dict[str, JsonValue]] = {}


RUN_S = 600.0
"""Longest run of the tester: 20 s on a quiet machine."""


def operations() -> Iterator[tuple[str, Operation]]:
    app = build(Hub().state(FlowsInMemory(), ControlConfig(), 1))
    for path, methods in described(app)["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", Operation.model_validate(operation)


OPERATIONS = dict(operations())


def test_every_operation_is_there() -> None:
    assert sorted(OPERATIONS) == [
        "DELETE /api/flows",
        "DELETE /api/flows/{flow_id}",
        "DELETE /api/plugins/{name}",
        "DELETE /api/plugins/{name}/grants",
        "GET /api/ca",
        "GET /api/flows",
        "GET /api/flows/{flow_id}",
        "GET /api/flows/{flow_id}/{side}/body",
        "GET /api/health",
        "GET /api/plugins",
        "GET /api/plugins/{name}",
        "GET /api/plugins/{name}/config",
        "GET /api/plugins/{name}/log",
        "GET /api/settings",
        "GET /api/version",
        "GET /metrics",
        "POST /api/plugins/{name}/grants",
        "POST /api/plugins/{name}/reload",
        "POST /api/plugins/{name}/trial",
        "PUT /api/flows/{flow_id}/mark",
        "PUT /api/plugins/{name}",
        "PUT /api/plugins/{name}/config",
        "PUT /api/plugins/{name}/enabled",
    ]


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_described_whole(name: str) -> None:
    operation = OPERATIONS[name]
    assert operation.summary
    assert operation.description
    has_token = name != "GET /api/health"
    assert operation.security == ([{"token": []}] if has_token else [])
    for parameter in operation.parameters:
        assert parameter["description"]
    always = {"400", "403", "408", "413", "421", "429", "431", "500"}
    assert always | ({"401"} if has_token else set()) <= set(operation.responses)
    if operation.parameters:
        assert "422" in operation.responses


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_error_has_the_one_shape_and_an_example(name: str) -> None:
    for status, response in OPERATIONS[name].responses.items():
        assert response.description
        if int(status) < 400:
            continue
        assert list(response.content) == ["application/json"]
        described = response.content["application/json"]
        assert described["schema"] == {"$ref": "#/components/schemas/Failure"}
        example = Failure.model_validate(described["example"])
        assert example.error.code == CODES[int(status)]


def test_no_two_operations_share_an_id() -> None:
    ids = [one.operationId for one in OPERATIONS.values()]

    assert len(set(ids)) == len(ids)
    assert all(one.isidentifier() for one in ids)


@pytest.mark.slow
@pytest.mark.timeout(RUN_S + 30)
async def test_what_is_answered_is_what_is_described(tmp_path: Path) -> None:
    """Thousands of right and wrong requests, made from the description."""
    hub = Hub()
    hub.plugins = PluginsInMemory(has_all=True)
    async with control_port(FlowsInMemory(records(500)), hub) as control:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from schemathesis.cli import schemathesis; schemathesis()",
            "run",
            f"{control.url}/api/openapi.json",
            f"--header=Authorization: Bearer {TOKEN}",
            "--phases=examples,coverage,fuzzing",
            "--max-examples=10",
            "--seed=1",
            "--generation-database=none",
            "--suppress-health-check=all",
            "--no-color",
            cwd=tmp_path,
            env=unmeasured(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(RUN_S):
                output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    text = output.decode()
    assert process.returncode == 0, text
    assert f"Tested: {len(OPERATIONS)}" in text
    assert "No issues found" in text
