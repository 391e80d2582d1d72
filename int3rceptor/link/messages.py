"""What the processes of one proxy say to each other, as versioned values.

With several workers the process that started them stands between them and the hub: to
the hub it is the proxy, to the workers the one who says when to begin and to end.

Fields are only ever appended, each with a default. It knows no socket: see `channel`.
"""

import msgspec

from int3rceptor.link.plugin_asks import PluginAsk, PluginTold, PluginWrote

LINK_VERSION = 5
"""Of this vocabulary. Both ends are one installation, unless that was replaced while
the proxy ran: a hub that is started then must notice."""


class FlowSummary(msgspec.Struct, array_like=True, frozen=True):
    """One flow, as far as it has come, as it stands in a list.

    `created` is in seconds since the epoch, `total_s` in seconds (0.0: still open).
    `status` is 0 while there is no answer. The sizes are those of the bodies; of a
    tunnel, all bytes each way.
    """

    id: int
    created: float
    kind: str
    method: str
    scheme: str
    host: str
    port: int
    target: bytes
    version: str
    status: int = 0
    origin_version: str = ""
    request_bytes: int = 0
    response_bytes: int = 0
    total_s: float = 0.0
    error: str = ""
    tags: list[str] = []
    rule: str = ""


class CaForms(msgspec.Struct, array_like=True, frozen=True):
    """The CA's certificate in the forms that clients install; never its key."""

    pem: bytes
    der: bytes
    mobileconfig: bytes
    fingerprint: str


class CaPair(msgspec.Struct, array_like=True, frozen=True):
    """The CA as one worker has loaded it from `path`, with its key (both as PEM): all
    workers show clients the same one, whatever the files hold later."""

    path: str
    certificate: bytes
    key: bytes


class Hello(msgspec.Struct, tag="hello", array_like=True, frozen=True):
    """The first message, from the proxy: who it is and what the hub is to do.

    `settings` is its Config as JSON, without the plugins' own settings: they may hold
    secrets, and the hub has no use for them.
    """

    link_version: int
    version: str
    listen: tuple[str, int]
    ca: CaForms
    settings: bytes


class Began(msgspec.Struct, tag="began", array_like=True, frozen=True):
    """A flow began. Sent only while someone watches."""

    flow: FlowSummary


class Ended(msgspec.Struct, tag="ended", array_like=True, frozen=True):
    """A flow is over. Sent only while someone watches, whether it is kept or not."""

    flow: FlowSummary


class Gap(msgspec.Struct, tag="gap", array_like=True, frozen=True):
    """`count` events were left out here: the reader was too slow."""

    count: int


class WorkerStats(msgspec.Struct, array_like=True, frozen=True):
    """One worker: whether it serves, how often it was started again, its counters, how
    often it hung."""

    number: int
    is_serving: bool
    restarts: int
    counters: dict[str, float]
    hangs: int = 0


class Stats(msgspec.Struct, tag="stats", array_like=True, frozen=True):
    """The proxy's counters by name, as they are now; `problem` is what is wrong with
    its journal ("": nothing). With several workers the counters are their sums."""

    counters: dict[str, float]
    problem: str = ""
    workers: list[WorkerStats] = []


class Problem(msgspec.Struct, tag="problem", array_like=True, frozen=True):
    """One line that the user of the other process should see."""

    text: str


class Ready(msgspec.Struct, tag="ready", array_like=True, frozen=True):
    """The hub serves; on the control port if it was given one."""


class Alive(msgspec.Struct, tag="alive", array_like=True, frozen=True):
    """The loop of a hub or a worker turns."""


class Watch(msgspec.Struct, tag="watch", array_like=True, frozen=True):
    """Whether the hub has anyone to pass events on to."""

    is_on: bool


class Start(msgspec.Struct, tag="start", array_like=True, frozen=True):
    """The first message to a worker: what it is to be.

    `settings` is the whole Config as JSON, the plugins' settings included. It is number
    `number` of `workers`. Nothing is relayed to the addresses of `refused`.
    """

    link_version: int
    version: str
    settings: bytes
    number: int
    workers: int
    refused: list[tuple[str, int]]
    authority: CaPair | None = None
    """None for the first: it loads the CA, or makes it."""


class Serving(msgspec.Struct, tag="serving", array_like=True, frozen=True):
    """A worker accepts connections. `notes` are lines for the user."""

    ca: CaForms
    authority: CaPair
    notes: list[str]


class Failed(msgspec.Struct, tag="failed", array_like=True, frozen=True):
    """A worker cannot begin, and says why in one line for the user."""

    why: str


class Logged(msgspec.Struct, tag="logged", array_like=True, frozen=True):
    """A line of a worker's log. `trace` is the traceback behind it, if there is one."""

    logger: str
    level: int
    created: float
    text: str
    trace: str = ""


class Reload(msgspec.Struct, tag="reload", array_like=True, frozen=True):
    """Read rules and plugins again."""


class Stop(msgspec.Struct, tag="stop", array_like=True, frozen=True):
    """Accept no more, let exchanges end, and go; `is_urgent`: do not wait for them."""

    is_urgent: bool = False


Event = Began | Ended | Gap | PluginWrote
"""What is told while someone watches."""

ToHub = Hello | Event | Stats | Problem | PluginTold
ToProxy = Ready | Alive | Watch | Problem | PluginAsk
FromWorker = Serving | Alive | Failed | Logged | Event | Stats | PluginTold
ToWorker = Start | Watch | PluginAsk | Reload | Stop
Message = ToHub | ToProxy | FromWorker | ToWorker

hub_decoder: msgspec.msgpack.Decoder[ToHub] = msgspec.msgpack.Decoder(ToHub)
"""Reads what a hub is sent."""

proxy_decoder: msgspec.msgpack.Decoder[ToProxy] = msgspec.msgpack.Decoder(ToProxy)
"""Reads what a proxy is sent."""

crew_decoder: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)
"""Reads what workers say."""

worker_decoder: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
"""Reads what a worker is sent."""
