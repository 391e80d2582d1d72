"""Lists of flows for people: a table on a terminal, aligned columns anywhere else."""

import time
from collections.abc import Iterable, Sequence

from int3rceptor.cli.output.escaping import printable
from int3rceptor.cli.output.figures import address, cut, duration, size
from int3rceptor.model.message import format_authority
from int3rceptor.store.asking.rows import FlowRow

HEADINGS = ("ID", "STARTED", "METHOD", "STATUS", "SIZE", "TOOK", "URL", "NOTES")
RIGHT = frozenset({"ID", "SIZE", "TOOK"})
CUT = frozenset({"URL", "NOTES"})
"""What a narrow terminal shows less of: whoever has an ID can ask for the rest."""

WIDTHS = (6, 23, 7, 6, 7, 7, 0, 0)
"""Least columns of each, where lines come one by one and cannot wait for each other."""

MAX_URL_CHARS = 1_000
MAX_NOTE_CHARS = 200
"""What a line shows of a URL and of an error; `show` and JSON have them whole."""

_COLOURS = {1: "cyan", 2: "green", 3: "cyan", 4: "yellow", 5: "red"}


def url_of(row: FlowRow) -> str:
    """The URL as a person would write it; of a connection relayed unread HOST:PORT."""
    if row.kind == "tunnel" and not row.status:
        return address(row.host, row.port)
    target = row.target.decode("utf-8", "surrogateescape")
    authority = format_authority(row.host, row.port, row.scheme)
    return f"{row.scheme}://{authority}{target if target != '*' else '/*'}"


def started(moment: float) -> str:
    """Date and local time with milliseconds."""
    local = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
    return f"{local}.{int(moment * 1000) % 1000:03d}"


def cells(row: FlowRow) -> tuple[str, ...]:
    """One flow, a text for each of HEADINGS, safe to print."""
    is_tunnel = row.kind == "tunnel"
    return (
        str(row.id),
        started(row.created),
        "TUNNEL" if is_tunnel else cut(printable(row.method), MAX_NOTE_CHARS),
        str(row.status) if row.status else ("" if is_tunnel else "---"),
        size(row.response_bytes),
        duration(row.total_s) if row.total_s else "-",
        cut(printable(url_of(row)), MAX_URL_CHARS),
        _notes(row),
    )


def line(row: FlowRow) -> str:
    """One flow as a line by itself, in columns that fit most flows."""
    return _aligned(cells(row), WIDTHS)


def plain_lines(rows: Iterable[FlowRow]) -> list[str]:
    """A heading and a line for each flow, each column as wide as it must be."""
    table = [HEADINGS, *map(cells, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    # Whatever comes last on a line needs no width.
    return [_aligned(one, (*widths[:-1], 0)) for one in table]


def print_table(rows: Iterable[FlowRow]) -> None:
    """A table as wide as the terminal; long URLs and notes are cut."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in HEADINGS:
        table.add_column(
            heading,
            justify="right" if heading in RIGHT else "left",
            # A table that is too wide takes from the others first.
            no_wrap=heading not in CUT,
            overflow="ellipsis",
            ratio=1 if heading == "URL" else None,
        )
    for row in rows:
        texts = [Text(one, no_wrap=True, overflow="ellipsis") for one in cells(row)]
        texts[3].stylize(_COLOURS.get(row.status // 100, "red"))
        table.add_row(*texts)
    Console().print(table)


def _notes(row: FlowRow) -> str:
    notes = ["*marked*"] if row.is_marked else []
    notes += [f"#{printable(tag)}" for tag in row.tags]
    if row.rule:
        notes.append(f"[{printable(row.rule)}]")
    if row.error:
        notes.append(cut(printable(row.error), MAX_NOTE_CHARS))
    return " ".join(notes)


def _aligned(texts: Sequence[str], widths: Sequence[int]) -> str:
    parts = [
        text.rjust(width) if heading in RIGHT else text.ljust(width)
        for heading, text, width in zip(HEADINGS, texts, widths, strict=True)
    ]
    return "  ".join(parts).rstrip()
