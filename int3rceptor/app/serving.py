"""The `int3rceptor` process: both planes, from start to signal."""

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from int3rceptor import __version__
from int3rceptor.app.control_socket import control_socket
from int3rceptor.app.keeping import PluginLines, Watched, journal_of, keeper_of
from int3rceptor.app.metrics import own_use
from int3rceptor.app.plugin_answers import PluginAnswers
from int3rceptor.app.proxy_plane import (
    Ready,
    dispatcher_for,
    log_plugin_line,
    running,
)
from int3rceptor.app.supervisor import Supervisor
from int3rceptor.config.model import Config
from int3rceptor.control.token import load_or_create, path_of
from int3rceptor.hooks.dispatcher import Listener
from int3rceptor.link.messages import LINK_VERSION, CaForms, Hello, Stats
from int3rceptor.net.allocator import give_back_after_falls, keep_freed_memory
from int3rceptor.net.tasks import Tasks
from int3rceptor.proxy.listener import Address, own_address
from int3rceptor.store.journal import Journal

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

COLLECT_AFTER = 20_000
"""New objects before the collector looks at them, in place of 700: hundreds of
exchanges are under way at once, and looking at them again and again took 4 to 8 % of
an HTTP/2 request."""

TERMINAL = "/dev/tty"
"""The terminal that the process belongs to, whatever its streams are."""


@dataclass(slots=True, frozen=True, kw_only=True)
class ControlReady:
    """What is known once the control port serves."""

    address: Address
    token: str
    token_path: Path


async def serve(
    config: Config,
    *,
    on_ready: Callable[[Ready], None],
    on_control: Callable[[ControlReady], None],
    listeners: Iterable[Listener] = (),
    plugin_lines: PluginLines | None = None,
) -> None:
    """Run a proxy and its hub until SIGINT or SIGTERM, then drain and stop both.

    `on_control` is called once the control port serves, unless it is off. ConfigError,
    AuthorityError or PluginError when it cannot start.
    """
    stop = _stop_event()
    async with contextlib.AsyncExitStack() as stack:
        control = await _control(config, on_control, stack)
        # The hub ends after the journal is closed, so that it finds all of it ended.
        after = await stack.enter_async_context(contextlib.AsyncExitStack())
        journal = stack.enter_context(journal_of(config))
        hooks = dispatcher_for(config)
        watched = Watched(keeper_of(journal, config), hooks)
        plane = running(
            config,
            listeners,
            watched.lines_to(plugin_lines or log_plugin_line),
            hooks=hooks,
            keeper=watched,
            refused=() if control is None else (control.ready.address,),
        )
        ready = await stack.enter_async_context(plane)
        _reload_at_hangup(ready, stop, stack)
        answers = PluginAnswers(ready.plugins)
        stack.push_async_callback(answers.aclose)
        # What was made so far lives as long as the process: the collector need not
        # look at it again and again.
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER)
        on_ready(ready)
        keep_freed_memory()
        memory = Tasks("memory")
        stack.push_async_callback(memory.close)
        memory.start(give_back_after_falls(ready.open_connections), "give back")
        if control is not None or journal is not None:
            hub = Supervisor(
                hello(config, ready),
                None if control is None else control.sock,
                watched,
                on_ask=answers.take,
                stats=lambda: _stats(ready, watched, journal, hub),
                on_ready=_nothing if control is None else control.announce,
            )
            after.push_async_callback(hub.stop)
            hub.start()
        await stop.wait()


def hello(config: Config, ready: Ready) -> Hello:
    """What a hub has to know of its proxy."""
    files = ready.ca_files
    return Hello(
        link_version=LINK_VERSION,
        version=__version__,
        listen=ready.listen,
        ca=CaForms(
            pem=files.pem,
            der=files.der,
            mobileconfig=files.mobileconfig(),
            fingerprint=files.fingerprint,
        ),
        settings=json.dumps({**config.as_table(), "plugins": {}}).encode(),
    )


@dataclass(slots=True, frozen=True, kw_only=True)
class _Control:
    sock: socket.socket
    ready: ControlReady
    on_ready: Callable[[ControlReady], None]

    def announce(self) -> None:
        self.on_ready(self.ready)


async def _control(
    config: Config,
    on_control: Callable[[ControlReady], None],
    stack: contextlib.AsyncExitStack,
) -> _Control | None:
    """The control port's socket and token; None when it is off."""
    sock = await control_socket(config)
    if sock is None:
        return None
    stack.callback(sock.close)
    ready = ControlReady(
        address=own_address(sock),
        token=load_or_create(config.data_dir),
        token_path=path_of(config.data_dir),
    )
    return _Control(sock=sock, ready=ready, on_ready=on_control)


def _nothing() -> None:
    """Without a control port nobody waits for the hub."""


def _stop_event() -> asyncio.Event:
    """Set by the first signal to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        with contextlib.suppress(NotImplementedError):  # Windows' event loops
            loop.add_signal_handler(number, stop.set)
    return stop


def _reload_at_hangup(
    ready: Ready, stop: asyncio.Event, stack: contextlib.AsyncExitStack
) -> None:
    """SIGHUP reads rules and plugins again. The same signal says that the terminal is
    gone: then it stops, as it would without us."""
    tasks = Tasks("hangup")
    stack.push_async_callback(tasks.close)
    had_terminal = _has_terminal()

    def hang_up() -> None:
        if had_terminal and not _has_terminal():
            stop.set()
        elif not len(tasks):  # one that runs reads all that there is
            tasks.start(ready.reload(), "reload")

    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError, AttributeError):  # Windows
        loop.add_signal_handler(signal.SIGHUP, hang_up)
        stack.callback(loop.remove_signal_handler, signal.SIGHUP)


def _has_terminal() -> bool:
    try:
        os.close(os.open(TERMINAL, os.O_RDONLY | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return False
    return True


def _stats(
    ready: Ready, watched: Watched, journal: Journal | None, hub: Supervisor
) -> Stats:
    counters = {
        "begun": watched.begun,
        "ended": watched.ended,
        "failed": watched.failed,
        "connections": ready.open_connections(),
        "hub_restarts": hub.restarts,
        "events_dropped": hub.dropped_events,
    }
    if journal is not None:
        counters |= {
            "kept": journal.kept,
            "not_kept": journal.not_kept,
            "journal_bytes": journal.written_bytes,
        }
    problem = "" if journal is None else journal.problem
    return Stats(counters={**counters, **own_use()}, problem=problem)
