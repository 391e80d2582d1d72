"""One JSON object per line, pure ASCII: what `--log-format json` prints."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from int3rceptor.cli.output.escaping import without_surrogates


def json_line(record: Mapping[str, object]) -> str:
    """`record` on one line. Bytes that were no UTF-8 show as \\x80 in its texts."""
    line = json.dumps(record, separators=(",", ":"))
    if "\\ud" in line:
        # A lone surrogate is valid for Python's reader only.
        line = json.dumps(_clean(record), separators=(",", ":"))
    return line


def timestamp(moment: float) -> str:
    """Seconds since the epoch in ISO 8601: UTC, with milliseconds."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")


def _clean(value: object) -> object:
    match value:
        case str():
            return without_surrogates(value)
        case list() | tuple():
            return [_clean(item) for item in value]
        case dict():
            return {str(key): _clean(item) for key, item in value.items()}
        case _:
            return value
