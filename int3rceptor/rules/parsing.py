"""From the text of a rule file to rules. Every problem is one line, a RuleError:
`FILE:LINE: what, and what to write instead`.

It opens no file itself: `read` gives it the bodies that answers are made of.
"""

import re
from collections.abc import Callable
from pathlib import Path

from int3rceptor.config.toml_lines import key_lines
from int3rceptor.errors import RuleError
from int3rceptor.rules.model import (
    DEFAULT_ORDER,
    HeaderMatch,
    Match,
    Phase,
    Rule,
)
from int3rceptor.rules.parsing_actions import (
    ACTIONS,
    ReadFile,
    parse_ending,
    parse_steps,
)
from int3rceptor.rules.patterns import Pattern, glob, regex
from int3rceptor.rules.reading import Lines, Table, parse_toml, show

MAX_ORDER = 1_000_000

STATUSES = range(100, 600)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,63}")

RULE_KEYS = ("name", "enabled", "order", "on", "match", *ACTIONS)
_HOST_KEYS = ("host", "host_regex")
_REQUEST_KEYS = (
    *_HOST_KEYS, "method", "method_regex", "path", "path_regex", "query",
    "query_regex", "header", "header_regex",
)  # fmt: skip
MATCH_KEYS = {
    Phase.CONNECT: _HOST_KEYS,
    Phase.REQUEST: _REQUEST_KEYS,
    Phase.RESPONSE: (*_REQUEST_KEYS, "status", "status_regex"),
}


def parse_rules(path: Path, text: str, read: ReadFile) -> tuple[Rule, ...]:
    """The rules of the file at `path`, in its order; RuleError for the first slip."""
    tables = parse_toml(str(path), text)
    for key in tables:
        if key != "rules":
            raise _misplaced(path, text, key, "no such table")
    found = tables.get("rules", [])
    if not isinstance(found, list):
        raise _misplaced(path, text, "rules", "must be a list")
    lines = Lines(text, len(found))
    rules = []
    for index, values in enumerate(found):
        if not isinstance(values, dict):
            raise _misplaced(path, text, "rules", f"{show(values)} is no table")
        table = Table(values=values, file=str(path), lines=lines, index=index)
        rules.append(_rule(table, path.parent, read))
    return tuple(rules)


def _misplaced(path: Path, text: str, key: str, what: str) -> RuleError:
    line = key_lines(text).get(key, 1)
    return RuleError(
        f"{path}:{line}: {show(key)}: {what}; write [[rules]], and the keys of a rule"
        " below it"
    )


def _rule(table: Table, folder: Path, read: ReadFile) -> Rule:
    table.check_keys(RULE_KEYS)
    name = table.text("name")
    if name is None or not _NAME.fullmatch(name):
        raise table.problem(
            "name",
            'every rule needs a name; write name = "what-it-does" (letters, digits,'
            " . _ - and spaces, 64 at most)",
        )
    phase = _phase(table)
    match = _match(table, phase)
    steps = parse_steps(table, phase, match)
    ending = parse_ending(table, phase, folder, read)
    if not steps and ending is None:
        raise table.problem("", f"it does nothing; add one of {', '.join(ACTIONS)}")
    order = table.whole("order", -MAX_ORDER, MAX_ORDER)
    return Rule(
        name=name,
        place=table.place,
        phase=phase,
        match=match,
        steps=steps,
        ending=ending,
        is_enabled=table.flag("enabled", default=True),
        order=DEFAULT_ORDER if order is None else order,
    )


def _phase(table: Table) -> Phase:
    named = table.text("on")
    if named is None:
        return Phase.REQUEST
    for phase in Phase:
        if phase.value == named:
            return phase
    known = ", ".join(phase.value for phase in Phase)
    raise table.problem("on", f"{show(named)} is not one of {known}")


def _match(table: Table, phase: Phase) -> Match:
    inner = table.table("match")
    if inner is None:
        raise table.problem(
            "match",
            'missing: say which flows; write match = { host = "*.example" }, or'
            " match = {} for all",
        )
    everything = MATCH_KEYS[Phase.RESPONSE]
    allowed = MATCH_KEYS[phase]
    inner.check_keys(everything)
    for key in inner.values:
        if key not in allowed:
            raise inner.problem(
                key,
                f'a rule on = "{phase.value}" cannot know it; there are'
                f" {', '.join(allowed)}",
            )
    return Match(
        host=_hosts(inner),
        method=_patterns(inner, "method"),
        path=_patterns(inner, "path"),
        query=_patterns(inner, "query"),
        headers=_headers(inner),
        status=_statuses(inner),
    )


def _patterns(table: Table, key: str) -> tuple[Pattern, ...]:
    """The globs of `key` and the regexes of `key_regex`."""
    return (
        *_compiled(table, key, table.texts(key), glob),
        *_compiled(table, f"{key}_regex", table.texts(f"{key}_regex"), regex),
    )


def _compiled(
    table: Table, key: str, texts: tuple[str, ...], compiler: Callable[[str], Pattern]
) -> tuple[Pattern, ...]:
    try:
        return tuple(map(compiler, texts))
    except ValueError as error:
        raise table.problem(key, str(error)) from None


def _hosts(table: Table) -> tuple[Pattern, ...]:
    """Names are compared in lower case, IPv6 addresses without their brackets."""
    return (
        *_compiled(table, "host", table.texts("host"), _host_glob),
        *_compiled(table, "host_regex", table.texts("host_regex"), _host_regex),
    )


def _host_glob(text: str) -> Pattern:
    if not text.isascii():
        raise ValueError(f"{show(text)}: write the name as it is in DNS, xn--…")
    name = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if "/" in text:
        raise ValueError(f"{show(text)}: a host, not a URL; match the path by path")
    if text.count(":") == 1:
        raise ValueError(f"{show(text)}: a host has no port here; leave it out")
    return glob(name.lower().rstrip("."))


def _host_regex(text: str) -> Pattern:
    return regex(text, is_case_blind=True)


def _headers(table: Table) -> tuple[HeaderMatch, ...]:
    found = []
    for key, compiler in (("header", glob), ("header_regex", regex)):
        for name, texts in table.fields(key):
            patterns = _compiled(table, key, texts, compiler)
            found.append(HeaderMatch(name=name.lower(), values=patterns))
    return tuple(found)


def _statuses(table: Table) -> frozenset[int]:
    """Every status that a pattern fits: looked up, not matched, when one comes."""
    values = table.values.get("status", ())
    items = values if isinstance(values, list | tuple) else [values]
    if values == [] or any(type(item) not in (int, str) for item in items):
        raise table.problem(
            "status", f'{show(values)} is no status; write 404, "4xx" or a list'
        )
    globs = [str(item).lower().replace("x", "?") for item in items]
    patterns = (
        *_compiled(table, "status", tuple(globs), glob),
        *_compiled(table, "status_regex", table.texts("status_regex"), regex),
    )
    found = {
        status
        for status in STATUSES
        if any(one.fits(b"%d" % status) for one in patterns)
    }
    if patterns and not found:
        raise table.problem("status", "no status is like that; they are 100 to 599")
    return frozenset(found)
