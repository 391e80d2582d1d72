"""What becomes of the proxy's flows: kept in the journal, told to whoever watches.

It knows the store's writing half and the link's messages; not the hub's process.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from int3rceptor.config.model import Config
from int3rceptor.hooks.keeper import Ended as Over
from int3rceptor.hooks.keeper import Keeper
from int3rceptor.hooks.points import CAPTURE
from int3rceptor.link.messages import Began, Ended, Event, FlowSummary
from int3rceptor.link.plugin_asks import PluginWrote
from int3rceptor.link.plugin_reports import LogLine
from int3rceptor.model.flow import Flow, FlowKind
from int3rceptor.model.message import Response
from int3rceptor.store.journal.journal import SEGMENT_BYTES, Journal
from int3rceptor.store.journal.keeper import Keeper as JournalKeeper

if TYPE_CHECKING:
    from int3rceptor.hooks.dispatcher import Dispatcher

log = logging.getLogger("int3rceptor.store")

FLOWS_FOLDER = "flows"
"""Of the data directory: ids, journal and store."""

LEVELS = ("debug", "info", "warn", "error")
"""The plugin interface's levels, by number."""

_NO_RESPONSE = Response(status=0)

Watcher = Callable[[Event], None]

PluginLines = Callable[[str, Sequence[tuple[int, str]]], None]
"""Takes a plugin's name, and of each line the level's number and the text."""


class Watched:
    """A keeper that also counts flows, and tells `watcher` of them while there is one,
    and of what plugins write.

    `keeper` keeps them; None: nobody does. What on_capture may take out of a flow, or
    has kept out, is not told before it, or at all: of that, `hooks` knows.
    """

    def __init__(
        self, keeper: Keeper | None, hooks: "Dispatcher | None" = None
    ) -> None:
        self._keeper = keeper
        self._hooks = hooks
        self.watcher: Watcher | None = None
        self.begun = 0
        self.ended = 0
        self.failed = 0

    def begin(self, flow: Flow) -> None:
        """A flow begins: its number, and an ear at its request's body."""
        self.begun += 1
        if self._keeper is not None:
            self._keeper.begin(flow)
        if self.watcher is not None:
            is_open = self._hooks is None or not self._hooks.may_change(CAPTURE, flow)
            self.watcher(Began(summary_of(flow, shows_target=is_open)))

    def answered(self, flow: Flow) -> None:
        """`flow.response` is set and its body has not passed yet."""
        if self._keeper is not None:
            self._keeper.answered(flow)

    def finish(self, ended: Sequence[Over]) -> None:
        """These flows are over; kept if they are wanted, and told either way, but not
        where a flow led that is not to be kept."""
        self.ended += len(ended)
        for flow, _ in ended:
            if flow.error:
                self.failed += 1
        if self._keeper is not None:
            self._keeper.finish(ended)
        if self.watcher is not None:
            for flow, is_wanted in ended:
                self.watcher(Ended(summary_of(flow, shows_target=is_wanted)))

    def lines_to(self, sink: PluginLines) -> PluginLines:
        """What takes plugins' lines to `sink`, and to whoever watches."""

        def take(name: str, lines: Sequence[tuple[int, str]]) -> None:
            sink(name, lines)
            if (watcher := self.watcher) is None:
                return
            for level, text in lines:
                word = LEVELS[level]
                line = LogLine(time=time.time(), plugin=name, level=word, text=text)
                watcher(PluginWrote(line))

        return take


@contextlib.contextmanager
def journal_of(config: Config, writers: int = 1) -> Iterator[Journal | None]:
    """The journal that these settings ask for; ended in order on the way out.

    So many `writers`, processes with a journal each, keep to the budget together.
    """
    if config.no_store:
        yield None
        return
    max_bytes, segment_bytes = share_of(config.store.max_journal_bytes, writers)
    journal = Journal(
        config.data_dir / FLOWS_FOLDER,
        max_bytes=max_bytes,
        segment_bytes=segment_bytes,
        is_shared=writers > 1,
        on_problem=log.warning,
    )
    try:
        yield journal
    finally:
        journal.close()


def share_of(budget: int, writers: int) -> tuple[int, int]:
    """How large the journal may be when one of so many writers begins a segment, and
    how large that may become.

    All segments are looked at then; after it, each of the others may still grow by one.
    """
    if writers == 1:
        return budget, SEGMENT_BYTES
    segment_bytes = min(SEGMENT_BYTES, budget // (2 * writers))
    return budget - (writers - 1) * segment_bytes, segment_bytes


def keeper_of(journal: Journal | None, config: Config) -> JournalKeeper | None:
    """What keeps flows in `journal`, if there is one."""
    if journal is None:
        return None
    return JournalKeeper(journal, config.store.max_body_bytes)


def summary_of(flow: Flow, *, shows_target: bool = True) -> FlowSummary:
    """`flow` as it stands now; path and query may hold what nobody is to see."""
    request = flow.request
    response = flow.response or _NO_RESPONSE
    is_tunnel = flow.kind is FlowKind.TUNNEL
    ended = flow.times.ended
    return FlowSummary(
        id=flow.id,
        created=flow.created,
        kind=flow.kind.value,
        method=request.method,
        scheme=request.scheme,
        host=request.host,
        port=request.port,
        target=request.target if shows_target else b"",
        version=request.version,
        status=response.status,
        origin_version="" if flow.origin is None else flow.origin.version,
        request_bytes=flow.bytes_up if is_tunnel else request.body.passed,
        response_bytes=flow.bytes_down if is_tunnel else response.body.passed,
        total_s=ended - flow.times.started if ended else 0.0,
        error=flow.error,
        tags=flow.tags,
        rule=flow.rule,
    )
