"""A control port over flows in memory, on a real socket; and clients of it."""

import asyncio
import contextlib
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import msgspec

from int3rceptor.config.model import ControlConfig
from int3rceptor.control.application import build
from int3rceptor.control.events import Events
from int3rceptor.control.exposition import Family, gauge
from int3rceptor.control.failures import ApiError
from int3rceptor.control.plugins import PluginRefused
from int3rceptor.control.server import serve
from int3rceptor.control.state import Flows, HubState, Trouble
from int3rceptor.errors import ConfigError
from int3rceptor.link.messages import CaForms
from int3rceptor.link.plugin_asks import PluginAct, PluginFailure
from int3rceptor.link.plugin_reports import (
    LogLine,
    PluginDetails,
    PluginLog,
    PluginPage,
    PluginState,
    PluginSummary,
)
from int3rceptor.store.asking.filters import FlowFilter
from int3rceptor.store.asking.rows import FlowRow, row_of
from int3rceptor.store.records import BodyRecord, FlowRecord, OriginFacts, TlsFacts
from tests.support.patience import PATIENT_S

if TYPE_CHECKING:
    from pydantic import JsonValue

TOKEN = "q7Jq0m1c2sB1x3Zr8yVtN5w4kLhG6dPfAeUoIiCmXsY"
AUTHORISED = {"Authorization": f"Bearer {TOKEN}"}
CA = CaForms(
    pem=b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
    der=b"0\x00",
    mobileconfig=b"<plist/>",
    fingerprint="AB:CD",
)


