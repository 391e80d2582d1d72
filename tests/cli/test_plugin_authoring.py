"""`plugins new`, `test` and `bench` as a person meets them."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from int3rceptor.cli.flows.as_json import flow_shape
from int3rceptor.cli.main import main
from int3rceptor.cli.plugins import authoring as plugin_authoring
from int3rceptor.plugins.abi.codes import Extra
from int3rceptor.plugins.authoring.recorded_flow import read_flow_file
from int3rceptor.plugins.authoring.timing import Spread, Timing
from int3rceptor.store.asking.rows import row_of
from int3rceptor.store.records import BodyRecord
from tests.cli.test_main import home, output, refused
from tests.plugins.support import EXAMPLES, guest
from tests.support.kept_flows import a_record

__all__ = ["home"]

STAMP = EXAMPLES / "header-stamp" / "header_stamp.wasm"
FLOW = {
    "id": 4,
    "method": "GET",
    "host": "a.test",
    "target": "/\x1b[2J",
    "status": 200,
    "request": {"received": {"fields": []}},
    "response": {"received": {"fields": []}, "body": {"data": "hello"}},
}
HAR = {"log": {"entries": [{"request": {"method": "GET", "url": "http://b.test/"}}]}}


def written(path: Path, what: object) -> Path:
    path.write_text(what if isinstance(what, str) else json.dumps(what))
    return path


def test_test_tells_what_a_module_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flow = written(tmp_path / "flow.json", FLOW)
    har = written(tmp_path / "a.har", HAR)
    text = "[[expect]]\nflow = 1\nresponse.headers = { x-int3rceptor = 'header-stamp' }"
    expect = written(tmp_path / "expect.toml", text)

    shown = output(
        capsys,
        "plugins",
        "test",
        STAMP,
        "--flow",
        flow,
        "--har",
        har,
        "--expect",
        expect,
    ).splitlines()

    assert shown[0] == "flow 4: GET https://a.test/\\x1b[2J"
    assert shown[1].startswith("  on_request: continued (")
    assert shown[1].endswith(" us)")
    assert shown[2] == "    request: + x-int3rceptor: header-stamp"
    assert shown[4] == "    response: + x-int3rceptor: header-stamp"
    assert shown[5] == "entry 1: GET http://b.test/"
    assert shown[-1] == "2 flows, 3 calls, 1 expectations, 0 failures"


def test_test_fails_when_an_expectation_does_not_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flow = written(tmp_path / "flow.json", FLOW)
    expect = written(tmp_path / "expect.toml", "[[expect]]\nstatus = 404")

    code = main(
        ["plugins", "test", str(STAMP), "--flow", str(flow), "--expect", str(expect)]
    )

    shown = capsys.readouterr()
    assert code == 2
    assert "FAILED expect 1, flow 4: the status is 200, not 404\n" in shown.out
    assert shown.err == f"int3rceptor: error: {STAMP}: 1 failures, listed above\n"


def test_test_shows_logs_notes_and_what_is_out_of_scope(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = written(tmp_path / "a.wat", guest("counter").decode())
    cut = {**FLOW, "request": {"body": {"size": 9, "kept": 1, "data": "x"}}}
    flow = written(tmp_path / "flow.json", cut)

    shown = output(capsys, "plugins", "test", module, "--flow", flow)
    written(tmp_path / "a.toml", '[scope]\nhosts = ["b.test"]')
    apart = output(capsys, "plugins", "test", module, "--flow", flow)

    assert shown.startswith("plugin_init: DEBUG I\n")
    assert "    log: INFO 1\n" in shown
    assert "  note: the request's body was cut: 1 of 9 bytes\n" in shown
    assert "  not in the plugin's scope\n1 flows, 0 calls, 0 failures\n" in apart


def test_test_without_flows_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "plugins", "test", STAMP)
    assert said == "nothing to run it on: give --flow, --har, or messages by --expect"


HEARS = """
[[message]]
topic = "news"
text = "first"
[[message]]
topic = "news"
text = "second \\u001b[2J"
after = 1
[[message]]
topic = "other"
[[expect]]
message = 2
log = ["second"]
"""


def test_test_gives_messages_between_flows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = written(tmp_path / "a.wat", guest("counter_of_news").decode())
    written(tmp_path / "a.toml", 'permissions = ["topics.hear:news"]')
    expect = written(tmp_path / "e.toml", HEARS)
    flow = written(tmp_path / "flow.json", FLOW)

    shown = output(
        capsys, "plugins", "test", module, "--flow", flow, "--expect", expect
    )
    begins = [line.split(" (")[0] for line in shown.splitlines()]
    assert begins == [
        "message 1: news, 5 bytes: first",
        "  on_message: continued",
        "    log: INFO first",
        "message 3: other, 0 bytes: ",
        "  the plugin does not listen to it",
        "flow 4: GET https://a.test/\\x1b[2J",
        "message 2: news, 11 bytes: second \\x1b[2J",
        "  on_message: continued",
        "    log: INFO second \\x1b[2J",
        "1 flows, 3 messages, 2 calls, 1 expectations, 0 failures",
    ]
    refusal = refused(capsys, "plugins", "test", module, "--expect", expect)
    assert refusal == "message 2: after flow 1, but there are 0"


def test_messages_need_no_flow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = written(tmp_path / "a.wat", guest("counter_of_news").decode())
    written(tmp_path / "a.toml", 'permissions = ["topics:news", "topics:more"]')
    expect = written(tmp_path / "e.toml", '[[message]]\ntopic = "news"\nhex = "68 69"')

    shown = output(capsys, "plugins", "test", module, "--expect", expect)
    assert "    sent more, 2 bytes: hi\n    log: INFO hi\n" in shown
    assert shown.endswith("0 flows, 1 messages, 1 calls, 0 expectations, 0 failures\n")


def test_bench_says_that_nobody_listens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hooks = '(export "on_message") (export "on_request")'
    source = f"(module (func {hooks} (result i32) (i32.const 0)))"
    module = written(tmp_path / "a.wat", source)
    shown = output(capsys, "plugins", "bench", module, "--calls", "1")
    assert "on_message         not called: the plugin listens to no topic\n" in shown


def test_a_flow_that_was_kept_is_read_as_it_was_shown(tmp_path: Path) -> None:
    changed = BodyRecord(size=2, content=b"ab", original=b"original")
    record = a_record(9, content=b"\x00hello", method="PUT")
    record = replace(record, request_body=changed)
    shape = flow_shape(row_of(record), record, is_raw=True)

    (recording,) = read_flow_file(written(tmp_path / "flow.json", shape))

    flow = recording.make()
    assert flow.response is not None
    assert flow.request.method == "PUT"
    assert flow.request.url == "https://example.com/9"
    assert flow.request.headers.raw == [(b"Host", b"example.com")]
    assert flow.request.body.content == b"original"
    assert flow.response.headers.raw == [(b"Content-Type", b"text/plain")]
    assert flow.response.body.content == b"\x00hello"


def test_bench_prints_a_line_for_each_hook(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flow = written(tmp_path / "flow.json", FLOW)

    made_up = output(capsys, "plugins", "bench", STAMP, "--calls", "20")
    given = output(capsys, "plugins", "bench", STAMP, "--calls", "5", "--flow", flow)

    lines = made_up.splitlines()
    assert lines[0] == f"{STAMP}: 20 calls of each hook about a made-up flow"
    names = [line.split()[0] for line in lines[2:-1] if not line.startswith(" ")]
    assert names == ["on_request", "on_response"]
    fuel, *_, median = lines[2].split()[1:6]
    assert 0 < int(fuel) < 10_000
    assert float(median) > 0
    assert "about flow 4" in given


def test_bench_says_when_it_was_disturbed_and_when_calls_failed() -> None:
    one = Timing(
        entry=Extra.REQUEST_CHUNK,
        fuel=Spread(1, 2, 3),
        us=Spread(1.0, 2.0, 3.0),
        halves_us=(1.0, 2.0),
        fault="failed: out of fuel",
    )
    first, *rest = plugin_authoring._timing_lines(one)
    assert first.split() == ["on_request_chunk", "1", "2", "3", "1.00", "2.00", "3.00"]
    assert rest[0] == "  calls failed: out of fuel"
    assert rest[1].startswith("  noisy: the median was 1.00 us in the first half")


def test_new_makes_a_folder_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = output(capsys, "plugins", "new", "hello", "--lang", "wat")
    assert "wrote hello/hello.wat\n" in shown
    assert shown.endswith("next: cd hello && make test\n")
    flows, expect = "hello/test/flow.json", "hello/test/expect.toml"
    tried = output(
        capsys,
        *("plugins", "test", "hello/hello.wat", "--flow", flows, "--expect", expect),
    )
    assert tried.endswith("2 flows, 2 calls, 2 expectations, 0 failures\n")
    said = refused(capsys, "plugins", "new", "hello")
    assert said.endswith("hello exists already; nothing was written")
