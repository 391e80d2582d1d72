"""What is measured: each scenario puts one load on one system and gives one sample."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from benchmarks.clients import Client, Result, Seen
from benchmarks.measure import BenchmarkError
from benchmarks.peers import (
    GOPROXY,
    MITMDUMP,
    MOCKTTP,
    PEERS,
    PROXY_PY,
    RELAY,
    SQUID,
    SSLSPLIT,
)
from benchmarks.proxies import (
    DIRECT,
    INT3RCEPTOR,
    NO_PLUGIN,
    STAMP,
    WORKERS,
    Fit,
    System,
)
from benchmarks.sampling import Meter, Sample
from benchmarks.sizes import FIRST_AT_ONCE, Sizes

WARM_UP_REQUESTS = 320
MEMORY_PARTS = 10  # how often memory is looked at; the first part is warm-up
NEW_AT_ONCE = 16
Kind = Literal[
    "requests",
    "new",
    "first",
    "latency",
    "memory",
    "download",
    "upload",
    "idle",
    "websocket",
]
Version = Literal["plain", "h1", "h2"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One kind of load in one HTTP version, and who is measured by default.

    `towards` names the port of the origin: what HTTP versions are offered there.
    `times` multiplies the tunnels that are held open.
    """

    name: str
    title: str
    kind: Kind
    version: Version
    towards: Version
    systems: tuple[str, ...]
    connections: int
    streams: int
    times: int = 1
    settings: tuple[tuple[str, str], ...] = ()
    options: tuple[str, ...] = ()

    @property
    def fit(self) -> Fit:
        """What a system is started with for this."""
        return Fit(
            origin_version=self.towards,
            settings=dict(self.settings),
            options=self.options,
        )

    @property
    def is_repeated(self) -> bool:
        """Memory and idle tunnels need a fresh proxy: once is all there is."""
        return self.kind not in ("memory", "idle")

    def why_not(self, name: str) -> str:
        """Why a peer cannot take part; empty if it can."""
        cannot = PEERS[name].cannot
        return cannot.get(self.version) or cannot.get(self.kind) or ""

    def run(self, system: System, client: Client, sizes: Sizes, turn: int) -> Sample:
        """Warm up, then one sample; `turn` counts the repetitions from 0."""
        match self.kind:
            case "requests":
                share = PEERS[system.name].share if system.name in PEERS else 1.0
                return self._requests(system, client, int(sizes.requests * share), 1)
            case "memory":
                return self._requests(
                    system, client, sizes.memory_requests, MEMORY_PARTS
                )
            case "new" | "first":
                return self._new(system, client, sizes, turn)
            case "latency":
                return self._latency(system, client, sizes)
            case "websocket":
                return self._websocket(system, client, sizes)
            case "idle":
                return self._idle(system, client, sizes)
            case "download" | "upload":
                return self._bulk(system, client, sizes)

    def _requests(
        self, system: System, client: Client, total: int, parts: int
    ) -> Sample:
        each, warm_up = total // parts, min(WARM_UP_REQUESTS, total)
        meter = Meter(system, self.name, client.origin.pid)
        if self.version == "plain":
            spoken, before = "", warm_up
        else:
            seen = client.seen(self.version)
            _require_stamp(system, seen)
            spoken, before = seen.version, warm_up + 1
        with self.load(client) as load:
            _require_good(load(warm_up), system)
            sample = meter.sample(lambda: load(each), parts=parts, before=before)
        return dataclasses.replace(sample, spoken=spoken)

    @contextmanager
    def load(self, client: Client) -> Iterator[Callable[[int], Result]]:
        """Sends so many requests each time; over the same connections where it can."""
        if self.version == "h2":
            yield lambda requests: client.h2_load(
                requests, self.connections, self.streams
            )
            return
        is_plain = self.version == "plain"
        with client.h1_load(self.connections, plain=is_plain) as h1:
            yield h1.run

    def _latency(self, system: System, client: Client, sizes: Sizes) -> Sample:
        """Half of what this system can do just now, asked for by the clock."""
        meter = Meter(system, self.name, client.origin.pid)
        share = PEERS[system.name].share if system.name in PEERS else 1.0
        with client.h1_load(self.connections) as h1:
            _require_good(h1.run(WARM_UP_REQUESTS), system)
            peak = h1.run(int(sizes.peak_requests * share))
            _require_good(peak, system)
            rate = peak.requests / peak.elapsed_s / 2
            count = max(self.connections, int(rate * sizes.paced_s))
            return meter.sample(
                lambda: h1.run_paced(count, rate),
                before=WARM_UP_REQUESTS + peak.requests,
            )

    def _new(self, system: System, client: Client, sizes: Sizes, turn: int) -> Sample:
        is_first = self.kind == "first"
        count = sizes.first_contacts if is_first else sizes.connections
        at_once = FIRST_AT_ONCE if is_first else NEW_AT_ONCE
        first_host = turn * (count + at_once) if is_first else None
        meter = Meter(system, self.name, client.origin.pid)
        with client.new_load(at_once, first_host) as load:
            _require_good(load.run(at_once), system)
            return meter.sample(lambda: load.run(count), before=at_once)

    def _idle(self, system: System, client: Client, sizes: Sizes) -> Sample:
        """Connections that served one request each and are then held open."""
        count = sizes.idle_connections * self.times
        with client.h1_load(self.connections) as warm_up:
            _require_good(warm_up.run(WARM_UP_REQUESTS), system)
        meter = Meter(system, self.name, client.origin.pid)
        meter.start()
        with client.h1_load(count) as load:
            return meter.sample(load.run_each, before=WARM_UP_REQUESTS)

    def _websocket(self, system: System, client: Client, sizes: Sizes) -> Sample:
        """Messages there and back; each connection was one request."""
        share = PEERS[system.name].share if system.name in PEERS else 1.0
        with client.echo() as (echoed, origin_pid):
            meter = Meter(system, self.name, origin_pid)
            with echoed.ws_load(self.connections, self.streams) as load:
                _require_good(load.run(WARM_UP_REQUESTS), system)
                count = int(sizes.messages * share)
                sample = meter.sample(lambda: load.run(count), before=0)
        return dataclasses.replace(sample, sent=self.connections)

    def _bulk(self, system: System, client: Client, sizes: Sizes) -> Sample:
        client.warm_up(self.version)
        transfer = client.download if self.kind == "download" else client.upload
        meter = Meter(system, self.name, client.origin.pid)
        gib = sizes.bulk_bytes / 1024**3
        return meter.sample(lambda: transfer(self.version), before=1, units=gib)


