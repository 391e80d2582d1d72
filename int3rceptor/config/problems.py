"""Turns pydantic's findings into the one line a user reads: where, which key, why.

Knows pydantic's error types, not what the settings mean.
"""

import difflib
from collections.abc import Mapping, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

MAX_SHOWN_VALUE = 60
"""Longest value repeated in a message: enough to recognise it on one line."""


def first_problem(
    error: ValidationError, *, places: Mapping[str, str], known: Sequence[str]
) -> str:
    """The first finding in one line; `places` says where each key was set."""
    detail = error.errors(include_url=False)[0]
    # Plugin tables and lists go deeper than keys: the nearest outer one has a place.
    names = [part for part in detail["loc"] if isinstance(part, str)]
    key = ".".join(names)
    reason = _reason(detail, key, known)
    if not key:
        # A finding on the whole names its key itself: "control: only off ...".
        key, _, reason = reason.partition(": ")
    place = next((places[one] for one in _outward(key) if one in places), "")
    if place.startswith("--"):
        return f"{place}: {reason}"
    return f"{place}: {key}: {reason}" if place else f"{key}: {reason}"


def nearest(word: str, known: Sequence[str], *, cutoff: float = 0.7) -> str:
    """` (did you mean X?)` when something known resembles `word`, else nothing."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=cutoff)
    if not close:
        # The right name in the wrong table is the usual mistake.
        last = word.rpartition(".")[2]
        close = [one for one in known if one.rpartition(".")[2] == last][:1]
    return f" (did you mean {close[0]}?)" if close else ""


def _outward(key: str) -> list[str]:
    parts = key.split(".")
    return [".".join(parts[:end]) for end in range(len(parts), 0, -1)]


def _reason(detail: ErrorDetails, key: str, known: Sequence[str]) -> str:
    context = detail.get("ctx", {})
    shown = _show(detail["input"])
    match detail["type"]:
        case "extra_forbidden":
            return f"no such key{nearest(key, known)}"
        case "value_error":
            what = str(context["error"])
            return f"{shown}: {what}" if detail["loc"] else what
        case "literal_error":
            return f"{shown} is not one of {context['expected']}"
        case "model_type" | "dict_type" | "mapping_type":
            return f"must be a table, not {shown}"
        case "sequence_str" | "is_instance_of":
            return f"must be a list, not {shown}"
        case "int_parsing" | "float_parsing" | "bool_parsing":
            kind = {
                "int": "a whole number",
                "float": "a number",
                "bool": "true or false",
            }
            return f"must be {kind[detail['type'].partition('_')[0]]}, not {shown}"
        case _:
            # "Input should be greater than 0" reads on as "... 0, not -3".
            what = detail["msg"].replace("Input should be", "must be", 1)
            return f"{what}, not {shown}"


def _show(value: object) -> str:
    text = repr(value)
    return f"{text[:MAX_SHOWN_VALUE]}…" if len(text) > MAX_SHOWN_VALUE else text
