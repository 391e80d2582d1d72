"""The `int3rceptor` process with several workers: it carries no traffic. It owns the
sockets, starts workers and hub, and stands between them, from start to signal.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from int3rceptor.app.control_socket import Control, ControlReady, opened_control
from int3rceptor.app.crew import Crew
from int3rceptor.app.crew_plugins import CrewPlugins
from int3rceptor.app.signals import StopSignals, reload_at_hangup
from int3rceptor.app.supervisor import Supervisor, hello
from int3rceptor.config.model import Config
from int3rceptor.errors import WorkerError
from int3rceptor.files.unnamed import unnamed_file
from int3rceptor.link.messages import CaForms, Serving
from int3rceptor.net.allocator import keep_freed_memory
from int3rceptor.net.listening import Address, bind, own_address
from int3rceptor.net.loads import new_loads
from int3rceptor.net.tasks import first_of

ALL_GONE = "no worker is left; the lines above say how they ended"


@dataclass(slots=True, frozen=True, kw_only=True)
class CrewReady:
    """What is known once all workers accept connections."""

    listen: Address
    ca_path: Path
    ca_files: CaForms
    notes: tuple[str, ...]


async def serve_crew(
    config: Config,
    *,
    program: str,
    files: Sequence[int],
    on_ready: Callable[[CrewReady], None],
    on_control: Callable[[ControlReady], None],
) -> None:
    """Run `config.workers` proxies and their hub until SIGINT or SIGTERM, then drain
    and stop them all; a second signal drains no longer.

    `program` is the module of a worker: it gets its link, the listening socket, the
    files of the loads and of shared keys, and `files`, by their numbers. `on_control`
    is called once the control port serves, unless it is off. ConfigError or WorkerError
    when it cannot start.
    """
    stop = StopSignals()
    async with contextlib.AsyncExitStack() as stack:
        control = await opened_control(config, on_control, stack)
        # The hub ends after the journals are closed, so that it finds all of it ended.
        after = await stack.enter_async_context(contextlib.AsyncExitStack())
        sock = stack.enter_context(bind(*config.listen_address))
        crew = _crew(config, program, [sock.fileno(), *files], control, stack)
        stop.hurry = crew.hurry
        serving = await first_of(crew.start(), stop.wait())
        if serving is None:
            return
        reload_at_hangup(crew.reload, stop, stack)
        plugins = CrewPlugins(crew.serving)
        stack.push_async_callback(plugins.aclose)
        on_ready(ready := _ready(own_address(sock), serving))
        keep_freed_memory()
        if control is not None or not config.no_store:
            after.push_async_callback(_hub(config, ready, control, crew, plugins).stop)
        await first_of(stop.wait(), crew.all_gone.wait())
        crew.end()
        # With the workers' ends of it closed, too, clients are refused at once.
        sock.close()
        if crew.all_gone.is_set():
            raise WorkerError(ALL_GONE)


def _crew(
    config: Config,
    program: str,
    files: Sequence[int],
    control: Control | None,
    stack: contextlib.AsyncExitStack,
) -> Crew:
    """The workers, not yet begun; `stack` ends them."""
    listening, *others = files
    loads = stack.enter_context(new_loads(config.workers))
    keys = stack.enter_context(unnamed_file())
    handed = [listening, loads.descriptor, keys, *others]
    refused = () if control is None else (control.ready.address,)
    crew = Crew(config, program, handed, refused, loads)
    stack.push_async_callback(crew.stop)
    return crew


def _hub(
    config: Config,
    ready: CrewReady,
    control: Control | None,
    crew: Crew,
    plugins: CrewPlugins,
) -> Supervisor:
    """The hub, which has begun."""
    told = hello(config, ready.listen, ready.ca_files)
    hub = Supervisor(told, control, crew, on_ask=plugins.take, stats=crew.stats)
    hub.start()
    return hub


def _ready(listen: Address, serving: Serving) -> CrewReady:
    return CrewReady(
        listen=listen,
        ca_path=Path(serving.authority.path),
        ca_files=serving.ca,
        notes=tuple(serving.notes),
    )
