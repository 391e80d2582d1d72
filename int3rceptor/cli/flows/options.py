"""What the `flows` commands take: where the flows are, and which of them are meant.

It finds the data directory without loading the settings' model, which would take longer
than most questions; only a settings file that is named may say where it is, and only
then it is read.
"""

import os
import re
import time
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from int3rceptor.cli.parameters import Argument, Option
from int3rceptor.config.values import absolute_path, default_data_dir
from int3rceptor.errors import ConfigError

if TYPE_CHECKING:
    from int3rceptor.store.asking.filters import FlowFilter

FLOWS_FOLDER = "flows"

MAX_LISTED = 10_000
"""Most flows of one list: what the store gives at once."""

MAX_ID = 2**53 - 1
"""Above it ids would not be whole numbers in every JSON reader."""

_PANEL = "Which flows"
_AGO = re.compile(r"(\d{1,6})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


class Side(Enum):
    """Whose body."""

    REQUEST = "request"
    RESPONSE = "response"


FlowId = Annotated[
    int, Argument(metavar="ID", least=1, most=MAX_ID, help="A flow's number.")
]
Limit = Annotated[
    int,
    Option(
        spellings=("--limit",), metavar="N", least=1, most=MAX_LISTED, help="At most."
    ),
]
Before = Annotated[
    int | None,
    Option(
        spellings=("--before",),
        metavar="ID",
        least=1,
        most=MAX_ID,
        help="Older ones: the last ID of a list gives the next page.",
    ),
]
Explain = Annotated[
    bool,
    Option(spellings=("--explain",), help="Who changed what: received, steps, sent."),
]
Raw = Annotated[
    bool,
    Option(spellings=("--raw",), help="Byte for byte as sent on, nothing decoded."),
]
BodyOf = Annotated[
    Side | None, Option(spellings=("--body",), help="That body alone, decoded.")
]
Out = Annotated[
    Path | None,
    Option(spellings=("--out", "-o"), metavar="FILE", help="Write to FILE."),
]
DataDir = Annotated[
    str | None,
    Option(
        spellings=("--data-dir",),
        metavar="DIR",
        help="Where the proxy keeps its files; as it was given to the proxy.",
    ),
]
Settings = Annotated[
    str | None,
    Option(
        spellings=("--config",),
        metavar="FILE",
        help="Settings file that names the data directory.",
    ),
]
AsJson = Annotated[bool, Option(spellings=("--json",), help="One JSON object a line.")]
Host = Annotated[
    str | None,
    Option(
        spellings=("--host",),
        metavar="GLOB",
        help="Host, with an optional port: `*.example.com`, `[::1]:8443`.",
        panel=_PANEL,
    ),
]
Method = Annotated[
    str | None,
    Option(spellings=("--method",), metavar="NAME", help="Method.", panel=_PANEL),
]
Status = Annotated[
    str | None,
    Option(
        spellings=("--status",),
        metavar="404|4xx",
        help="Status, or class.",
        panel=_PANEL,
    ),
]
Since = Annotated[
    str | None,
    Option(
        spellings=("--since",),
        metavar="5m|TIME",
        help="Not older: 30s, 5m, 2h, 1d, 1w, or a date and time (ISO 8601).",
        panel=_PANEL,
    ),
]
Text = Annotated[
    str | None,
    Option(
        spellings=("--text",),
        metavar="WORDS",
        help="These words in a row in URL, heads or a textual body.",
        panel=_PANEL,
    ),
]
Tag = Annotated[
    str | None, Option(spellings=("--tag",), metavar="NAME", help="Tag.", panel=_PANEL)
]
Marked = Annotated[
    bool, Option(spellings=("--marked",), help="Marked flows only.", panel=_PANEL)
]


def flows_dir(data_dir: str | None, settings: str | None) -> Path:
    """Where the flows are kept. Raises ConfigError as the proxy would."""
    if settings is None and not os.environ.get("INT3RCEPTOR_CONFIG"):
        # What DATA_DIR/int3rceptor.toml says cannot move the directory that it is in.
        variable = os.environ.get("INT3RCEPTOR_DATA_DIR") or None
        chosen = variable if data_dir is None else data_dir
        try:
            path = default_data_dir() if chosen is None else absolute_path(chosen)
            return path / FLOWS_FOLDER
        except ValueError as error:
            raise ConfigError(f"--data-dir: {error}") from None
    from int3rceptor.config.sources import Flag, load

    flags = {"data_dir": Flag(spelling="--data-dir", value=data_dir)}
    loaded = load(
        {} if data_dir is None else flags,
        os.environ,
        config_file=settings,
    )
    return loaded.config.data_dir / FLOWS_FOLDER


def chosen_flows(
    *,
    host: str | None,
    method: str | None,
    status: str | None,
    since: str | None,
    text: str | None,
    tag: str | None,
    is_marked: bool,
) -> "FlowFilter":
    """The filter that the flags make. Raises ConfigError."""
    from int3rceptor.store.asking.filters import FlowFilter

    began = None if since is None else moment(since, time.time())
    try:
        return FlowFilter(
            host=host,
            method=method,
            status=status,
            since=began,
            text=text,
            tag=tag,
            is_marked=is_marked or None,
        )
    except ConfigError as error:
        raise ConfigError(f"--{error}") from None


def moment(text: str, now: float) -> float:
    """`5m` (ago) or an ISO 8601 time (local unless it says) in seconds since the epoch.

    Raises ConfigError.
    """
    if match := _AGO.fullmatch(text):
        return now - int(match[1]) * _SECONDS[match[2]]
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise ConfigError(
            f"--since: {text!r}: write how long ago (30s, 5m, 2h, 1d, 1w) or a date"
            " and time (2026-01-31T14:00)"
        ) from None