def _require_good(warm_up: Result, system: System) -> None:
    """A connection lost while warming up would not be missed by the count after it."""
    if warm_up.errors:
        raise BenchmarkError(f"{system.name} failed warming up: {warm_up.error_texts}")


def _require_stamp(system: System, seen: Seen) -> None:
    if system.name == STAMP and not seen.stamp:
        raise BenchmarkError("the origin saw no stamp: the plugin did not run")


RACE = (DIRECT, RELAY, MITMDUMP, PROXY_PY, SQUID, GOPROXY, MOCKTTP, INT3RCEPTOR)
# What is asked of a proxy alone has no direct way, and the relay is none.
PROXIES = tuple(name for name in RACE if name not in (DIRECT, RELAY))
NOT_RELAYED = (DIRECT, *PROXIES)
MIXED = (MITMDUMP, MOCKTTP, INT3RCEPTOR)
# Whether memory stays flat is a question about ourselves: nobody is raced.
ALONE = (INT3RCEPTOR,)


def _scenario(
    name: str,
    title: str,
    kind: Kind,
    version: Version,
    systems: tuple[str, ...] = RACE,
    *,
    towards: Version | None = None,
    shape: tuple[int, int] = (32, 1),
    times: int = 1,
    settings: tuple[tuple[str, str], ...] = (),
    options: tuple[str, ...] = (),
) -> Scenario:
    connections, streams = shape
    return Scenario(
        name=name,
        title=title,
        kind=kind,
        version=version,
        towards=towards or version,
        systems=systems,
        connections=connections,
        streams=streams,
        times=times,
        settings=settings,
        options=options,
    )


