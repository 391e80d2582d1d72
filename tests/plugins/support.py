"""Flows, instances and a probe for the tests of the plugins room. No sockets."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path

from wasmtime import wat2wasm

from int3rceptor.hooks.dispatcher import Dispatcher
from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Verdict
from int3rceptor.model.body import Body
from int3rceptor.model.flow import ClientInfo, Flow, TlsInfo
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Request, Response
from int3rceptor.plugins.abi.codes import ENTRIES, Entry, Extra, LogLevel
from int3rceptor.plugins.abi.table import FUNCTIONS
from int3rceptor.plugins.engine.boundary import Fault
from int3rceptor.plugins.engine.callers import MakerFactory
from int3rceptor.plugins.engine.engine import compile_module
from int3rceptor.plugins.engine.fastcall import FastMaker
from int3rceptor.plugins.engine.inspection import inspect_module, require_loadable
from int3rceptor.plugins.engine.stockcall import StockMaker
from int3rceptor.plugins.host.host import Surroundings
from int3rceptor.plugins.network.outbound import FetchAnswer
from int3rceptor.plugins.policy.manifest import SECTION, Limits, Manifest
from int3rceptor.plugins.policy.permissions import SCOPED, Grant, Permission, grant_of
from int3rceptor.plugins.running.clocks import Clocks
from int3rceptor.plugins.running.instance import PluginCode, PluginInstance
from int3rceptor.plugins.running.lane import Lane
from int3rceptor.plugins.running.lines import Lines, PluginLog
from int3rceptor.plugins.running.listener import PluginListener
from int3rceptor.plugins.state.keyvalues import KeyValues
from int3rceptor.plugins.streaming.chunks import Chunk
from int3rceptor.plugins.topics.messages import Message
from tests.support.guests import guest_file

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "guest-plugins"

FACTORIES: dict[str, MakerFactory] = {"fast": FastMaker, "stock": StockMaker}
PAGE = 65_536
EVERYTHING = frozenset(
    grant_of(one, "*" if one in SCOPED else "")
    for one in Permission
    if one is not Permission.FILES  # a folder has no default
)
LETTER = Message("news", b"hello", ("sender",))
ORIGINAL_SIX = {
    "host_log": 3,
    "host_get_memory_size": 0,
    "host_abort": 2,
    "host_get_header": 4,
    "host_set_header": 4,
    "host_get_method": 2,
}
"""The functions of the original, and how many parameters they take."""

RESULT_AT = 128
FETCHED = FetchAnswer(status=200, headers=[(b"x-from", b"afar")], body=b"fetched")
DATA_AT = 1024


def make_flow(*, has_response: bool = True, body: bytes = b"body") -> Flow:
    """An exchange with something in every place that a guest can look at."""
    request = Request(
        method="POST",
        scheme="https",
        host="api.example.com",
        port=8443,
        target=b"/path?q=\xff",
        authority="api.example.com:8443",
        version="HTTP/1.1",
        headers=Headers(
            [
                (b"Host", b"api.example.com:8443"),
                (b"Accept", b"text/html"),
                (b"accept", b"text/plain"),
                (b"X-Bytes", b"caf\xe9"),
            ]
        ),
        body=Body(body, trailers=Headers([(b"X-Sum", b"42")])),
    )
    tls = TlsInfo(version="TLSv1.3", cipher="x", alpn="h2", sni="sni.example.com")
    client = ClientInfo(
        address=("127.0.0.1", 5555), connect_host="connect.example.com", tls=tls
    )
    flow = Flow(client=client, request=request, rule="a rule")
    flow.context["a"] = b"left"
    if has_response:
        flow.response = Response(
            status=200,
            reason=b"OK",
            version="HTTP/2",
            headers=Headers([(b"set-cookie", b"a=1"), (b"Set-Cookie", b"b=2")]),
            body=Body(body),
        )
    return flow


def guest(name: str) -> bytes:
    """A kept .wat file of tests/guests."""
    return guest_file(name).read_bytes()


def make_instance(
    module: bytes,
    factory: MakerFactory = FastMaker,
    *,
    limits: Limits | None = None,
    config: Mapping[str, bytes] | None = None,
    granted: frozenset[Grant] = EVERYTHING,
    surroundings: Surroundings | None = None,
) -> PluginInstance:
    """An instance that is not started."""
    compiled = compile_module(module, "a test's module")
    info = inspect_module(compiled)
    require_loadable(info, "a test's module")
    code = PluginCode(module=compiled, info=info, granted=granted)
    state = KeyValues(4096, lambda: 1 << 41)
    state.set(b"a", b"1")
    around = surroundings or Surroundings(
        config=config or {},
        state=state,
        now_ms=lambda: 1 << 41,
        random=lambda size: b"r" * size,
        args=("guest",),
        fetch=lambda _request, _terms: FETCHED,
    )
    return PluginInstance(code, limits or Limits(), around, factory)


def probe_source(name: str, *, pages: int = 1) -> bytes:
    """A module whose every hook calls one host function.

    The arguments are read from address 0 on, the result is stored at RESULT_AT.
    """
    row = FUNCTIONS[name]
    params = f"(param {' '.join(['i32'] * len(row.params))})" if row.params else ""
    loads = "".join(f" (i32.load (i32.const {4 * n}))" for n in range(len(row.params)))
    hooks = "".join(f' (export "{one.value}" (func $run))' for one in ENTRIES)
    return f"""(module
      (import "env" "{name}" (func $host {params} (result {row.result})))
      (memory (export "memory") {pages}){hooks}
      (func $run (result i32)
        ({row.result}.store (i32.const {RESULT_AT}) (call $host{loads}))
        (i32.const 0)))""".encode()


class Probe:
    """Calls one host function from inside a real guest."""

    def __init__(
        self,
        name: str,
        factory: MakerFactory = FastMaker,
        *,
        limits: Limits | None = None,
        config: Mapping[str, bytes] | None = None,
        granted: frozenset[Grant] = EVERYTHING,
    ) -> None:
        self.width = 8 if FUNCTIONS[name].result == "i64" else 4
        self.instance = make_instance(
            probe_source(name), factory, limits=limits, config=config, granted=granted
        )

    def read_message(self, *args: int | bytes, letter: Message) -> int:
        """The status of a call from on_message."""
        self._put(args)
        result = self.instance.read_message(letter)
        assert result is None, result
        return self.status()

    def call(
        self, *args: int | bytes, point: Entry = HookPoint.REQUEST, flow: Flow
    ) -> int:
        """The status. A bytes argument stands for its address and its length."""
        result = self.run(*args, point=point, flow=flow)
        assert not isinstance(result, Fault), result
        self.verdict: Verdict | None = result
        return self.status()

    def run(
        self,
        *args: int | bytes,
        point: Entry = HookPoint.REQUEST,
        flow: Flow,
        chunk: Chunk | None = None,
    ) -> Verdict | Fault | None:
        """Put the arguments into the guest's memory, and run the hook."""
        self._put(args)
        if point is Extra.MESSAGE:
            return self.instance.read_message(LETTER)
        return self.instance.run(point, flow, chunk)

    def _put(self, args: tuple[int | bytes, ...]) -> None:
        running = self.instance._guest or self.instance.start()
        assert not isinstance(running, Fault), running
        numbers: list[int] = []
        at = DATA_AT
        for one in args:
            if isinstance(one, bytes):
                assert running.write(at, one)
                numbers += [at, len(one)]
                at += len(one)
            else:
                numbers.append(one % (1 << 32))
        packed = b"".join(number.to_bytes(4, "little") for number in numbers)
        assert running.write(0, packed)

    def status(self) -> int:
        """What the host function answered last."""
        return int.from_bytes(self.read(RESULT_AT, self.width), "little", signed=True)

    def read(self, address: int, length: int) -> bytes:
        """The guest's memory after the call."""
        running = self.instance._guest
        assert running is not None
        data = running.read(address, length)
        assert data is not None
        return data


