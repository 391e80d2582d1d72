"""A process of ours that is kept alive: started, talked to, started again when it dies.

It hears of everything by its end of a link; when that closes, it finishes and goes.
Nothing here knows what such a process does.
"""

import asyncio
import faulthandler
import logging
import math
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Coroutine, Sequence

from int3rceptor.app.watchdog import Watchdog, is_traced
from int3rceptor.net import children
from int3rceptor.net.tasks import first_of

log = logging.getLogger("int3rceptor.processes")

FIRST_RESTART_S = 0.5
MAX_RESTART_S = 30.0
"""Pause before a dead one is started again: the first, doubled up to the second."""

STEADY_S = 60.0
"""One that ran so long was well: the next pause is the first again."""

STOP_S = 8.0
"""How long it may take to go once its link is closed: a hub gives itself 2 s for
answers that still run, and 5 s for the journal."""

KILL_S = 10.0
"""How long a killed one may take to be gone, on a machine that swaps. Longer ones wait
for a disk that does not answer, as only the system can."""

TRACE_S = 0.5
"""How long one that hangs has to write where it stands."""

TRACE_SIGNAL = signal.SIGUSR1
"""Has a child print where its threads stand, whatever they do."""

POLL_S = 0.01
"""How often an ending process is looked at."""

MAX_OUTPUT_BYTES = 64 * 1024
"""What is kept of the last that it printed: a traceback and more."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What a terminal or a service manager sends to the whole group: a child takes none of
them, since its end is its parent's."""

Talk = Callable[[socket.socket], Coroutine[object, object, str]]
"""Talks over our end of the link until it is over. What it returns says why the process
ends, where its exit code does not."""


class Child:
    """One process at a time, which runs `module` with the sockets and files of `handed`
    and the link before them.

    `may_return` is told how one ended, and says whether another is started; at `most`
    deaths in a row, none of them after STEADY_S, there is none.
    """

    def __init__(
        self,
        name: str,
        module: str,
        handed: Sequence[int],
        talk: Talk,
        *,
        may_return: Callable[[str], bool] = lambda _: True,
        most: int | None = None,
    ) -> None:
        self._name = name
        self._module = module
        self._handed = handed
        self._talk = talk
        self._may_return = may_return
        self._most = most
        self._is_stopping = asyncio.Event()
        self._watchdog = Watchdog()
        self.restarts = 0
        self.hangs = 0

    @property
    def is_stopping(self) -> bool:
        """Whether no other will be started."""
        return self._is_stopping.is_set()

    @property
    def is_doubtful(self) -> bool:
        """Whether the one there is may hang."""
        return self._watchdog.is_doubtful

    def heard(self) -> None:
        """Whoever talks to it has heard of it: it lives."""
        self._watchdog.heard()

    def serves(self) -> None:
        """It has started."""
        self._watchdog.serves()

    def stop(self) -> None:
        """Start no other. Whoever talks to the one there is says so to it."""
        self._is_stopping.set()

    async def stopped_within(self, seconds: float) -> bool:
        """Wait so long for `stop`; whether it came."""
        try:
            async with asyncio.timeout(seconds):
                await self._is_stopping.wait()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Until it was stopped, or no other is to be started."""
        pause_s, deaths = FIRST_RESTART_S, 0
        while True:
            started = time.monotonic()
            how = await self._live_once()
            if self.is_stopping:
                return
            if time.monotonic() - started > STEADY_S:
                pause_s, deaths = FIRST_RESTART_S, 0
            deaths += 1
            if not self._may_return(how):
                return
            if deaths == self._most:
                log.error(
                    "%s %s; it is not started again after %d deaths in a row: start"
                    " int3rceptor anew when the cause is mended",
                    *(self._name, how, deaths),
                )
                return
            log.warning("%s %s; it is started again in %g s", self._name, how, pause_s)
            if await self.stopped_within(pause_s):
                return
            self.restarts += 1
            pause_s = min(2 * pause_s, MAX_RESTART_S)

    async def _live_once(self) -> str:
        """From the start of one to its end; how that came."""
        try:
            ours, process = _spawn(self._module, self._handed)
        except OSError as error:
            return f"cannot be started: {error.strerror}"
        output = _Output()
        self._watchdog = dog = Watchdog(lambda: is_traced(process.pid))
        why = ""
        try:
            assert process.stdout is not None
            loop = asyncio.get_running_loop()
            await loop.connect_read_pipe(lambda: output, process.stdout)
            why = await first_of(dog.bites(), self._talk(ours))
        finally:
            self.hangs += dog.has_bitten
            code = await _ended(process, self._name, is_hung=dog.has_bitten)
            output.close(self._name)
        return why or _how(code, output.last_line)


class _Output(asyncio.Protocol):
    """What a child prints: nothing, unless it dies of what it did not expect."""

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

    def close(self, name: str) -> None:
        if self._last:
            log.debug("%s printed:\n%s", name, self._last.decode("utf-8", "replace"))
        if self._transport is not None:
            self._transport.close()


def _spawn(
    module: str, handed: Sequence[int]
) -> "tuple[socket.socket, subprocess.Popen[bytes]]":
    """Our end of a link, and a process that has the other end and these descriptors.
    OSError when the system has no room."""
    ours, theirs = socket.socketpair()
    files = [theirs.fileno(), *handed]
    # A signal to the group must not meet a child that does not ignore it yet.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            children.command(module, *map(str, files)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=files,
            env=children.environment(),
        )
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return ours, process


def heed_no_signal() -> None:
    """In a child, at its start: leave the signals of SIGNALS to the parent, and answer
    TRACE_SIGNAL alone."""
    faulthandler.register(TRACE_SIGNAL, all_threads=True)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


async def _ended(
    process: "subprocess.Popen[bytes]", name: str, *, is_hung: bool
) -> int:
    """The exit code of a process whose link is closed; killed after STOP_S, and one
    that hangs as soon as it has written where it stands."""
    try:
        if is_hung:
            process.send_signal(TRACE_SIGNAL)
            await _is_gone(process, TRACE_S)
        elif not await _is_gone(process, STOP_S):
            log.warning("%s does not end: it is killed", name)
    finally:
        process.kill()  # nothing, if it has ended
    # Not `wait`: even a killed one takes its time, and no client of ours is to wait.
    if not await _is_gone(process, KILL_S):
        log.error(
            "%s cannot be killed, since the system does not let go of it: look for a"
            " disk or a network drive that does not answer",
            name,
        )
        await _is_gone(process, math.inf)
    assert process.returncode is not None
    return process.returncode


async def _is_gone(process: "subprocess.Popen[bytes]", within_s: float) -> bool:
    """Whether it ends so soon."""
    give_up = time.monotonic() + within_s
    while process.poll() is None:
        if time.monotonic() > give_up:
            return False
        await asyncio.sleep(POLL_S)  # the system has no event for it everywhere
    return True


def _how(code: int, said: str) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    if code == 0:
        return "ended by itself"
    return f"ended with exit code {code}: {said}"