# By default mitmdump keeps each body whole in memory.
STREAMED = ("stream_large_bodies=1m",)
SCENARIOS = (
    _scenario("h1", "HTTP/1.1 in TLS, 32 connections kept", "requests", "h1"),
    _scenario(
        "h1-256",
        "HTTP/1.1 in TLS, 256 connections kept",
        "requests",
        "h1",
        shape=(256, 1),
    ),
    _scenario(
        "plain", "plain HTTP/1.1, 32 connections kept", "requests", "plain", NOT_RELAYED
    ),
    _scenario(
        "plain-256",
        "plain HTTP/1.1, 256 connections kept",
        "requests",
        "plain",
        NOT_RELAYED,
        shape=(256, 1),
    ),
    _scenario("h2-1x100", "HTTP/2, 1 x 100 streams", "requests", "h2", shape=(1, 100)),
    _scenario("h2-10x10", "HTTP/2, 10 x 10 streams", "requests", "h2", shape=(10, 10)),
    _scenario(
        "h2-h1",
        "HTTP/2 clients (10 x 10), an HTTP/1.1 origin",
        "requests",
        "h2",
        MIXED,
        towards="h1",
        shape=(10, 10),
        # By default a client is offered what its origin speaks.
        settings=(("TLS__CLIENT_HTTP2", "always"),),
        options=("connection_strategy=lazy",),
    ),
    # By default the client's version is kept towards the origin; mitmdump has no other.
    _scenario(
        "h1-h2",
        "HTTP/1.1 clients (32 connections), an HTTP/2 origin",
        "requests",
        "h1",
        MIXED,
        towards="h2",
        settings=(("UPSTREAM__HTTP2", "always"),),
    ),
    _scenario(
        "plugin",
        "a plugin that reads two headers and sets one, on top of none",
        "requests",
        "h1",
        (NO_PLUGIN, STAMP),
    ),
    _scenario(
        "workers",
        "two worker processes, beside one",
        "requests",
        "h1",
        (INT3RCEPTOR, WORKERS),
    ),
    _scenario(
        "new",
        "new connections, 16 at a time",
        "new",
        "h1",
        (*RACE[:-1], SSLSPLIT, RACE[-1]),
    ),
    _scenario(
        "first", "first contact with a host, 8 at a time", "first", "h1", NOT_RELAYED
    ),
    _scenario(
        "latency", "HTTP/1.1 in TLS at half of each one's peak rate", "latency", "h1"
    ),
    _scenario(
        "download", "download of one large body", "download", "h1", options=STREAMED
    ),
    _scenario("upload", "upload of one large body", "upload", "h1", options=STREAMED),
    _scenario(
        "websocket",
        "WebSocket, 64 byte messages echoed, 32 connections x 4 on the way",
        "websocket",
        "h1",
        shape=(32, 4),
    ),
    _scenario("idle", "tunnels held open", "idle", "h1", PROXIES),
    _scenario(
        "idle-many",
        "five times as many tunnels held open",
        "idle",
        "h1",
        ALONE,
        times=5,
        settings=(("LIMITS__MAX_CONNECTIONS", "6000"),),
    ),
    _scenario("memory-h1", "memory over many HTTP/1.1 requests", "memory", "h1", ALONE),
    _scenario(
        "memory-h2",
        "memory over many HTTP/2 requests",
        "memory",
        "h2",
        ALONE,
        shape=(10, 10),
    ),
)