class LogBook:
    """A log sink that keeps what it is given."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, LogLevel, str]] = []

    def __call__(self, plugin: str, lines: Lines) -> None:
        self.lines += [(plugin, level, text) for level, text in lines]

    def texts(self) -> list[str]:
        """The texts alone."""
        return [text for _, _, text in self.lines]


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def make_dispatcher() -> Dispatcher:
    """A dispatcher whose delays do not wait."""

    async def sleep(_seconds: float) -> None:
        await asyncio.sleep(0)

    return Dispatcher(sleep=sleep)


def runner_of(
    manifest: Manifest,
    instances: list[PluginInstance],
    executor: Executor,
    book: LogBook,
    clock: Clock,
) -> PluginListener:
    """What a dispatcher asks: the instances, started, behind one lane."""
    for one in instances:
        one.start()
    lane = Lane(instances, executor, 5.0)
    log = PluginLog(manifest.name, book, clock=clock)
    clocks = Clocks(monotonic=clock, cpu=clock)
    return PluginListener(manifest, instances, lane, log, clocks)


def leb(number: int, *, padded: int = 0) -> bytes:
    """An unsigned LEB128; `padded` to that many bytes, as linkers leave them."""
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    while len(made) < padded:
        made[-1] |= 0x80
        made.append(0)
    return bytes(made)


def section(name: str, contents: bytes, *, kind: int = 0, padded: int = 0) -> bytes:
    payload = leb(len(name.encode()), padded=padded) + name.encode() + contents
    return bytes([kind]) + leb(len(payload), padded=padded) + payload


def module_with(manifest: str) -> bytes:
    """A real module that carries this manifest at its end."""
    binary = bytes(wat2wasm(guest("founding_with_result").decode()))
    return binary + section(SECTION, manifest.encode())
