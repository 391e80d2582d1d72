"""Starts the hub beside the proxy, watches it, and starts it again when it dies.

The hub hears of everything by its end of the link; when that closes, it finishes and
goes. Nothing here knows what a hub does.
"""

import asyncio
import logging
import signal
import socket
import subprocess
import time
from collections.abc import Callable

from int3rceptor.app.keeping import Watched
from int3rceptor.link.channel import Channel, open_channel
from int3rceptor.link.messages import (
    Hello,
    Problem,
    Ready,
    Stats,
    ToProxy,
    Watch,
    proxy_decoder,
)
from int3rceptor.link.plugin_asks import PluginAsk, PluginTold
from int3rceptor.net import children
from int3rceptor.net.tasks import Tasks

log = logging.getLogger("int3rceptor.hub")

FIRST_RESTART_S = 0.5
MAX_RESTART_S = 30.0
"""Pause before a dead hub is started again: the first, doubled up to the second."""

STEADY_S = 60.0
"""A hub that ran so long was well: the next pause is the first again."""

STOP_S = 8.0
"""How long a hub may take to finish once its link is closed: it gives itself 2 s for
answers that still run, and 5 s for the journal."""

STATS_S = 1.0
"""How often the hub is told the counters."""

POLL_S = 0.01
"""How often an ending process is looked at."""

MAX_OUTPUT_BYTES = 64 * 1024
"""What is kept of the last that a hub printed: a traceback and more."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What a terminal or a service manager sends to the whole group: the hub takes none of
them, since its end is the proxy's."""

MODULE = "int3rceptor.app.hub"


class Supervisor:
    """One hub, alive from `start` to `stop`: one that dies is started again.

    `control` is the control port's listening socket, if there is one: each hub gets it.
    Flows come from `watched` while a hub watches, counters from `stats`; `on_ask`
    takes what it asks about plugins, and how to answer; `on_ready` is called when the
    first hub serves.
    """

    def __init__(
        self,
        hello: Hello,
        control: socket.socket | None,
        watched: Watched,
        *,
        on_ask: Callable[[PluginAsk, Callable[[PluginTold], None]], None],
        stats: Callable[[], Stats],
        on_ready: Callable[[], None],
    ) -> None:
        self._hello = hello
        self._control = control
        self._watched = watched
        self._on_ask = on_ask
        self._stats = stats
        self._on_ready = on_ready
        self._is_known = False
        self._is_stopping = asyncio.Event()
        self._channel: Channel[ToProxy] | None = None
        self._tasks = Tasks("hub")
        self._dropped = 0
        self.restarts = 0

    @property
    def dropped_events(self) -> int:
        """Events left out because a hub was slow."""
        return self._dropped + (self._channel.dropped if self._channel else 0)

    def start(self) -> None:
        """Start the hub, and go on doing so."""
        self._tasks.start(self._run(), "supervisor")
        self._tasks.start(self._tell_stats(), "stats")

    async def stop(self) -> None:
        """Let the hub finish, for at most STOP_S; then nothing of it is left."""
        self._send_stats()
        self._is_stopping.set()
        if self._channel is not None:
            self._channel.close()
        await self._tasks.wait(2 * STOP_S)
        await self._tasks.close()

    async def _run(self) -> None:
        pause_s = FIRST_RESTART_S
        while True:
            started = time.monotonic()
            how = await self._live_once()
            if self._is_stopping.is_set():
                return
            if time.monotonic() - started > STEADY_S:
                pause_s = FIRST_RESTART_S
            log.warning("the hub %s; it is started again in %g s", how, pause_s)
            if await self._stopped_within(pause_s):
                return
            self.restarts += 1
            pause_s = min(2 * pause_s, MAX_RESTART_S)

    async def _live_once(self) -> str:
        """From the start of one hub to its end; how that came."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = _spawn(theirs, self._control)
            except OSError as error:
                ours.close()
                return f"cannot be started: {error.strerror}"
        output = _Output()
        try:
            assert process.stdout is not None
            loop = asyncio.get_running_loop()
            await loop.connect_read_pipe(lambda: output, process.stdout)
            await self._talk(ours)
        finally:
            code = await _ended(process)
            output.close()
        return _how(code, output.last_line)

    async def _talk(self, sock: socket.socket) -> None:
        """Until the link is over."""
        channel = await open_channel(sock, proxy_decoder, self._take)
        self._channel = channel
        try:
            channel.send(self._hello)
            self._send_stats()
            if self._is_stopping.is_set():
                channel.close()
            await channel.wait_closed()
        finally:
            channel.abort()
            self._channel = None
            self._watched.watcher = None
            self._dropped += channel.dropped

    def _take(self, message: ToProxy) -> None:
        match message:
            case Ready():
                if self._is_known:
                    log.info("the hub serves again")
                else:
                    self._is_known = True
                    self._on_ready()
            case Watch(is_on=is_on):
                channel = self._channel
                self._watched.watcher = channel.offer if channel and is_on else None
            case PluginAsk() if self._channel is not None:
                # A hub that has gone meanwhile gets nothing: its channel drops it.
                self._on_ask(message, self._channel.send)
            case Problem(text=text):
                log.warning("%s", text)

    async def _tell_stats(self) -> None:
        while not await self._stopped_within(STATS_S):
            self._send_stats()

    def _send_stats(self) -> None:
        channel = self._channel
        if channel is not None and not channel.is_behind:
            channel.send(self._stats())

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._is_stopping.wait()
        except TimeoutError:
            return False
        return True


class _Output(asyncio.Protocol):
    """What a hub prints: nothing, unless it dies of what it did not expect."""

    def __init__(self) -> None:
        self._last = bytearray()
        self._transport: asyncio.BaseTransport | None = None

    @property
    def last_line(self) -> str:
        """Of an exception: its class and message."""
        lines = self._last.decode("utf-8", "backslashreplace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._last += data
        del self._last[:-MAX_OUTPUT_BYTES]

    def close(self) -> None:
        if self._last:
            log.debug("the hub printed:\n%s", self._last.decode("utf-8", "replace"))
        if self._transport is not None:
            self._transport.close()


def _spawn(
    link: socket.socket, control: socket.socket | None
) -> "subprocess.Popen[bytes]":
    """A hub that has these sockets. OSError when the system has no room for it."""
    sockets = [link, *([] if control is None else [control])]
    numbers = [one.fileno() for one in sockets]
    # A signal to the group must not meet a hub that does not ignore it yet.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        return subprocess.Popen(  # noqa: S603  # our own interpreter and module
            children.command(MODULE, *map(str, numbers)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=numbers,
            env=children.environment(),
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


async def _ended(process: "subprocess.Popen[bytes]") -> int:
    """The exit code of a process whose link is closed; killed after STOP_S."""
    give_up = time.monotonic() + STOP_S
    try:
        while process.poll() is None and time.monotonic() < give_up:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)  # the system has no event for it everywhere
        if process.returncode is None:
            log.warning("the hub does not end: it is killed")
    finally:
        if process.poll() is None:
            process.kill()
    return process.wait()


def _how(code: int, said: str) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    if code == 0:
        return "ended by itself"
    return f"ended with exit code {code}: {said}"
