import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.control.exposition import Family, counter, gauge, render
from int3rceptor.control.metrics import Counts, own_families
from int3rceptor.control.viewers import Viewers
from tests.support.control import control_port

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
PAIR = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({PAIR}(?:,{PAIR})*)\}})? (\S+)")
UNESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


def unescape(text: str) -> str:
    return re.sub(r'\\[\\"n]', lambda match: UNESCAPED[match[0]], text)


def parse(text: str) -> tuple[dict[str, str], Samples]:
    """The types and the samples of a scrape; fails where the format is broken."""
    types: dict[str, str] = {}
    samples: Samples = {}
    assert text == "" or text.endswith("\n")
    for line in text.split("\n")[:-1]:
        if line.startswith("# HELP "):
            assert re.fullmatch(rf"# HELP {NAME} (?:[^\\]|\\[\\n])*", line), line
        elif line.startswith("# TYPE "):
            name, kind = line.removeprefix("# TYPE ").split(" ")
            assert name not in types
            assert kind in ("counter", "gauge")
            types[name] = kind
        else:
            match = SAMPLE.fullmatch(line)
            assert match, line
            assert match[1] in types
            pairs = re.findall(PAIR, match[2] or "")
            key = (match[1], tuple((name, unescape(value)) for name, value in pairs))
            assert key not in samples
            samples[key] = float(match[match.lastindex or 0])
    return types, samples


def test_a_scrape() -> None:
    family = Family(
        name="x_total", help="Of all.", type="counter", samples=(({"a": "b"}, 2),)
    )

    assert render([family, gauge("y", "Now.", 0.5)]) == (
        "# HELP x_total Of all.\n"
        "# TYPE x_total counter\n"
        'x_total{a="b"} 2\n'
        "# HELP y Now.\n"
        "# TYPE y gauge\n"
        "y 0.5\n"
    )


def test_numbers_that_are_none() -> None:
    values = [math.inf, -math.inf, math.nan, 1e300, 2.0**60]
    text = render(gauge(f"x{n}", "", value) for n, value in enumerate(values))

    assert [line.split(" ")[1] for line in text.split("\n") if line[:1] == "x"] == [
        "+Inf",
        "-Inf",
        "NaN",
        str(int(1e300)),
        str(2**60),
    ]


@given(
    st.dictionaries(st.from_regex(r"[a-z][a-z_]{0,5}", fullmatch=True), st.text()),
    st.text(),
    st.floats(allow_nan=False),
)
def test_any_text_survives(labels: dict[str, str], help: str, value: float) -> None:
    family = Family(name="x", help=help, type="gauge", samples=((labels, value),))
    types, samples = parse(render([family]))

    assert types == {"x": "gauge"}
    carried = {
        name: text.encode("utf-8", "backslashreplace").decode()
        for name, text in labels.items()
    }
    assert samples == {("x", tuple(sorted(carried.items()))): value}


@pytest.mark.parametrize("name", ["", "1x", "a-b", "a b", "\u00e9", "a\n"])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        render([gauge(name, "", 1)])
    with pytest.raises(ValueError, match="not a name"):
        render([Family(name="x", help="", type="gauge", samples=(({name: ""}, 1),))])


def test_a_name_that_comes_twice() -> None:
    with pytest.raises(ValueError, match="twice"):
        render([gauge("x", "", 1), counter("x", "", 1)])


def test_our_own_names_follow_the_rules() -> None:
    families = own_families(Counts(), Viewers(lambda _: None, str))

    for family in families:
        assert family.name.startswith("int3rceptor_control_")
        assert family.name.endswith("_total") == (family.type == "counter")
        assert family.help.endswith(".")


async def test_what_is_scraped() -> None:
    async with control_port() as control:
        await control.client.get("/api/version")
        await control.client.get("/api/flows/1")
        answer = await control.client.get("/metrics")

    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    types, samples = parse(answer.text)
    assert types["int3rceptor_control_answers_total"] == "counter"
    assert samples["int3rceptor_control_answers_total", (("status", "2xx"),)] == 1
    assert samples["int3rceptor_control_answers_total", (("status", "4xx"),)] == 1
    assert samples["int3rceptor_control_viewers", ()] == 0
    assert samples["int3rceptor_store_flows", ()] == 3
