"""Trials: hooks in order, what each did and cost, and what is never granted."""

import gzip
from pathlib import Path

import pytest

from int3rceptor.errors import PluginError
from int3rceptor.model.flow import Flow
from int3rceptor.model.websocket import WebSocketMessage
from int3rceptor.plugins.abi.codes import Extra, LogLevel
from int3rceptor.plugins.authoring.recorded import Recording
from int3rceptor.plugins.authoring.trial import FlowRun, Trial
from int3rceptor.plugins.streaming.chunks import MAX_CHUNK_BYTES
from tests.plugins.support import EXAMPLES, guest, make_flow

LOGGER = EXAMPLES / "example-logger" / "example_logger.wasm"
STAMP = EXAMPLES / "header-stamp" / "header_stamp.wasm"
BLOCK = EXAMPLES / "block-list" / "block_list.wasm"

RECORDING = Recording(name="flow 1", make=make_flow)


def tried(path: Path, recording: Recording = RECORDING) -> FlowRun:
    with Trial(path) as trial:
        return trial.run(recording)


def hooks(flow: FlowRun) -> list[str]:
    return [one.entry.value for one in flow.runs]


def module(folder: Path, text: str | bytes, manifest: str = "") -> Path:
    path = folder / "a.wat"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    if manifest:
        path.with_suffix(".toml").write_text(manifest)
    return path


def test_hooks_are_asked_in_the_order_of_an_exchange() -> None:
    with Trial(LOGGER) as trial:
        assert trial.first_lines == ((LogLevel.INFO, "example-logger ready"),)
        flow = trial.run(RECORDING)
    assert hooks(flow) == [
        *("on_connect", "on_rule_match", "on_request"),
        *("on_response", "on_capture"),
    ]
    assert [run.lines for run in flow.runs] == [
        ((LogLevel.INFO, name),) for name in hooks(flow)
    ]
    assert {run.decision for run in flow.runs} == {"continue"}
    assert all(0 < run.fuel < 100 for run in flow.runs)
    assert all(run.seconds > 0 for run in flow.runs)


def test_rules_and_responses_that_were_not_there_are_not_asked_about() -> None:
    def make() -> Flow:
        flow = make_flow(has_response=False)
        flow.rule = ""
        return flow

    recording = Recording(name="flow 2", make=make)
    assert hooks(tried(LOGGER, recording)) == ["on_connect", "on_request", "on_capture"]


def test_changes_are_told_by_message() -> None:
    request, response = tried(STAMP).runs
    assert request.changes == ("request: + x-int3rceptor: header-stamp",)
    assert response.changes == ("response: + x-int3rceptor: header-stamp",)
    assert request.request.values("X-Int3rceptor") == ["header-stamp"]
    assert response.response is not None
    assert response.response.start == ("200",)


def test_an_answer_stands_in_for_the_origins(tmp_path: Path) -> None:
    path = tmp_path / "block_list.wasm"
    path.write_bytes(BLOCK.read_bytes())
    path.with_suffix(".toml").write_text('[config]\nhosts = ["api.example.com"]')
    (run,) = tried(path).runs
    assert (run.decision, run.said) == ("respond", "answered 403")
    assert run.response is not None
    assert run.response.start == ("403",)


def test_after_a_drop_only_the_record_is_made(tmp_path: Path) -> None:
    text = """(module (func $no (result i32) i32.const 2)
      (func $on (result i32) i32.const 0)
      (export "on_request" (func $no)) (export "on_response" (func $on))
      (export "on_capture" (func $on)))"""
    flow = tried(module(tmp_path, text, 'permissions = ["respond"]'))
    assert hooks(flow) == ["on_request", "on_capture"]
    assert [run.decision for run in flow.runs] == ["drop", "continue"]


def test_a_fault_is_a_decision_and_leaves_the_flow_as_it_was(tmp_path: Path) -> None:
    (run, *_) = tried(module(tmp_path, guest("half_change"))).runs
    assert run.is_fault
    assert run.decision == "fault"
    assert run.said.startswith("failed: trap")
    assert run.changes == ()


def test_an_instance_lives_through_all_flows(tmp_path: Path) -> None:
    with Trial(module(tmp_path, guest("counter"))) as trial:
        lines = [trial.run(RECORDING).runs[0].lines[-1][1] for _ in range(3)]
    assert lines == ["1", "2", "3"]


def test_what_is_out_of_scope_is_not_asked_about(tmp_path: Path) -> None:
    path = module(tmp_path, guest("counter"), '[scope]\nhosts = ["other.test"]')
    flow = tried(path)
    assert not flow.is_in_scope
    assert flow.runs == ()


