"""Expectations: each key can hold and can fail, and says which, where and what."""

from dataclasses import replace
from pathlib import Path

import pytest

from int3rceptor.errors import PluginError
from int3rceptor.model.flow import Flow
from int3rceptor.plugins.authoring import expectations
from int3rceptor.plugins.authoring.expectations import (
    DECISIONS,
    Expectation,
    judge,
    read_expectations,
)
from int3rceptor.plugins.authoring.recorded import Recording
from int3rceptor.plugins.authoring.trial import FlowRun, MessageRun, Trial
from int3rceptor.plugins.topics.messages import Message
from tests.plugins.support import EXAMPLES, guest, make_flow

STAMP = EXAMPLES / "header-stamp" / "header_stamp.wasm"
LOGGER = EXAMPLES / "example-logger" / "example_logger.wasm"


def flows(path: Path, count: int = 1) -> list[FlowRun]:
    with Trial(path) as trial:
        return [
            trial.run(Recording(name=f"flow {number}", make=make_flow))
            for number in range(1, count + 1)
        ]


@pytest.fixture(scope="module")
def stamped() -> list[FlowRun]:
    return flows(STAMP)


def failures(folder: Path, text: str, ran: list[FlowRun]) -> list[str]:
    path = folder / "expect.toml"
    path.write_text(text)
    return list(judge(read_expectations(path).expectations, ran))


HOLDS = """
[[expect]]
hook = "on_request"
verdict = "continue"
method = "POST"
path = "/path?q=\\udcff"
fuel_below = 100_000
request.headers = { X-Int3rceptor = "header-stamp" }
request.absent = ["cookie"]
request.body_contains = ["bo", "dy"]
request.body_lacks = ["secret"]
[[expect]]
status = 200
response.headers = { x-int3rceptor = "header-stamp" }
"""


def test_what_holds_gives_no_line(tmp_path: Path, stamped: list[FlowRun]) -> None:
    text = HOLDS.replace('path = "/path?q=\\udcff"\n', "")
    assert failures(tmp_path, text, stamped) == []


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ('verdict = "drop"', "the verdict is continue, continue, not drop"),
        ("status = 404", "the status is 200, not 404"),
        ('method = "GET"', "the method is POST, not GET"),
        ('path = "/"', "the path is /path?q=\udcff, not /"),
        (
            'request.headers = { accept = "x" }',
            "request header accept is 'text/html', 'text/plain', not 'x'",
        ),
        (
            'response.headers = { x-no = "x" }',
            "response header x-no is absent, not 'x'",
        ),
        ('response.absent = ["Set-Cookie"]', "response header Set-Cookie is there"),
        (
            'request.body_contains = ["x"]',
            "the request's body does not contain 'x'",
        ),
        ('response.body_lacks = ["od"]', "the response's body contains 'od'"),
        ('tags = ["t"]', "the flow is not tagged 't'"),
        ('log = ["t"]', "no log line contains 't'"),
    ],
)
def test_what_does_not_hold_is_told(
    key: str, said: str, tmp_path: Path, stamped: list[FlowRun]
) -> None:
    (line,) = failures(tmp_path, f"[[expect]]\n{key}", stamped)
    assert line == f"expect 1, flow 1: {said}"


def test_fuel_is_judged_for_each_call(tmp_path: Path, stamped: list[FlowRun]) -> None:
    lines = failures(tmp_path, "[[expect]]\nfuel_below = 1", stamped)
    assert [line.split()[4] for line in lines] == ["on_request", "on_response"]


def test_flows_are_chosen_by_their_place(tmp_path: Path) -> None:
    ran = flows(LOGGER, 2)
    every = failures(tmp_path, '[[expect]]\nlog = ["nope"]', ran)
    second = failures(tmp_path, '[[expect]]\nflow = 2\nlog = ["nope"]', ran)
    third = failures(tmp_path, '[[expect]]\nflow = 3\nlog = ["on_request"]', ran)
    assert [line.split(":")[0] for line in every] == [
        "expect 1, flow 1",
        "expect 1, flow 2",
    ]
    assert second == ["expect 1, flow 2: no log line contains 'nope'"]
    assert third == ["expect 1: there is no flow 3"]


