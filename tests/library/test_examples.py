"""Every program in examples/, against real sockets."""

import ast
import asyncio
import json
from pathlib import Path

import httpx
import pytest

from tests.support.clients import run
from tests.support.examples import Example, running_example
from tests.support.h1_peer import response
from tests.support.origin_tls import OriginTls
from tests.support.origins import AnsweringOrigin, fixed
from tests.support.tools import require
from tests.support.ways import WAYS, Way, an_origin, httpx_through

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PLAIN, TLS_H1, TLS_H2 = WAYS
MIN_LINES, MAX_LINES = 12, 45


def client(example: Example, way: Way) -> httpx.AsyncClient:
    return httpx_through(example.url, example.ca, way)


async def test_block_ads(tmp_path: Path, origin_tls: OriginTls, way: Way) -> None:
    async with an_origin(way, origin_tls) as origin:
        program = EXAMPLES / "block_ads.py"
        scheme = origin.url.partition(":")[0]
        async with (
            running_example(program, tmp_path, origin_tls.ca) as example,
            client(example, way) as http,
        ):
            blocked = await http.get(f"{scheme}://ads.example.test/banner.js")
            passed = await http.get(f"{origin.url}/")

    assert (blocked.status_code, blocked.content) == (204, b"")
    assert passed.text == "hello"
    assert example.output == f"blocked {scheme}://ads.example.test/banner.js\n"


async def test_log_json_bodies(tmp_path: Path, origin_tls: OriginTls) -> None:
    kind = {"Content-Type": "application/json; charset=utf-8"}
    answer = fixed(response(b'{"a":[1,2]}', headers=kind))
    async with AnsweringOrigin(answer, tls=origin_tls.server()) as origin:
        program = EXAMPLES / "log_json_bodies.py"
        async with (
            running_example(program, tmp_path, origin_tls.ca) as example,
            client(example, TLS_H1) as http,
        ):
            await http.get(f"{origin.url}/data")

    assert origin.requests[0].value("accept-encoding") == b"identity"
    first, _, rest = example.output.partition("\n")
    assert first == f"GET {origin.url}/data 200"
    assert json.loads(rest) == {"a": [1, 2]}
    assert rest.count("\n") > 3


async def test_log_json_bodies_prints_nothing_else(
    tmp_path: Path, origin_tls: OriginTls
) -> None:
    async with an_origin(TLS_H2, origin_tls) as origin:
        program = EXAMPLES / "log_json_bodies.py"
        async with (
            running_example(program, tmp_path, origin_tls.ca) as example,
            client(example, TLS_H2) as http,
        ):
            assert (await http.get(f"{origin.url}/")).text == "hello"

    assert example.output == ""


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_mock_api(tmp_path: Path, origin_tls: OriginTls, scheme: str) -> None:
    program = EXAMPLES / "mock_api.py"
    async with running_example(program, tmp_path, origin_tls.ca) as example:
        curl = (require("curl"), "-sS", "--proxy", example.url, "--cacert", example.ca)
        url = f"{scheme}://api.example.test/users"
        found = await run(*curl, f"{url}/1", home=tmp_path)
        missing = await run(
            *curl, "--write-out", "%{http_code}", f"{url}/9", home=tmp_path
        )

    assert json.loads(found.ok().text) == {"name": "Ada"}
    assert missing.ok().text == '{"error": "no such user"}404'


async def test_latency_per_host(tmp_path: Path, origin_tls: OriginTls) -> None:
    async with an_origin(TLS_H2, origin_tls) as origin:
        program = EXAMPLES / "latency_per_host.py"
        async with (
            running_example(program, tmp_path, origin_tls.ca) as example,
            client(example, TLS_H2) as http,
        ):
            url = f"{origin.url}/"
            await asyncio.gather(*(http.get(url) for _ in range(5)))

    (line,) = example.output.splitlines()
    assert line.split()[:3] == ["localhost", "5", "requests,"]
    assert "ms" in line


async def test_record_fixture(tmp_path: Path, origin_tls: OriginTls, way: Way) -> None:
    fixture = tmp_path / "fixture.json"
    async with an_origin(way, origin_tls) as origin:
        program = EXAMPLES / "record_fixture.py"
        arguments = ("localhost", fixture)
        async with (
            running_example(program, tmp_path, origin_tls.ca, *arguments) as example,
            client(example, way) as http,
        ):
            await http.get(f"{origin.url}/a?b=c")

    (kept,) = json.loads(fixture.read_text())
    assert (kept["method"], kept["url"]) == ("GET", f"{origin.url}/a?b=c")
    assert (kept["status"], kept["body"]) == (200, "hello")
    names = [name.lower() for name, _ in kept["headers"]]
    assert "content-type" in names
    assert example.output == f"1 answers in {fixture}\n"


@pytest.mark.parametrize(
    "path", sorted(EXAMPLES.glob("*.py")), ids=lambda one: one.stem
)
def test_an_example_is_short_says_what_it_does_and_is_tested(path: Path) -> None:
    text = path.read_text()

    assert ast.get_docstring(ast.parse(text))
    assert MIN_LINES <= len(text.splitlines()) <= MAX_LINES
    assert f'EXAMPLES / "{path.name}"' in Path(__file__).read_text()
