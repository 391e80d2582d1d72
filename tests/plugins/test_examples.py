"""The example plugins as committed, and that they are what their sources give."""

import re
import subprocess
from pathlib import Path

import pytest

from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Respond
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.policy.manifest import read_manifest
from int3rceptor.plugins.running.instance import PluginInstance
from tests.plugins.support import EXAMPLES, make_flow, make_instance
from tests.support.tools import missing, require

MAX_LOGGER_BYTES = 500


def committed(name: str) -> Path:
    return EXAMPLES / name / f"{name.replace('-', '_')}.wasm"


def load(
    name: str,
    factory: MakerFactory,
    settings: dict[str, dict[str, object]] | None = None,
) -> PluginInstance:
    manifest = read_manifest(committed(name), settings or {}, b"")  # type: ignore[arg-type]
    return make_instance(
        committed(name).read_bytes(),
        factory,
        limits=manifest.limits,
        config=manifest.guest_config(),
    )


def test_example_logger_logs_in_every_hook(factory: MakerFactory) -> None:
    instance = load("example-logger", factory)
    for point in HookPoint:
        assert instance.run(point, make_flow()) is None
    assert [text for _, text in instance.take_lines()] == [
        "example-logger ready",
        *("on_connect", "on_request", "on_response", "on_capture", "on_rule_match"),
    ]


def test_example_logger_is_small() -> None:
    assert committed("example-logger").stat().st_size <= MAX_LOGGER_BYTES


def test_header_stamp_stamps_both_ways(factory: MakerFactory) -> None:
    flow = make_flow()
    instance = load("header-stamp", factory)
    assert instance.run(HookPoint.REQUEST, flow) is None
    assert instance.run(HookPoint.RESPONSE, flow) is None
    assert flow.response is not None
    assert flow.request.headers["x-int3rceptor"] == "header-stamp"
    assert flow.response.headers["x-int3rceptor"] == "header-stamp"


def test_header_stamp_takes_its_configuration(factory: MakerFactory) -> None:
    flow = make_flow()
    settings: dict[str, dict[str, object]] = {
        "header-stamp": {"config": {"header": "X-Mine", "value": "v é"}}
    }
    instance = load("header-stamp", factory, settings)
    assert instance.run(HookPoint.REQUEST, flow) is None
    assert flow.request.headers.raw[-1] == (b"X-Mine", "v é".encode())


def test_header_stamp_says_when_it_cannot(factory: MakerFactory) -> None:
    settings: dict[str, dict[str, object]] = {
        "header-stamp": {"config": {"header": "Content-Length"}}
    }
    instance = load("header-stamp", factory, settings)
    result = instance.run(HookPoint.REQUEST, make_flow())
    assert str(result) == "returned an error: code -1"
    assert [text for _, text in instance.take_lines()] == [
        "the configured header cannot be set"
    ]


@pytest.mark.parametrize(
    ("globs", "is_blocked"),
    [
        (["api.example.com"], True),
        (["API.example.COM"], True),
        (["x.test", "*.example.com"], True),
        (["sni.example.com"], True),
        (["connect.example.com"], True),
        (["header.test"], True),
        (["a?i.exam*le.c*"], True),
        (["example.com"], False),
        (["*.example.co"], False),
        (["api.example.com.evil"], False),
        (["*a*a*a*a*a*a*a*a*a*a*a*a*a*b"], False),
        ([""], False),
        ([], False),
    ],
)
def test_block_list_answers_403_by_any_name(
    globs: list[str], is_blocked: bool, factory: MakerFactory
) -> None:
    settings: dict[str, dict[str, object]] = {
        "block-list": {"config": {"hosts": globs}}
    }
    flow = make_flow()
    flow.request.headers["Host"] = "Header.test.:8443"
    result = load("block-list", factory, settings).run(HookPoint.REQUEST, flow)
    if not is_blocked:
        assert result is None
        return
    assert isinstance(result, Respond)
    assert result.response.status == 403
    assert result.response.headers["content-type"] == "text/plain; charset=utf-8"


def test_block_list_carries_thousands_of_hosts_within_its_limits(
    factory: MakerFactory,
) -> None:
    globs = [f"*.host-{number}.example" for number in range(1900)]
    settings: dict[str, dict[str, object]] = {
        "block-list": {"config": {"hosts": globs}}
    }
    instance = load("block-list", factory, settings)
    assert instance.run(HookPoint.REQUEST, make_flow()) is None


@pytest.mark.guests
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_committed_modules_are_what_the_sources_give() -> None:
    make = require("make")
    require("cargo")
    built = subprocess.run(
        [make, "-C", str(EXAMPLES), "check"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    if lacking := re.search(
        "^no (rustc with the target|zig:|asc:).*", built.stdout, re.M
    ):
        missing(lacking[0])
    assert built.returncode == 0, built.stdout + built.stderr
    if other := re.search("^built, not compared.*", built.stdout, re.M):
        missing(other[0])
    assert "are what the sources give" in built.stdout
