"""What the control port shows, as values and Protocols: the hub fills them in.

Nothing here knows a process, a socket or a database.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue

from int3rceptor.config.model import ControlConfig
from int3rceptor.control.events import Events
from int3rceptor.control.exposition import Family
from int3rceptor.control.plugins import Plugins, Trials
from int3rceptor.link.messages import CaForms
from int3rceptor.store.asking.filters import FlowFilter
from int3rceptor.store.asking.rows import FlowRow
from int3rceptor.store.records import FlowRecord


class Flows(Protocol):
    """The kept flows. Every method may block on the disk: call it in a thread.

    Several threads may call at once.
    """

    def rows(
        self, chosen: FlowFilter, *, before: int | None, after: int | None, limit: int
    ) -> list[FlowRow]:
        """At most `limit` flows with after < id < before, newest first."""
        ...

    def get(self, flow_id: int, *, limit_bytes: int) -> FlowRecord | None:
        """One flow with at most about `limit_bytes` of each body."""
        ...

    def row(self, flow_id: int) -> FlowRow | None:
        """One flow as it stands in a list."""
        ...

    def body(self, flow_id: int, side: str, start: int, stop: int) -> bytes:
        """The bytes from `start` up to `stop` of a body as kept; b"" beyond it."""
        ...

    def kept_bytes(self, record: FlowRecord, side: str) -> int:
        """How much of a flow's body is kept."""
        ...

    def delete(self, which: Sequence[int] | FlowFilter) -> int:
        """Delete these flows; the number that are gone."""
        ...

    def mark(self, flow_id: int, is_marked: bool) -> bool:
        """Mark a flow, or take its mark away; whether there is such a flow."""
        ...


@dataclass(slots=True, frozen=True, kw_only=True)
class Trouble:
    """Why the product is degraded: a stable code, and a sentence for a person.

    Both are shown to whoever asks, without a token: no paths, no hosts.
    """

    code: str
    message: str


@dataclass(slots=True, frozen=True, kw_only=True)
class HubState:
    """All that the routes need.

    `address` is where the control port listens. `proxy` gives the proxy's own address
    as HOST:PORT ("" while it is not known), `troubles` what is wrong now (empty: all is
    well), `workers` how many processes carry traffic (wanted, serving),
    `shown_settings` the settings in effect with secrets already taken out, `families`
    the metrics of proxy and store. `uploads` is a folder of this user's.
    """

    version: str
    token: str
    address: tuple[str, int]
    settings: ControlConfig
    ca: CaForms
    flows: Flows
    events: Events
    plugins: Plugins
    uploads: Path
    trials: Trials
    proxy: Callable[[], str]
    troubles: Callable[[], Sequence[Trouble]]
    workers: Callable[[], tuple[int, int]]
    shown_settings: Callable[[], Mapping[str, JsonValue]]
    families: Callable[[], Iterable[Family]]
