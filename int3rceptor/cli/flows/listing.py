"""`flows`: list, show, follow, count, delete and mark what was kept.

What each prints is formed by the modules beside it, loaded when they are needed: a
count must not wait for tables.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from int3rceptor.cli.flows.options import (
    MAX_ID,
    AsJson,
    Before,
    BodyOf,
    DataDir,
    Explain,
    FlowId,
    Host,
    Limit,
    Marked,
    Method,
    Out,
    Raw,
    Settings,
    Since,
    Status,
    Tag,
    Text,
    chosen_flows,
    flows_dir,
)
from int3rceptor.cli.output.escaping import printable
from int3rceptor.cli.parameters import Argument, Command, Option
from int3rceptor.errors import ConfigError

if TYPE_CHECKING:
    # Imported where they are used: the proxy's own start loads no database.
    from int3rceptor.store.asking.filters import FlowFilter
    from int3rceptor.store.asking.queries import StoreReader
    from int3rceptor.store.asking.rows import FlowRow

POLL_S = 0.25
"""Between two looks of `tail`: soon enough for a person, some ms of work each."""


def list_flows(
    limit: Limit = 50,
    before: Before = None,
    host: Host = None,
    method: Method = None,
    status: Status = None,
    since: Since = None,
    text: Text = None,
    tag: Tag = None,
    marked: Marked = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    config: Settings = None,
) -> None:
    """List flows, newest first."""
    wanted = chosen_flows(
        host=host, method=method, status=status, since=since, text=text, tag=tag,
        is_marked=marked,
    )  # fmt: skip
    directory = flows_dir(data_dir, config)
    with _reader_of(directory) as reader:
        rows = reader.rows(wanted, before=before, limit=limit)
        if as_json:
            _print_json(rows)
        elif rows:
            _print_table(rows)
        else:
            _explain_nothing(reader, directory)


def show(
    flow_id: FlowId,
    explain: Explain = False,
    raw: Raw = False,
    body: BodyOf = None,
    out: Out = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    config: Settings = None,
) -> None:
    """Show a flow: both messages, their bodies decoded."""
    from int3rceptor.cli.flows import show as flow_show

    if as_json and (body is not None or out is not None):
        raise ConfigError("--json cannot be used together with --body or --out")
    if explain and (raw or body is not None):
        raise ConfigError("--explain cannot be used together with --raw or --body")
    if out is not None and body is None and not raw:
        raise ConfigError("--out needs --body request, --body response or --raw")
    with _reader_of(flows_dir(data_dir, config)) as reader:
        if as_json:
            _print(flow_show.as_json(reader, flow_id, explains=explain, is_raw=raw))
        elif body is not None:
            flow_show.write(
                flow_show.body(reader, flow_id, body.value, is_raw=raw), out
            )
        elif raw:
            flow_show.write(flow_show.as_passed(reader, flow_id), out)
        else:
            for line in flow_show.lines(reader, flow_id, explains=explain):
                _print(line)


def tail(
    host: Host = None,
    method: Method = None,
    status: Status = None,
    since: Since = None,
    text: Text = None,
    tag: Tag = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    config: Settings = None,
) -> None:
    """Print flows as they finish, until Ctrl-C."""
    wanted = chosen_flows(
        host=host, method=method, status=status, since=since, text=text, tag=tag,
        is_marked=False,
    )  # fmt: skip
    directory = flows_dir(data_dir, config)
    try:
        _follow(directory, wanted, as_json=as_json)
    except KeyboardInterrupt:
        return  # how one ends it


def count(
    host: Host = None,
    method: Method = None,
    status: Status = None,
    since: Since = None,
    text: Text = None,
    tag: Tag = None,
    marked: Marked = False,
    data_dir: DataDir = None,
    config: Settings = None,
) -> None:
    """Print how many flows there are: the number alone."""
    wanted = chosen_flows(
        host=host, method=method, status=status, since=since, text=text, tag=tag,
        is_marked=marked,
    )  # fmt: skip
    with _reader_of(flows_dir(data_dir, config)) as reader:
        _print(str(reader.count(wanted)))


def delete(
    flow_ids: Annotated[
        list[int] | None,
        Argument(metavar="[ID]...", least=1, most=MAX_ID, help="Flows' numbers."),
    ] = None,
    everything: Annotated[
        bool, Option(spellings=("--all",), help="All flows that are not marked.")
    ] = False,
    yes: Annotated[
        bool, Option(spellings=("--yes",), help="Yes, delete what the filters match.")
    ] = False,
    host: Host = None,
    method: Method = None,
    status: Status = None,
    since: Since = None,
    text: Text = None,
    tag: Tag = None,
    marked: Marked = False,
    data_dir: DataDir = None,
    config: Settings = None,
) -> None:
    """Delete flows by ID, or those that fit; marked ones only when asked for."""
    from int3rceptor.store.asking import edits
    from int3rceptor.store.asking.filters import FlowFilter

    wanted = chosen_flows(
        host=host, method=method, status=status, since=since, text=text, tag=tag,
        is_marked=marked,
    )  # fmt: skip
    directory = flows_dir(data_dir, config)
    which = _which(flow_ids, wanted, everything=everything)
    if isinstance(which, FlowFilter) and not yes:
        with _reader_of(directory) as reader:
            found = reader.count(which)
        raise ConfigError(f"this would delete {_flows(found)}; add --yes to do it")
    _print(f"deleted {_flows(edits.delete(directory, which))}")


def mark(
    flow_id: FlowId,
    remove: Annotated[
        bool, Option(spellings=("--remove",), help="Take the mark away.")
    ] = False,
    data_dir: DataDir = None,
    config: Settings = None,
) -> None:
    """Mark a flow: it stays when old flows are deleted for want of space."""
    from int3rceptor.store.asking import edits

    directory = flows_dir(data_dir, config)
    if not edits.mark(directory, flow_id, not remove):
        raise ConfigError(f"no flow {flow_id} is kept in {directory}")
    _print(f"flow {flow_id} is {'no longer ' if remove else ''}marked")


COMMANDS: Mapping[str, Command] = {
    "list": Command(list_flows),
    "show": Command(show),
    "tail": Command(tail),
    "count": Command(count),
    "delete": Command(delete),
    "mark": Command(mark),
}


def run_if_plain(words: Sequence[str]) -> bool:
    """Run `flows WORDS`; False if Typer must read them."""
    command = COMMANDS.get(words[0]) if words else None
    return command is not None and command.run_if_plain(words[1:])


def _which(
    flow_ids: list[int] | None, wanted: "FlowFilter", *, everything: bool
) -> "list[int] | FlowFilter":
    from int3rceptor.store.asking.queries import EVERYTHING

    has_filter = wanted != EVERYTHING
    if sum((bool(flow_ids), has_filter, everything)) != 1:
        raise ConfigError("name flows by ID, by filters (--host ...) or by --all")
    if flow_ids:
        return flow_ids
    return wanted if wanted.is_marked else replace(wanted, is_marked=False)


def _follow(directory: Path, wanted: "FlowFilter", *, as_json: bool) -> None:
    from int3rceptor.cli.flows.as_json import row_shape
    from int3rceptor.cli.flows.tables import line
    from int3rceptor.cli.output.json_lines import json_line
    from int3rceptor.store.asking.follow import Follower

    with Follower(directory, wanted) as follower:
        if sys.stderr.isatty():
            _say(f"waiting for flows in {directory}; Ctrl-C ends")
        while True:
            for row in follower.poll():
                _print(json_line(row_shape(row)) if as_json else line(row))
            sys.stdout.flush()
            time.sleep(POLL_S)


def _print_json(rows: Sequence["FlowRow"]) -> None:
    from int3rceptor.cli.flows.as_json import row_shape
    from int3rceptor.cli.output.json_lines import json_line

    for row in rows:
        _print(json_line(row_shape(row)))


def _print_table(rows: Sequence["FlowRow"]) -> None:
    from int3rceptor.cli.flows import tables as flow_tables

    if sys.stdout.isatty():
        flow_tables.print_table(rows)
        return
    for line in flow_tables.plain_lines(rows):
        _print(line)


def _explain_nothing(reader: "StoreReader", directory: Path) -> None:
    if reader.count():
        _say("no flow fits")
        return
    _say(
        f"nothing is kept yet in {printable(str(directory))}: no exchange has finished,"
        " the proxy runs with another --data-dir, or with --no-store"
    )


def _flows(number: int) -> str:
    return f"{number} flow{'' if number == 1 else 's'}"


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def _reader_of(directory: Path) -> "StoreReader":
    from int3rceptor.store.asking.queries import open_store

    return open_store(directory)
