"""What the proxy process and the hub say to each other, as versioned values.

Fields are only ever appended, each with a default. It knows no socket: see `channel`.
"""

import msgspec

from int3rceptor.link.plugin_asks import PluginAsk, PluginTold, PluginWrote

LINK_VERSION = 2
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


class Stats(msgspec.Struct, tag="stats", array_like=True, frozen=True):
    """The proxy's counters by name, as they are now; `problem` is what is wrong with
    its journal ("": nothing)."""

    counters: dict[str, float]
    problem: str = ""


class Problem(msgspec.Struct, tag="problem", array_like=True, frozen=True):
    """One line that the user of the other process should see."""

    text: str


class Ready(msgspec.Struct, tag="ready", array_like=True, frozen=True):
    """The hub serves; on the control port if it was given one."""


class Watch(msgspec.Struct, tag="watch", array_like=True, frozen=True):
    """Whether the hub has anyone to pass events on to."""

    is_on: bool


ToHub = Hello | Began | Ended | Gap | Stats | Problem | PluginTold | PluginWrote
ToProxy = Ready | Watch | Problem | PluginAsk
Message = ToHub | ToProxy

hub_decoder: msgspec.msgpack.Decoder[ToHub] = msgspec.msgpack.Decoder(ToHub)
"""Reads what a hub is sent."""

proxy_decoder: msgspec.msgpack.Decoder[ToProxy] = msgspec.msgpack.Decoder(ToProxy)
"""Reads what a proxy is sent."""