def test_fuel_is_all_of_it_after_an_endless_loop(tmp_path: Path) -> None:
    path = module(tmp_path, guest("endless_loop"), "[limits]\nfuel = 5000")
    assert tried(path).runs[0].fuel == 5000


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "init_fails",
            "plugin a: could not be started: plugin_init: returned an error",
        ),
        ("huge_memory", "could not be started"),
    ],
)
def test_what_cannot_start_is_an_error(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=said), Trial(module(tmp_path, guest(name))):
        pass


def test_what_cannot_be_loaded_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"imports env\.nope"):
        Trial(module(tmp_path, '(module (import "env" "nope" (func)))'))


def test_a_body_passes_chunk_by_chunk(tmp_path: Path) -> None:
    path = module(tmp_path, guest("chunk_upper"))
    body = b"a" * (MAX_CHUNK_BYTES + 5)
    flow = tried(path, Recording(name="flow 1", make=lambda: make_flow(body=body)))
    chunks = [run for run in flow.runs if run.entry is Extra.RESPONSE_CHUNK]
    assert [run.changes for run in chunks] == [
        ("chunk of 16384 bytes: 16384 bytes go on",),
        ("chunk of 5 bytes: 5 bytes go on",),
        (),
    ]
    last = chunks[-1].response
    assert last is not None
    assert last.content == body.upper()


def test_messages_pass_one_by_one(tmp_path: Path) -> None:
    path = module(tmp_path, guest("message_moods"))
    messages = tuple(
        WebSocketMessage(data=data, is_text=True, is_from_client=True)
        for data in (b"abc", b"drop", b"trap", b"f", b"w")
    )
    recording = Recording(name="flow 1", make=make_flow, messages=messages)
    runs = tried(path, recording).runs
    assert {run.entry for run in runs} == {Extra.WEBSOCKET_MESSAGE}
    assert [run.is_fault for run in runs] == [False, False, True, False, False]
    assert runs[1].decision == "drop"
    assert [run.changes for run in runs] == [
        ("message of 3 bytes: 3 bytes go on",),
        (),
        (),
        ("message of 1 bytes: 11 bytes go on",),
        (),
    ]


def test_after_a_fault_the_rest_of_a_body_passes_as_it_is(tmp_path: Path) -> None:
    text = """(module (func (export "on_response_chunk") (result i32) unreachable))"""
    (run,) = tried(module(tmp_path, text)).runs
    assert run.is_fault
    assert run.response is not None
    assert run.response.content == b"body"


def test_a_stream_of_events_passes_event_by_event(tmp_path: Path) -> None:
    def make() -> Flow:
        stream = b": hi\n\ndata: a\n\ndata: x\n\ndata: d\n\ndata: t\n\ndata: z"
        flow = make_flow(body=stream)
        assert flow.response is not None
        flow.response.headers["content-type"] = "text/event-stream"
        return flow

    path = module(tmp_path, guest("event_moods"))
    runs = tried(path, Recording(name="flow 1", make=make)).runs
    assert [(one.entry, one.decision, one.changes) for one in runs] == [
        (Extra.SSE_EVENT, "continue", ()),
        (Extra.SSE_EVENT, "continue", ("event of 9 bytes: 17 bytes go on",)),
        (Extra.SSE_EVENT, "drop", ()),
        (Extra.SSE_EVENT, "fault", ()),
    ]
    last = runs[-1].response
    assert last is not None
    assert last.content == (
        b": hi\n\ndata: a\n\ndata: !\ndata: ?\n\ndata: t\n\ndata: z"
    )


def test_what_is_no_stream_of_events_has_none(tmp_path: Path) -> None:
    assert tried(module(tmp_path, guest("event_moods"))).runs == ()


def test_a_body_that_is_decoded_is_seen_decoded() -> None:
    def make() -> Flow:
        text = b'{"isAdmin": 1}' * 1000
        flow = make_flow(body=gzip.compress(text))
        assert flow.response is not None
        flow.response.headers["content-type"] = "application/json"
        flow.response.headers["content-encoding"] = "gzip"
        return flow

    rewriter = EXAMPLES / "json-rewriter" / "json_rewriter.wasm"
    last = tried(rewriter, Recording(name="flow 1", make=make)).runs[-1]
    assert not last.is_fault
    assert last.response is not None
    assert last.response.values("content-encoding") == []
    assert last.response.content == b'{"isAdmin": 1}' * 1000
