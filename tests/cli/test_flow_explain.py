"""`flows show --explain`: whose step did what; the last ends in what was sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from int3rceptor.cli.flows.explain import explained, explanation
from int3rceptor.cli.flows.steps import Step, ways
from int3rceptor.cli.output.json_indent import indented
from int3rceptor.store.records import BodyRecord, FlowRecord, PluginFacts
from tests.support.kept_flows import a_record

RECEIVED = b"GET /a HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nX-Old: 1\r\n"


def a_flow(
    *changes: tuple[str, str, str], received: bytes = RECEIVED, sent: bytes
) -> FlowRecord:
    record = a_record(1, changes=changes)
    return replace(record, request_received=received, request_sent=sent)


def steps_of(record: FlowRecord, side: int = 0) -> list[Step]:
    return ways(record)[side].steps


def test_each_author_has_a_step_and_the_rest_is_our_own() -> None:
    record = a_flow(
        ("on_request", "stamp", "- X-Old: 1"),
        ("on_request", "stamp", "+ X-Old: 2"),
        (
            "on_request",
            "rewriter",
            "GET https://a.test:443/a -> POST https://b.test:443/b",
        ),
        sent=b"POST /b HTTP/1.1\r\nHost: a.test\r\nX-Old: 2\r\n",
    )

    first, second, own = steps_of(record)

    assert (first.point, first.author) == ("on_request", "stamp")
    assert first.diff[-2:] == ["-X-Old: 1", "+X-Old: 2"]
    assert second.diff[1:3] == ["-GET /a HTTP/1.1", "+POST /b HTTP/1.1"]
    assert (own.point, own.author) == ("", "int3rceptor")
    assert [line for line in own.diff if line[0] == "-"] == ["-Connection: close"]


def test_the_plugins_that_took_part_are_named_with_what_they_cost() -> None:
    facts = [
        PluginFacts("stamp", "1.0", "3fa9c01b77de", "on_request", 2, 1234, 56),
        PluginFacts("a\x1b[2J", "", "00", "on_capture", 1, 0, 7),
    ]
    record = replace(a_flow(sent=RECEIVED), plugins=facts)

    lines = [line for line in explanation(record) if "sha256" in line]
    assert lines == [
        "  stamp 1.0 (sha256 3fa9c01b77de…) at on_request: 2 calls, 1,234 fuel, 56 µs",
        "  a\\x1b[2J (sha256 00…) at on_capture: 1 call, 7 µs",
    ]


def test_a_translation_between_versions_is_our_own_step() -> None:
    record = a_flow(
        ("on_request", "rewriter", "GET https://a:443/a -> PUT https://a:443/b"),
        received=b":method: GET\r\n:scheme: https\r\n:path: /a\r\nx: y\r\n",
        sent=b"PUT /b HTTP/1.1\r\nHost: a\r\nx: y\r\n",
    )

    rewriter, own = steps_of(record)

    assert "+:method: PUT" in rewriter.diff
    assert "+:path: /b" in rewriter.diff
    assert "+PUT /b HTTP/1.1" in own.diff


def test_what_nobody_changed_has_no_step() -> None:
    record = a_record(1)

    assert [way.steps for way in ways(record)] == [[], []]
    assert "## sent to the origin as it came" in list(explanation(record))


def test_an_answer_in_place_of_the_origin_is_its_authors() -> None:
    record = replace(
        a_flow(("on_request", "block-list", "answered 403"), sent=b""),
        status=403,
        response_received=b"",
        response_sent=b"HTTP/1.1 403 Forbidden\r\nX: y\r\n",
    )

    assert [step.author for step in steps_of(record)] == ["block-list"]
    (answer,) = steps_of(record, 1)
    assert (answer.author, answer.what) == ("block-list", ["answered 403"])
    assert answer.diff[1:] == ["+HTTP/1.1 403 Forbidden", "+X: y"]
    shown = list(explanation(record))
    assert "## nothing was sent to the origin" in shown
    assert "## nothing was received from the origin" in shown


def test_a_changed_status_and_a_replaced_body() -> None:
    record = replace(
        a_record(
            1,
            changes=[
                ("on_response", "mock", "200 -> 404"),
                ("on_response", "mock", "body replaced by 4 bytes"),
                ("on_rule_match", "audit", "+ X-Seen: yes"),
            ],
        ),
        response_sent=b"HTTP/1.1 404 Gone\r\nContent-Type: text/plain\r\n"
        b"X-Seen: yes\r\n",
        response_body=BodyRecord(size=4, content=b"a\nc\n", original=b"a\nb\n"),
    )

    mock, audit = steps_of(record, 1)

    assert "+HTTP/1.1 404 Gone" in mock.diff
    assert audit.diff[-1] == "+X-Seen: yes"
    shown = list(explanation(record))
    assert shown[shown.index("## the body that was replaced") + 2 :][:3] == [
        "   a",
        "  -b",
        "  +c",
    ]
    assert explained(record)[1]["body"] == ["@@ -1,2 +1,2 @@", " a", "-b", "+c"]


def test_bytes_from_strangers_stay_harmless() -> None:
    record = a_flow(
        ("on_request", "evil\x1b[2J", "+ X: \x1b[31m\xe9"),
        sent=RECEIVED + b"X: \x1b[31m\xe9\r\n",
    )

    (step,) = steps_of(record)
    assert step.diff[-1] == "+X: \\x1b[31m\\xe9"
    assert "\x1b" not in "\n".join(explanation(record))


@given(
    st.lists(
        st.sampled_from(
            [
                "+ A: 1",
                "- A: 1",
                "- Host: a.test",
                "+ : ",
                "200 -> 404",
                "GET https://a:1/x -> PUT https://a:1/y",
                "header order",
                "delayed by 1 s",
            ]
        )
    ),
    st.sampled_from([b"", RECEIVED, b":method: GET\r\n:path: /\r\n"]),
    st.sampled_from([b"", RECEIVED, b":method: GET\r\n:path: /\r\n", b"A: 1\r\n"]),
)
def test_the_last_step_ends_in_what_was_sent(
    changes: list[str], received: bytes, sent: bytes
) -> None:
    record = a_flow(
        *(("on_request", "someone", one) for one in changes),
        received=received,
        sent=sent,
    )

    assert list(explanation(record))
    last = steps_of(record)[-1:] if sent and sent != received else []
    for step in last:
        added = [line[1:] for line in step.diff if line[0] in "+ "]
        assert set(added) <= {line.decode() for line in sent.split(b"\r\n")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", "[]"),
        (
            '{"a":{},"b":[1,"x, {y}"]}',
            '{\n  "a": {},\n  "b": [\n    1,\n    "x, {y}"\n  ]\n}',
        ),
        (
            '{"a":1e400,"a":123456789012345678.0}',
            '{\n  "a": 1e400,\n  "a": 123456789012345678.0\n}',
        ),
        ('"text"', None),
        ("{broken", None),
        ("[" * 100_000, None),
    ],
)
def test_json_is_indented_as_it_was_written(text: str, expected: str | None) -> None:
    assert indented(text) == expected
