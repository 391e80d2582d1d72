"""Indents JSON for reading, every value as it was written.

Reading it into values and writing these again would lose what an inspecting tool must
show: repeated names, the digits of numbers, escapes.
"""

import json
import re

MAX_CHARS = 4 * 1024 * 1024
"""Longest text that is indented; a longer one is not read by people."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_STEP = "  "


def indented(text: str) -> str | None:
    """`text` with one value a line; None when it is no JSON object or array."""
    if len(text) > MAX_CHARS or not text.lstrip().startswith(("{", "[")):
        return None
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return None
    parts: list[str] = []
    depth = 0
    before = ""
    for part in _TOKEN.findall(text):
        if part in "}]":
            depth -= 1
            if before not in "{[":
                parts.append("\n" + _STEP * depth)
        elif before in "{[," and before:
            parts.append("\n" + _STEP * depth)
        if part in "{[":
            depth += 1
        parts.append(": " if part == ":" else part)
        before = part
    return "".join(parts)
