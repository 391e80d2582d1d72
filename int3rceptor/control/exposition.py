"""The Prometheus text format (version 0.0.4): families of samples to text. Pure."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")

Labels = Mapping[str, str]


@dataclass(slots=True, frozen=True, kw_only=True)
class Family:
    """A metric: what it is called and means, and its value for each set of labels."""

    name: str
    help: str
    type: Literal["counter", "gauge"]
    samples: tuple[tuple[Labels, float], ...]


def counter(name: str, help: str, value: float) -> Family:
    """A count that only rises, without labels; its name ends in _total."""
    return Family(name=name, help=help, type="counter", samples=(({}, value),))


def gauge(name: str, help: str, value: float) -> Family:
    """A value that rises and falls, without labels."""
    return Family(name=name, help=help, type="gauge", samples=(({}, value),))


def render(families: Iterable[Family]) -> str:
    """The text of a scrape. ValueError for a name that the format does not allow, and
    for one that comes twice: a scrape that holds either is refused as a whole."""
    lines: list[str] = []
    seen: set[str] = set()
    for family in families:
        name = family.name
        if not _NAME.fullmatch(name) or name in seen:
            raise ValueError(f"not a name for a metric, or one used twice: {name!r}")
        seen.add(name)
        lines.append(f"# HELP {name} {_escaped(family.help)}")
        lines.append(f"# TYPE {name} {family.type}")
        lines += (
            f"{name}{_labels(labels)} {_number(value)}"
            for labels, value in family.samples
        )
    return "".join(f"{line}\n" for line in lines)


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(_pair(name, labels[name]) for name in sorted(labels)) + "}"


def _pair(name: str, value: str) -> str:
    if not _LABEL.fullmatch(name):
        raise ValueError(f"not a name for a label: {name!r}")
    quoted = _escaped(value).replace('"', '\\"')
    return f'{name}="{quoted}"'


def _escaped(text: str) -> str:
    plain = text.encode("utf-8", "backslashreplace").decode()
    return plain.replace("\\", "\\\\").replace("\n", "\\n")


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(float(value))
