"""The `int3rceptor` process: both planes, from start to signal."""

import contextlib
from collections.abc import Callable, Iterable

from int3rceptor.app.carrying import carrying
from int3rceptor.app.control_socket import ControlReady, opened_control
from int3rceptor.app.keeping import PluginLines
from int3rceptor.app.proxy_plane import Ready
from int3rceptor.app.signals import StopSignals, reload_at_hangup
from int3rceptor.app.supervisor import Supervisor, hello
from int3rceptor.config.model import Config
from int3rceptor.hooks.dispatcher import Listener


async def serve(
    config: Config,
    *,
    on_ready: Callable[[Ready], None],
    on_control: Callable[[ControlReady], None],
    listeners: Iterable[Listener] = (),
    plugin_lines: PluginLines | None = None,
) -> None:
    """Run a proxy and its hub until SIGINT or SIGTERM, then drain and stop both; a
    second signal drains no longer.

    `on_control` is called once the control port serves, unless it is off. ConfigError,
    AuthorityError or PluginError when it cannot start.
    """
    stop = StopSignals()
    async with contextlib.AsyncExitStack() as stack:
        control = await opened_control(config, on_control, stack)
        # The hub ends after the journal is closed, so that it finds all of it ended.
        after = await stack.enter_async_context(contextlib.AsyncExitStack())
        plane = carrying(
            config,
            listeners=listeners,
            plugin_lines=plugin_lines,
            refused=() if control is None else (control.ready.address,),
        )
        carried = await stack.enter_async_context(plane)
        reload_at_hangup(carried.ready.reload, stop, stack)
        on_ready(carried.ready)
        if control is not None or carried.journal is not None:
            hub = Supervisor(
                hello(config, carried.ready.listen, carried.ca),
                control,
                carried.watched,
                on_ask=carried.answers.take,
                stats=carried.stats,
            )
            after.push_async_callback(hub.stop)
            hub.start()
        stop.hurry = carried.ready.cut
        await stop.wait()
