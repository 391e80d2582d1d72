"""What is told of plugins to people and programs: values, with nothing behind them.

The control port and the command line pass them on as they are, so they hold no secret:
a plugin's configuration is told only to who asks for it alone. Fields are only ever
appended, each with a default.
"""

from enum import Enum

import msgspec


class PluginState(Enum):
    """How a plugin is doing; the value is how it is written."""

    RUNNING = "running"
    DISABLED = "disabled"
    QUARANTINED = "quarantined"
    HELD_BACK = "held back"
    BROKEN = "broken"


class PluginSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One plugin, as it stands in a list.

    `why` explains every state but RUNNING. HELD_BACK: a newer file asks for more than
    was granted, by `asks_more`. BROKEN: the newest file cannot be used. In both,
    `in_service` says whether an older version serves in its place. `until` is the end
    of a quarantine in seconds since the epoch, else 0.0.
    """

    name: str
    state: PluginState
    in_service: bool
    source: str
    why: str = ""
    until: float = 0.0
    asks_more: list[str] = []
    version: str = ""
    description: str = ""
    digest: str = ""
    priority: int = 100
    hooks: list[str] = []
    withheld: list[str] = []
    calls: int = 0
    faults: int = 0


class PermissionReport(msgspec.Struct, frozen=True, kw_only=True):
    """One permission that a plugin asks for.

    `by` says who granted it: "everyone has it", "command line", "config", "at run
    time"; "" when it is withheld. `words` is its meaning.
    """

    grant: str
    words: str
    by: str = ""


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """How a measure spreads over the calls: percentiles, to within a quarter."""

    count: int = 0
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    most: float = 0.0


class FaultReport(msgspec.Struct, frozen=True, kw_only=True):
    """One lost turn. `time` is in seconds since the epoch; `flow` 0: plugin_init."""

    time: float
    hook: str
    flow: int
    reason: str


class Counters(msgspec.Struct, frozen=True, kw_only=True):
    """Since this version came into service. `skipped`: not asked, in quarantine.
    `fetches`: HTTP requests that it sent, or tried to."""

    calls: int = 0
    seconds: float = 0.0
    skipped: int = 0
    quarantines: int = 0
    rebuilds: int = 0
    fetches: int = 0
    lines: int = 0
    lines_left_out: int = 0
    faults: dict[str, int] = {}


class PluginDetails(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is told of one plugin.

    `limits` are by the names that [limits] gives them. `fuel` and `micros` (µs) are of
    the calls. `faults` are the latest, the newest last. What the version in service is
    stands here; of one that is broken from the start, the summary says what is known.
    """

    summary: PluginSummary
    on_error: str = "skip"
    hosts: list[str] = []
    imports: list[str] = []
    permissions: list[PermissionReport] = []
    limits: dict[str, float] = {}
    counters: Counters = Counters()
    fuel: Spread = Spread()
    micros: Spread = Spread()
    faults: list[FaultReport] = []
    size_bytes: int = 0
    loaded_at: float = 0.0
    reloads: int = 0
    instances: int = 1
    in_loop: bool = True
    named_at_start: bool = False


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line that a plugin wrote. `time` is in seconds since the epoch."""

    time: float
    plugin: str
    level: str
    text: str


class PluginPage(msgspec.Struct, frozen=True):
    """All plugins, by name."""

    plugins: list[PluginSummary]


class PluginLog(msgspec.Struct, frozen=True):
    """The latest lines that a plugin wrote, the oldest first."""

    lines: list[LogLine]
