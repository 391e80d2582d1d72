"""docs/rules.md and its examples: each loads, and every key has its row."""

import re
from pathlib import Path

import pytest

from int3rceptor.rules import files, parsing, parsing_actions, patterns
from int3rceptor.rules.model import Phase
from int3rceptor.rules.parsing import parse_rules

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT = (DOCS / "rules.md").read_text()
EXAMPLES = re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)
ROW = re.compile(r"^\| `([a-z_.]+)` \| (.*?) \|", re.MULTILINE)


def an_item(path: Path, limit: int) -> bytes:
    assert path.name == "items.json"
    return b"[]"


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_examples_load(example: str) -> None:
    assert parse_rules(Path("example.toml"), example, an_item)


def test_the_example_file_loads_and_shows_every_kind_of_action() -> None:
    text = (DOCS / "example-rules.toml").read_text()
    rules = parse_rules(Path("example-rules.toml"), text, an_item)

    assert {rule.phase for rule in rules} == set(Phase)
    shown = [*EXAMPLES, text]
    for key in parsing_actions.ACTIONS:
        assert any(re.search(rf"^{key}\b", one, re.MULTILINE) for one in shown), key


def test_every_key_has_its_row() -> None:
    documented = {name for name, _ in ROW.findall(DOCUMENT)}
    keys = {key for key in parsing.RULE_KEYS if key not in ("rewrite", "answer")}
    keys |= {key for key in parsing.MATCH_KEYS[Phase.RESPONSE] if "_regex" not in key}
    keys |= {f"rewrite.{key}" for key in parsing_actions.REWRITE_KEYS}
    keys |= {f"answer.{key}" for key in parsing_actions.ANSWER_KEYS}

    assert documented - {"rewrite", "answer"} == keys


def test_where_each_action_is_allowed() -> None:
    table = dict(ROW.findall(DOCUMENT.partition("## What happens")[2]))
    for key in parsing_actions.ACTIONS:
        phases = [one.value for one in Phase if key in parsing_actions.ALLOWED[one]]
        assert table[key] == ("all" if len(phases) == 3 else ", ".join(phases))


def test_limits() -> None:
    table = DOCUMENT.partition("## Limits")[2]
    shown = {
        "rule files": f"{files.MAX_FILES:,}, of {files.MAX_FILE_BYTES >> 20} MiB each",
        "rules": f"{files.MAX_RULES:,}",
        "globs and regexes": f"{files.MAX_PATTERNS:,}; {files.MAX_PROGRAMS:,} of them",
        "one pattern": f"{patterns.MAX_PATTERN_CHARS:,} characters,"
        f" {patterns.MAX_PROGRAM:,} instructions",
        "bodies of answers": f"{parsing_actions.MAX_BODY_BYTES >> 20} MiB each,"
        f" {files.MAX_ANSWER_BYTES >> 20} MiB in all",
    }
    for what, value in shown.items():
        assert f"| {what} | {value}" in table