_TLS = TlsFacts("TLSv1.3", "TLS_AES_128_GCM_SHA256", "h2", "example.com", False)
RECORD = FlowRecord(
    id=1,
    kind="http",
    created=1_767_225_600.0,
    head_s=0.01,
    total_s=0.02,
    client=("127.0.0.1", 50_000),
    connect=("example.com", 443),
    client_tls=_TLS,
    origin=OriginFacts("example.com", 443, _TLS, "HTTP/2", True),
    method="GET",
    scheme="https",
    host="example.com",
    port=443,
    target=b"/a?b=c",
    authority="example.com",
    version="HTTP/1.1",
    status=200,
    request_received=b"GET /a?b=c HTTP/1.1\r\nHost: example.com\r\n",
    request_sent=b":method: GET\r\n:path: /a?b=c\r\nx-seen: yes\r\n",
    response_received=b":status: 200\r\ncontent-type: text/html\r\n",
    response_sent=b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n",
    informational=[b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n"],
    request_body=BodyRecord(),
    response_body=BodyRecord(size=10, content=b"0123456789"),
    request_trailers=b"",
    response_trailers=b"x-sum: 1\r\n",
    error="",
    changes=[("on_request", "rule stamp", "+ x-seen: yes")],
    tags=["seen"],
    rule="stamp",
    bytes_up=0,
    bytes_down=0,
    is_redacted=False,
)
"""A flow that a GET made, as it is kept."""


def records(count: int) -> list[FlowRecord]:
    """Flows that differ in their ids."""
    return [
        msgspec.structs.replace(RECORD, id=number) for number in range(1, count + 1)
    ]


class FlowsInMemory:
    """What KeptFlows does, without a disk. `broken` is what every call then raises."""

    def __init__(self, records: Sequence[FlowRecord] = ()) -> None:
        self.records = {one.id: one for one in records}
        self.marked: set[int] = set()
        self.broken: Exception | None = None

    def rows(
        self, chosen: FlowFilter, *, before: int | None, after: int | None, limit: int
    ) -> list[FlowRow]:
        self._fail()
        found = [
            self._row(one)
            for one in self.records.values()
            if chosen.matches(one)
            and (before is None or one.id < before)
            and (after is None or one.id > after)
        ]
        return sorted(found, key=lambda row: -row.id)[:limit]

    def get(self, flow_id: int, *, limit_bytes: int) -> FlowRecord | None:
        self._fail()
        return self.records.get(flow_id)

    def row(self, flow_id: int) -> FlowRow | None:
        self._fail()
        found = self.records.get(flow_id)
        return None if found is None else self._row(found)

    def body(self, flow_id: int, side: str, start: int, stop: int) -> bytes:
        self._fail()
        found = self.records.get(flow_id)
        if found is None:
            return b""
        body = found.request_body if side == "request" else found.response_body
        return body.content[start:stop]

    def kept_bytes(self, record: FlowRecord, side: str) -> int:
        self._fail()
        body = record.request_body if side == "request" else record.response_body
        return len(body.content)

    def delete(self, which: Sequence[int] | FlowFilter) -> int:
        self._fail()
        if isinstance(which, FlowFilter):
            which = [one.id for one in self.records.values() if which.matches(one)]
        return sum(self.records.pop(one, None) is not None for one in list(which))

    def mark(self, flow_id: int, is_marked: bool) -> bool:
        self._fail()
        (self.marked.add if is_marked else self.marked.discard)(flow_id)
        return flow_id in self.records

    def _row(self, one: FlowRecord) -> FlowRow:
        return replace(row_of(one), is_marked=one.id in self.marked)

    def _fail(self) -> None:
        if self.broken is not None:
            raise self.broken


def plugin_details(name: str, *, is_enabled: bool = True) -> PluginDetails:
    """A plugin as a proxy tells of it."""
    summary = PluginSummary(
        name=name,
        state=PluginState.RUNNING if is_enabled else PluginState.DISABLED,
        in_service=is_enabled,
        source=f"plugins/{name}.wasm",
        hooks=["on_request"],
    )
    return PluginDetails(summary=summary, hosts=["*"], imports=["host_log"])


class PluginsInMemory:
    """What a proxy answers about its plugins. `broken` is what every question meets;
    `has_all`: whatever name is asked for, there is such a plugin."""

    def __init__(self, *, has_all: bool = False) -> None:
        self.has_all = has_all
        self.enabled = {"demo": True}
        self.configs: dict[str, str] = {}
        self.uploaded: dict[str, bytes] = {}
        self.asked: list[tuple[PluginAct, str, str]] = []
        self.broken: PluginRefused | None = None

    async def ask(self, act: PluginAct, name: str = "", text: str = "") -> bytes:
        self.asked.append((act, name, text))
        if self.broken is not None:
            raise self.broken
        if act is PluginAct.LIST:
            shown = [plugin_details(one).summary for one in sorted(self.enabled)]
            return msgspec.json.encode(PluginPage(shown))
        if act is PluginAct.UPLOAD:
            return self._upload(name, Path(text))
        if self.has_all:
            self.enabled.setdefault(name, True)
        if name not in self.enabled:
            raise PluginRefused(PluginFailure.NOT_FOUND, f"there is no plugin {name}")
        return self._about(act, name, text)

    def _upload(self, name: str, path: Path) -> bytes:
        self.uploaded[name] = path.read_bytes()
        if not self.uploaded[name].startswith(b"\0asm"):
            raise PluginRefused(PluginFailure.REFUSED, f"{name}: no module")
        self.enabled[name] = False
        return msgspec.json.encode(plugin_details(name, is_enabled=False))

    def _about(self, act: PluginAct, name: str, text: str) -> bytes:
        match act:
            case PluginAct.LOG:
                line = LogLine(time=1.0, plugin=name, level="INFO", text="hello")
                return msgspec.json.encode(PluginLog([line]))
            case PluginAct.READ_CONFIG:
                return self.configs.get(name, "{}").encode()
            case PluginAct.WRITE_CONFIG:
                self.configs[name] = text
            case PluginAct.ENABLE | PluginAct.DISABLE:
                self.enabled[name] = act is PluginAct.ENABLE
            case PluginAct.DELETE:
                del self.enabled[name]
                return b""
            case _:
                pass
        details = plugin_details(name, is_enabled=self.enabled[name])
        return msgspec.json.encode(details)


class TrialsInMemory:
    """Tells what it was asked to try; flows above 1,000 are not there."""

    async def run(self, module: Path, flow_id: int) -> str:
        if flow_id > 1_000:
            raise ApiError(404, f"no flow {flow_id} is kept")
        return f"{module} on {flow_id}"


class Hub:
    """What a hub would know; tests change it as they go."""

    def __init__(self) -> None:
        self.watched: list[bool] = []
        self.events = Events(self.watched.append)
        self.plugins = PluginsInMemory()
        self.trials = TrialsInMemory()
        # Nothing is there between requests, and so nothing is left behind.
        self.uploads = Path(tempfile.gettempdir())
        self.troubles: list[Trouble] = []
        self.families: list[Family] = [gauge("int3rceptor_store_flows", "Kept.", 3)]
        self.settings: Mapping[str, JsonValue] = {"listen": "127.0.0.1:8080"}

    def state(self, flows: Flows, settings: ControlConfig, port: int) -> HubState:
        return HubState(
            version="1.2.3",
            token=TOKEN,
            address=("127.0.0.1", port),
            settings=settings,
            ca=CA,
            flows=flows,
            events=self.events,
            plugins=self.plugins,
            uploads=self.uploads,
            trials=self.trials,
            proxy=lambda: "127.0.0.1:8080",
            troubles=lambda: self.troubles,
            workers=lambda: (2, 2),
            shown_settings=lambda: self.settings,
            families=lambda: self.families,
        )


# The control port speaks plain HTTP; the machine's roots take 50 ms a client to load.
TRUSTS_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def api_client(
    *, base_url: str = "", headers: Mapping[str, str] | None = None
) -> httpx.AsyncClient:
    """A client of a control port."""
    return httpx.AsyncClient(
        base_url=base_url, headers=headers, verify=TRUSTS_NOBODY, timeout=PATIENT_S
    )


class Control:
    """A running control port."""

    def __init__(self, hub: Hub, port: int) -> None:
        self.hub = hub
        self.port = port
        self.netloc = f"127.0.0.1:{port}"
        self.url = f"http://{self.netloc}"
        self.client = api_client(base_url=self.url, headers=AUTHORISED)

    async def raw(self, request: bytes) -> bytes:
        """All that comes back for these bytes, until the end of the connection."""
        async with connection(self.port) as (reader, writer):
            writer.write(request)
            return await reader.read()


@contextlib.asynccontextmanager
async def connection(
    port: int,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection to the control port."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def listening() -> socket.socket:
    """What the parent process hands to the hub."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    sock.setblocking(False)
    return sock


@contextlib.asynccontextmanager
async def control_port(
    flows: Flows | None = None,
    hub: Hub | None = None,
    settings: ControlConfig | None = None,
) -> AsyncIterator[Control]:
    """A control port; it has no flows unless `flows` says otherwise."""
    sock = listening()
    port = sock.getsockname()[1]
    hub = hub or Hub()
    flows = flows if flows is not None else FlowsInMemory()
    # Tests are quick, and the limit has its own.
    settings = settings or ControlConfig(max_requests_per_s=100_000)
    async with asyncio.TaskGroup() as group:
        served = group.create_task(serve(build(hub.state(flows, settings, port)), sock))
        control = Control(hub, port)
        try:
            async with control.client:
                yield control
        finally:
            served.cancel()


def store_that_cannot_be_read() -> ConfigError:
    return ConfigError("cannot read the store: it is locked")
