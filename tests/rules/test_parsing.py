"""Rule files: every key, every refusal at its line, and nothing else ever raised."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.errors import RuleError
from int3rceptor.rules.model import (
    AddHeader,
    Answer,
    Block,
    LeaveAlone,
    Phase,
    RemoveHeader,
    Rewrite,
    SetHeader,
    Tag,
    Wait,
)
from int3rceptor.rules.parsing import parse_rules
from int3rceptor.rules.parsing_actions import MAX_BODY_BYTES
from tests.support.ruling import FILE, no_file, rule_of, rules_of


def test_an_empty_file_has_no_rules() -> None:
    assert rules_of("") == ()
    assert rules_of("# nothing yet\n") == ()


def test_defaults() -> None:
    rule = rule_of("match = {}\nblock = true")

    assert (rule.name, rule.phase, rule.order) == ("one", Phase.REQUEST, 100)
    assert rule.is_enabled
    assert rule.author == "rule one"
    assert rule.place == "rules.toml:1"


def test_steps_are_taken_in_one_order_whatever_the_files() -> None:
    rule = rule_of(
        """
        delay_s = 2
        rewrite = { host = "B.test", port = 8080, keep_host = true }
        add_header = { X-B = ["1", " 2 "] }
        set_header = { X-A = "é" }
        remove_header = ["Cookie", "X-Z"]
        tag = ["t", "u"]
        match = {}
        """
    )

    assert rule.steps == (
        Tag("t"),
        Tag("u"),
        RemoveHeader(b"Cookie"),
        RemoveHeader(b"X-Z"),
        SetHeader(b"X-A", "é".encode()),
        AddHeader(b"X-B", b"1"),
        AddHeader(b"X-B", b"2"),
        Rewrite(host="b.test", port=8080, keeps_host=True),
        Wait(2.0),
    )
    assert rule.ending is None


@pytest.mark.parametrize(
    ("line", "ending"),
    [
        ("block = true", Block("page")),
        ('block = "page"', Block("page")),
        ('block = "drop"', Block("drop")),
        ("answer = {}", Answer(status=200)),
        ("answer = { status = 204 }", Answer(status=204)),
        (
            'answer = { body = "x" }',
            Answer(
                status=200,
                headers=((b"Content-Type", b"text/plain; charset=utf-8"),),
                body=b"x",
            ),
        ),
        (
            'answer = { body = "{}", headers = { content-type = "a/b" } }',
            Answer(status=200, headers=((b"content-type", b"a/b"),), body=b"{}"),
        ),
    ],
)
def test_endings(line: str, ending: object) -> None:
    assert rule_of(f"match = {{}}\n{line}").ending == ending


def test_false_is_as_if_it_were_not_there() -> None:
    rule = rule_of("match = {}\nblock = false\ntag = 't'\nenabled = false")

    assert rule.ending is None
    assert not rule.is_enabled
    passing = rule_of("match = {}\non = 'connect'\npassthrough = true\nblock = false")
    assert passing.ending == LeaveAlone()


def test_a_body_from_a_file_beside_the_rules() -> None:
    def read(path: Path, limit: int) -> bytes:
        assert path == Path("/folder/items.json")
        return b"[]"

    text = '[[rules]]\nname = "a"\nmatch = {}\nanswer = { body_file = "items.json" }'
    (rule,) = parse_rules(Path("/folder/r.toml"), text, read)

    assert rule.ending == Answer(
        status=200, headers=((b"Content-Type", b"application/json"),), body=b"[]"
    )


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/new", (b"/new",)),
        (r"/\2/x/\1", (b"/", 2, b"/x/", 1)),
        (r"\1?a=b", (1, b"?a=b")),
        (r"/\\", (b"/", b"\\")),
        ("/é", ("/é".encode(),)),
    ],
)
def test_templates(path: str, parts: tuple[object, ...]) -> None:
    rule = rule_of(
        f"match = {{ path_regex = '(.)(.*)' }}\nrewrite = {{ path = '{path}' }}"
    )

    assert rule.steps == (Rewrite(path=parts),)  # type: ignore[arg-type]  # bytes, int


# --- refusals -------------------------------------------------------------------------

REFUSALS = [
    # line, what stands below the name (from line 3 on), words of the message
    (3, "mtach = {}", "rules.toml:3: mtach: no such key (did you mean match?)"),
    (1, 'tag = "t"', "match: missing"),
    (1, "match = {}", "does nothing"),
    (3, "match = 1", "match: must be a table, not 1"),
    (3, 'match = { hosts = "a" }\ntag = "t"', "did you mean host?"),
    (3, 'match = { host = 1 }\ntag = "t"', "match.host: must be a text or a list"),
    (3, 'match = { host = [] }\ntag = "t"', "must be a text or a list of texts"),
    (3, 'match = { host = ["a", 1] }\ntag = "t"', "must be a text or a list of texts"),
    (3, 'match = { host = "a:80" }\ntag = "t"', "no port here"),
    (3, 'match = { host = "https://a/" }\ntag = "t"', "not a URL"),
    (3, 'match = { host = "é" }\ntag = "t"', "xn--"),
    (3, 'match = { path_regex = "(" }\ntag = "t"', "match.path_regex: not a regex"),
    (3, 'match = { header = { "a b" = "x" } }\ntag = "t"', "no header name"),
    (3, 'match = { header = {} }\ntag = "t"', "is empty"),
    (3, 'match = { header = "x" }\ntag = "t"', "must be a table"),
    (3, 'match = { status = 404 }\ntag = "t"', 'on = "request" cannot know it'),
    (4, 'on = "response"\nmatch.status = 99\ntag = "t"', "100 to 599"),
    (4, 'on = "response"\nmatch.status = []\ntag = "t"', "no status"),
    (4, 'on = "response"\nmatch.status = [true]\ntag = "t"', "no status"),
    (4, 'on = "connect"\nmatch.path = "/"\nblock = true', "there are host, host_regex"),
    (3, 'on = "requests"\nmatch = {}\ntag = "t"', "is not one of connect, request"),
    (4, 'match = {}\norder = 1.5\ntag = "t"', "order: must be a whole number"),
    (4, "match = {}\norder = 9999999\ntag = 't'", "order: must be -1000000 to 1000000"),
    (4, 'match = {}\nenabled = "no"\ntag = "t"', "must be true or false, not no"),
    (4, 'match = {}\ntag = ""', "1 to 128 printable"),
    (4, 'match = {}\ntag = "a\\nb"', "1 to 128 printable"),
    (4, "match = {}\nset_header = { x = ['1', '2'] }", "write add_header for several"),
    (4, 'match = {}\nset_header = { host = "a" }', "rewrite the URL"),
    (4, 'match = {}\nset_header = { Content-Length = "1" }', "by the proxy itself"),
    (4, 'match = {}\nadd_header = { x = "a\\nb" }', "control characters"),
    (4, f"match = {{}}\nadd_header = {{ x = '{'a' * 9000}' }}", "longer than 8192"),
    (4, 'match = {}\nremove_header = "a b"', "no header name"),
    (4, 'match = {}\nremove_header = "Transfer-Encoding"', "by the proxy itself"),
    (4, 'match = {}\nrewrite = { path = "x" }', "must begin with /"),
    (4, 'match = {}\nrewrite = { path = "/ x" }', "write %20"),
    (4, "match = {}\nrewrite = { path = '/\\1' }", "must capture it"),
    (4, "match = {}\nrewrite = { path = '/\\x' }", "is followed by"),
    (4, "match.path = '/*'\nrewrite = { path = '/\\1' }", "there are 0"),
    (4, 'match = {}\nrewrite = { host = "a:80" }', "without port"),
    (4, 'match = {}\nrewrite = { host = "a/b" }', "is no host"),
    (4, 'match = {}\nrewrite = { host = "[::1]:80" }', "without port"),
    (4, 'match = {}\nrewrite = { host = "é" }', "is no host"),
    (4, 'match = {}\nrewrite = { host = "" }', "is no host"),
    (4, 'match = {}\nrewrite = { scheme = "ftp" }', "http or https"),
    (4, "match = {}\nrewrite = { port = 70000 }", "1 to 65535"),
    (4, "match = {}\nrewrite = { keep_host = true }", "changes nothing"),
    (4, 'match = {}\nrewrite = { hots = "a" }', "did you mean host?"),
    (4, "match = {}\ndelay_s = 301", "above 0, up to 300"),
    (4, "match = {}\ndelay_s = nan", "above 0, up to 300"),
    (4, "match = {}\ndelay_s = -1", "above 0"),
    (4, 'match = {}\ndelay_s = "1"', "must be a whole number or a number, not 1"),
    (4, 'match = {}\nblock = "no"', 'must be true, "page" or "drop"'),
    (5, "match = {}\nanswer = {}\nblock = true", "there is answer too"),
    (4, "match = {}\npassthrough = true", 'write on = "connect"'),
    (5, 'match = {}\non = "connect"\nanswer = {}', 'not for a rule on = "connect"'),
    (5, 'match = {}\non = "response"\nrewrite = { port = 1 }', 'write on = "request"'),
    (4, "match = {}\nanswer = { status = 101 }", "200 to 599"),
    (4, 'match = {}\nanswer = { status = 204, body = "x" }', "has no body"),
    (4, 'match = {}\nanswer = { body = "x", body_file = "y" }', "there is body too"),
    (4, 'match = {}\nanswer = { body_file = "y" }', "cannot read y: No such file"),
    (4, 'match = {}\nanswer = { headers = { Host = "a" } }', "by the proxy itself"),
    (6, "match = {}\n[rules.answer]\nstatus = 200\nbdoy = 'x'", "did you mean body?"),
]


@pytest.mark.parametrize(("line", "below", "words"), REFUSALS)
def test_refusals_say_where_and_what(line: int, below: str, words: str) -> None:
    text = f'[[rules]]\nname = "one"\n{below}\n'
    tomllib.loads(text)  # the slip is in the rule, not in the TOML

    with pytest.raises(RuleError) as caught:
        rules_of(text)

    said = str(caught.value)
    assert said.startswith(f"rules.toml:{line}: "), said
    assert words in said
    assert "\n" not in said


def test_a_body_too_large_belongs_elsewhere() -> None:
    with pytest.raises(RuleError, match=r"rules.toml:4: answer.body: larger than"):
        rule_of(f"match = {{}}\nanswer.body = '{'x' * (MAX_BODY_BYTES + 1)}'")


@pytest.mark.parametrize("name", ["", "é", "a/b", " a", "a" * 65, "a\nb"])
def test_names(name: str) -> None:
    with pytest.raises(RuleError, match=r"rules.toml:\d: name: every rule needs"):
        rule_of("match = {}\nblock = true", name=name.replace("\n", "\\n"))


def test_a_rule_without_a_name_is_found_by_its_first_line() -> None:
    text = '[[rules]]\nname = "a"\nmatch = {}\ntag = "t"\n\n[[rules]]\nblock = true\n'

    with pytest.raises(RuleError, match=r"rules.toml:6: name: every rule needs"):
        rules_of(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[rules]]\nname = \n", "rules.toml:2: not valid TOML"),
        ("[[rules]]\nname = 'a", "rules.toml:2: not valid TOML"),
        ("a = 1", "rules.toml:1: a: no such table; write [[rules]]"),
        ("\n[rule]\nname = 'a'", "rules.toml:2: rule: no such table"),
        ("[rules]\nname = 'a'", "rules.toml:1: rules: must be a list"),
        ("rules = 1", "rules.toml:1: rules: must be a list"),
        ("rules = [1]", "rules.toml:1: rules: 1 is no table"),
        ("\nrules = [{ nam = 'a' }]", "rules.toml:2: nam: no such key"),
        ("x = " + "[" * 9_000, "rules.toml:1: "),
        ("x = " + "9" * 9_000, "rules.toml:1: "),
        ("[[rules]]\nname = 'a'\nname = 'b'", "rules.toml:3: not valid TOML"),
    ],
    ids=range(11),
)
def test_files_that_are_no_list_of_rules(text: str, said: str) -> None:
    with pytest.raises(RuleError) as caught:
        rules_of(text)

    assert str(caught.value).startswith(said)


def test_a_text_that_looks_like_a_rule_misleads_nobody() -> None:
    text = (
        '[[rules]]\nname = "a"\nmatch = {}\n'
        '[rules.answer]\nbody = """\n[[rules]]\n"""\n'
        '[[rules]]\nname = "b"\nmtach = {}\n'
    )

    with pytest.raises(RuleError, match=r"rules.toml:1: mtach"):
        rules_of(text)


# --- anything -------------------------------------------------------------------------

KEYS = st.sampled_from(
    [
        *("name", "enabled", "order", "on", "match", "tag", "remove_header", "x"),
        *("set_header", "add_header", "rewrite", "delay_s", "answer", "block"),
        *("passthrough", "host", "path_regex", "status", "header", "body", "body_file"),
        *("headers", "scheme", "port", "path", "keep_host", "Content-Type", "é y"),
    ]
)
TEXTS = st.one_of(
    st.sampled_from(["", "a", "a.test", "*", "(", r"/\1", "4xx", "request", "connect"]),
    st.text(max_size=8).filter(lambda text: text.isprintable()),
)
SCALARS = st.one_of(TEXTS, st.booleans(), st.integers(-(2**70), 2**70), st.floats())
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=8,
)


def toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return (
                f"{{{', '.join(f'{quoted(k)} = {toml(v)}' for k, v in value.items())}}}"
            )
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case str():
            return quoted(value)
        case _:
            return str(value)


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_any_rule_is_a_rule_or_one_line(values: dict[str, object]) -> None:
    values = {"name": "n", "match": {}, **values}
    lines = "\n".join(f"{quoted(key)} = {toml(value)}" for key, value in values.items())
    judge(f"[[rules]]\n{lines}\n")


@given(st.text(max_size=200))
def test_any_text_is_rules_or_one_line(text: str) -> None:
    judge(text)
    judge(f"[[rules]]\n{text}")


def judge(text: str) -> None:
    try:
        parse_rules(FILE, text, no_file)
    except RuleError as error:
        said = str(error)
        assert said.startswith("rules.toml:")
        assert len(said.splitlines()) == 1
        line = int(said.split(":")[1])
        assert 1 <= line <= max(1, len(text.splitlines()))
