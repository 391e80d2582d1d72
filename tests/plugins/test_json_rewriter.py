"""The json-rewriter against a model: any JSON, any settings, in chunks of any size."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from int3rceptor.config.tables import JsonValue
from int3rceptor.hooks.points import HookPoint
from int3rceptor.plugins.abi.codes import Extra
from int3rceptor.plugins.engine.boundary import Fault
from int3rceptor.plugins.policy.manifest import Limits
from int3rceptor.plugins.running.instance import PluginInstance
from int3rceptor.plugins.streaming.chunks import Chunk
from tests.plugins.support import EXAMPLES, make_flow, make_instance

MODULE = EXAMPLES / "json-rewriter" / "json_rewriter.wasm"
Lists = Mapping[str, Sequence[str]]


def rewriter(lists: Lists, module: Path = MODULE) -> PluginInstance:
    config = {name: "\n".join(lines).encode() for name, lines in lists.items() if lines}
    limits = Limits(fuel=20_000_000)
    return make_instance(module.read_bytes(), config=config, limits=limits)


def rewritten(instance: PluginInstance, body: str, size: int) -> str:
    flow = make_flow(body=b"{}")
    assert flow.response is not None
    flow.response.headers["content-type"] = "application/json"
    assert instance.run(HookPoint.RESPONSE, flow) is None
    data, gone = body.encode(), b""
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    for piece in [*pieces, b""]:
        chunk = Chunk(data=piece, is_last=not piece)
        assert instance.run(Extra.RESPONSE_CHUNK, flow, chunk) is None
        gone += piece if chunk.given is None else chunk.given
    return gone.decode()


CASES = [
    ({"remove": ["x"]}, '{"x":1}', "{}"),
    ({"remove": ["x"]}, '{"x":1,"a":2}', '{"a":2}'),
    ({"remove": ["x"]}, '{ "x" : {"y":[1,"}"]} , "a":2 }', '{  "a":2 }'),
    ({"remove": ["x"]}, '{"a":1, "x":"\\"}", "b":2}', '{"a":1, "b":2}'),
    ({"remove": ["x"]}, '{"a":1,\n "x":[{}]}', '{"a":1}'),
    ({"remove": ["x", "y"]}, '{"x":1,"y":2,"a":3,"x":4,"y":5}', '{"a":3}'),
    ({"remove": ["x"]}, '["x","x",{"x":null}]', '["x","x",{}]'),
    ({"remove": ["x"]}, '{"a":1,' + " " * 200 + '"x":2}', '{"a":1}'),
    ({"set": ['a="text"', "b=true", "c=null", "d=1.5"]},
     '{"a":1,"b":"","c":[],"d":{}}',
     '{"a":"text","b":true,"c":null,"d":1.5}'),
    ({"replace": ["http://=https://"]},
     '{"http://": "http://a http://b", "c": ["http://"]}',
     '{"http://": "https://a https://b", "c": ["https://"]}'),
    ({"replace": ["n=N", "00=x"]},
     '["\\n\\u0000n00", 100, null]', '["\\n\\u0000Nx", 100, null]'),
    ({"replace": ["ab=1", "a=2"]}, '"aabab"', '"211"'),
    ({"replace": ["\\\"a\\\"=\\\"b\\\""]}, '["\\"a\\""]', '["\\"b\\""]'),
    ({"replace": [",=;", " =_"]}, '["a, b", "c" , "d"]', '["a;_b", "c" , "d"]'),
    ({"replace": ["ab=_"]}, '"' + "ab" * 2000 + '"', '"' + "_" * 2000 + '"'),
    ({"replace": ["ab=_"]},
     '{"k": "' + "x" * 509 + "ab" * 9, '{"k": "' + "x" * 509 + "_" * 9),
    ({"rename": ["a=b"], "remove": ["x"]}, '{"c":1, "a" :2}', '{"c":1, "b":2}'),
]  # fmt: skip


@pytest.mark.parametrize(("lists", "before", "after"), CASES)
def test_what_is_asked_is_done_whatever_the_chunks(
    lists: Lists, before: str, after: str
) -> None:
    instance = rewriter(lists)
    for size in (1, 2, 7, 511, 16_384):
        assert rewritten(instance, before, size) == after


@pytest.mark.parametrize(
    ("lists", "why"),
    [
        ({"rename": ["a"]}, "rename and replace are lists of OLD=NEW"),
        ({"replace": ["=a"]}, "what replace names stands between quotes"),
        ({"replace": ['a="']}, "what replace names stands between quotes"),
        ({"replace": ["a\\=b"]}, "what replace names stands between quotes"),
        ({"replace": ["a" * 257 + "=b"]}, "what replace names stands between quotes"),
        ({"remove": ["a"] * 200, "set": ["a=1"] * 100}, "more than 256 lines"),
    ],
)
def test_what_cannot_be_used_is_told_at_the_start(lists: Lists, why: str) -> None:
    instance = rewriter(lists)
    assert isinstance(instance.start(), Fault)
    assert why in instance.take_lines()[0][1]


KEYS = ("a", "b", "long" * 20, "gone", "set")
TEXTS = st.text(st.sampled_from('ab"\\\n\u00e9 ,:{}'), max_size=8)
LONG = st.builds(lambda text, times: text * times, TEXTS, st.integers(0, 300))
VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS | LONG,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)
MODEL: Lists = {
    "rename": ["a=A"],
    "set": ['set={"a":"ab"}'],
    "remove": ["gone", "long" * 20],
    "replace": ["ab=XY", "b=", "\\\\=/"],
}
"""Also a backslash, as it is written between quotes."""


def replaced(text: str) -> str:
    at, done = 0, ""
    while at < len(text):
        for old, new in (("ab", "XY"), ("b", ""), ("\\", "/")):
            if text.startswith(old, at):
                done, at = done + new, at + len(old)
                break
        else:
            done, at = done + text[at], at + 1
    return done


def expected(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return replaced(value)
    if isinstance(value, list):
        return [expected(one) for one in value]
    if isinstance(value, dict):
        kept = {key: one for key, one in value.items() if key not in MODEL["remove"]}
        return {
            {"a": "A"}.get(key, key): {"a": "ab"} if key == "set" else expected(one)
            for key, one in kept.items()
        }
    return value


REWRITER = rewriter(MODEL)


@settings(max_examples=150, deadline=None)
@given(
    value=VALUES,
    size=st.sampled_from([1, 3, 64, 16_384]),
    indent=st.sampled_from([None, 0, 3]),
    is_ascii=st.booleans(),
)
def test_any_json_is_rewritten_as_the_model_says(
    value: JsonValue, size: int, indent: int | None, is_ascii: bool
) -> None:
    body = json.dumps(value, indent=indent, ensure_ascii=is_ascii)
    assert json.loads(rewritten(REWRITER, body, size)) == expected(value)


@settings(max_examples=100, deadline=None)
@given(body=st.text(st.sampled_from('a"\\{}[],: 1'), max_size=60))
def test_what_is_no_json_never_fails(body: str) -> None:
    rewritten(REWRITER, body, 7)