def test_a_hook_that_was_not_called_cannot_hold(
    tmp_path: Path, stamped: list[FlowRun]
) -> None:
    text = '[[expect]]\nhook = "on_capture"'
    assert failures(tmp_path, text, stamped) == [
        "expect 1, flow 1, after on_capture: on_capture was not called"
    ]


def test_what_is_expected_of_no_response_fails(tmp_path: Path) -> None:
    def make() -> Flow:
        return make_flow(has_response=False)

    with Trial(LOGGER) as trial:
        ran = [trial.run(Recording(name="flow 1", make=make))]
    text = '[[expect]]\nstatus = 200\nresponse.absent = ["x"]'
    assert failures(tmp_path, text, ran) == [
        "expect 1, flow 1: the status is none, not 200",
        "expect 1, flow 1: there is no response",
    ]


def test_a_fault_fails_unless_it_is_expected(tmp_path: Path) -> None:
    path = tmp_path / "a.wat"
    path.write_bytes(guest("unreachable"))
    ran = flows(path)
    assert failures(tmp_path, "expect = []", ran) == [
        "flow 1, on_request: failed: trap: unreachable"
    ]
    for text in (
        '[[expect]]\nverdict = "fault"',
        '[[expect]]\nflow = 1\nhook = "on_request"\nverdict = "fault"',
    ):
        assert failures(tmp_path, text, ran) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("expect = 1", "must hold [[expect]] and [[message]] tables, and nothing"),
        ("expect = [1]", "expect 1: must be a table"),
        ("x = 1\n[[expect]]", "must hold [[expect]] and"),
        ("message = 1", "must hold [[expect]] and"),
        ("message = [1]", "message 1: must be a table"),
        ("[[message]]", "message 1: topic: '': a topic has 1 to 128 bytes"),
        ('[[message]]\ntopic = "a\\n"', "message 1: topic: 'a\\n': a topic has"),
        ('[[message]]\ntopic = "a"\nhex = "0g"', "message 1: hex: '0g': non-hex"),
        (
            '[[message]]\ntopic = "a"\nhex = "00"\ntext = "a"',
            "message 1: hex: there is text already",
        ),
        ('[[message]]\ntopic = "a"\nafter = -1', "message 1: after: must be"),
        (
            '[[message]]\ntopic = "a"\ntext = "' + "x" * 262_145 + '"',
            "message 1: larger than 262144 bytes",
        ),
        (
            '[[expect]]\nmessage = 1\nhook = "on_request"',
            "expect 1: message: on_request is not about one",
        ),
        ("[[expect]]\nmessage = 1\nflow = 1", "expect 1: flow: a message has none"),
        (
            '[[expect]]\nhook = "on_message"\nrequest.absent = ["a"]',
            "expect 1: request: a message has none",
        ),
        ("[[expect]]\n[[expect]]\nwrong = 1", "expect 2: wrong: no such key"),
        ("[[expect]]\nrequest.hedaers = {}", "expect 1: request.hedaers: no such key"),
        (
            '[[expect]]\nhook = "on_x"',
            "expect 1: hook: 'on_x': no such hook; there",
        ),
        ('[[expect]]\nverdict = "x"', "expect 1: verdict: 'x': no such verdict"),
        ("[[expect]]\nflow = -1", "expect 1: flow: must be greater than or equal to 0"),
        ("[[expect]]\ntags = 1", "expect 1: tags: must be a list, not 1"),
        ("[[expect]", "not valid TOML"),
        (f"expect = {'[' * 100_000}", "not valid TOML: nested more than 64 deep"),
        (f"expect = {'9' * 5_000}", "not valid TOML: Exceeds the limit"),
        ("", "must hold [[expect]] and"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(
    text: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "e.toml"
    path.write_text(text)
    with pytest.raises(PluginError) as caught:
        read_expectations(path)
    assert str(caught.value).startswith(f"{path}: {said}")
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PluginError, match="cannot be read"):
        read_expectations(tmp_path / "missing")
    path = tmp_path / "e.toml"
    path.write_text("[[expect]]")
    monkeypatch.setattr(expectations, "MAX_EXPECTATIONS_BYTES", 3)
    with pytest.raises(PluginError, match="larger than 3 bytes"):
        read_expectations(path)


def test_the_decisions_are_those_that_a_plugin_can_give() -> None:
    assert {"continue", "respond", "drop", "delay", "pass_through", "fault"} <= set(
        DECISIONS
    )
    assert {"hold", "fail"}.isdisjoint(DECISIONS)


# --- messages -------------------------------------------------------------------------


HELLO = Message("news", b"hello", ("test",))


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> list[MessageRun]:
    """Of a plugin that listens to "news", logs what it hears and says it on "more"."""
    path = tmp_path_factory.mktemp("heard") / "counter.wat"
    path.write_bytes(guest("counter_of_news"))
    asks = 'permissions = ["topics:news", "topics:more"]'
    path.with_suffix(".toml").write_text(asks)
    bytes_of_another = Message("news", b"\0\xff", ("another",))
    unheard = Message("other", b"", ("test",))
    with Trial(path) as trial:
        return [
            trial.hear(one, f"message {number}")
            for number, one in enumerate((HELLO, bytes_of_another, unheard), 1)
        ]


def judged(folder: Path, text: str, heard: list[MessageRun]) -> list[str]:
    path = folder / "expect.toml"
    path.write_text(text)
    return list(judge(read_expectations(path).expectations, [], heard))


def test_messages_are_read_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "expect.toml"
    path.write_text(
        """
        [[message]]
        topic = "news"
        text = "hello"
        [[message]]
        topic = "news"
        hex = "00 ff"
        sender = "another"
        after = 2
        """
    )
    first, second = read_expectations(path).messages
    assert (first.message, first.after) == (HELLO, 0)
    assert second.message == Message("news", b"\0\xff", ("another",))
    assert second.after == 2


def test_messages_are_judged(tmp_path: Path, heard: list[MessageRun]) -> None:
    text = """
    [[expect]]
    hook = "on_message"
    verdict = "continue"
    fuel_below = 1000
    [[expect]]
    message = 1
    log = ["hello"]
    sends = { more = "ell" }
    """
    assert judged(tmp_path, text, heard[:2]) == []
    (run,) = heard[0].runs
    assert run.changes == ("sent more, 5 bytes: hello",)
    assert 0 < run.fuel < 1000


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ('message = 1\nlog = ["x"]', "expect 1, message 1: no log line contains 'x'"),
        ("message = 2\nfuel_below = 1", "expect 1, message 2: on_message took "),
        (
            'message = 1\nsends = { other = "" }',
            "expect 1, message 1: no message on other was sent",
        ),
        (
            'message = 2\nsends = { more = "x" }',
            "expect 1, message 2: no message on more contains 'x'",
        ),
        ("message = 4", "expect 1: there is no message 4"),
        (
            'message = 1\nverdict = "fault"',
            "expect 1, message 1: the verdict is continue, not fault",
        ),
        (
            'hook = "on_message"',
            "expect 1, message 3, after on_message: on_message was not called",
        ),
    ],
)
def test_what_does_not_hold_of_a_message_is_told(
    key: str, said: str, tmp_path: Path, heard: list[MessageRun]
) -> None:
    (line,) = judged(tmp_path, f"[[expect]]\n{key}", heard)
    assert line.startswith(said)


def test_a_fault_on_a_message_fails_unless_it_is_expected(
    heard: list[MessageRun],
) -> None:
    (run,) = heard[0].runs
    failed = replace(run, decision="fault", said="failed: trap", is_fault=True)
    faulty = replace(heard[0], runs=(failed,))
    assert list(judge([], [], [faulty])) == ["message 1, on_message: failed: trap"]
    expected = Expectation(message=1, verdict="fault")
    assert list(judge([expected], [], [faulty])) == []


def test_what_a_hook_sends_is_judged_too(tmp_path: Path) -> None:
    path = tmp_path / "teller.wat"
    path.write_bytes(guest("teller"))
    path.with_suffix(".toml").write_text('permissions = ["topics.send:news"]')
    (ran,) = flows(path)
    assert ran.runs[0].changes == ("sent news, 5 bytes: hello",)
    text = '[[expect]]\nsends = { news = "ell" }'
    assert failures(tmp_path, text, [ran]) == []
