"""What carries traffic in one process: the data plane, the journal beside it, the ear
for whoever watches, and the one who answers about plugins.
"""

import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

from int3rceptor.app.collector import collect_seldom
from int3rceptor.app.keeping import PluginLines, Watched, journal_of, keeper_of
from int3rceptor.app.metrics import own_use
from int3rceptor.app.plugin_answers import PluginAnswers
from int3rceptor.app.proxy_plane import (
    Ready,
    Shared,
    dispatcher_for,
    log_plugin_lines,
    running,
)
from int3rceptor.config.model import Config
from int3rceptor.hooks.dispatcher import Listener
from int3rceptor.link.messages import CaForms, Stats
from int3rceptor.net.allocator import give_back_after_falls, keep_freed_memory
from int3rceptor.net.listening import Address
from int3rceptor.net.tasks import Tasks
from int3rceptor.store.journal.journal import Journal


@dataclass(slots=True, frozen=True, kw_only=True)
class Carrying:
    """A data plane in service, and what stands around it in its process."""

    ready: Ready
    watched: Watched
    journal: Journal | None
    answers: PluginAnswers

    @property
    def ca(self) -> CaForms:
        """The CA's certificate as clients install it."""
        files = self.ready.ca_files
        return CaForms(
            pem=files.pem,
            der=files.der,
            mobileconfig=files.mobileconfig(),
            fingerprint=files.fingerprint,
        )

    def stats(self) -> Stats:
        """The counters of this process, as they are now."""
        watched, journal = self.watched, self.journal
        counters = {
            "begun": watched.begun,
            "ended": watched.ended,
            "failed": watched.failed,
            "connections": self.ready.open_connections(),
        }
        if journal is not None:
            counters |= {
                "kept": journal.kept,
                "not_kept": journal.not_kept,
                "journal_bytes": journal.written_bytes,
            }
        problem = "" if journal is None else journal.problem
        return Stats(counters={**counters, **own_use()}, problem=problem)


@contextlib.asynccontextmanager
async def carrying(
    config: Config,
    *,
    listeners: Iterable[Listener] = (),
    plugin_lines: PluginLines | None = None,
    refused: Sequence[Address] = (),
    shared: Shared | None = None,
) -> AsyncIterator[Carrying]:
    """Carry traffic inside; on the way out drain, then end the journal in order."""
    async with contextlib.AsyncExitStack() as stack:
        workers = 1 if shared is None else shared.workers
        journal = stack.enter_context(journal_of(config, workers))
        hooks = dispatcher_for(config)
        watched = Watched(keeper_of(journal, config), hooks)
        plane = running(
            config,
            listeners,
            watched.lines_to(plugin_lines or log_plugin_lines),
            hooks=hooks,
            keeper=watched,
            refused=refused,
            shared=shared,
        )
        ready = await stack.enter_async_context(plane)
        answers = PluginAnswers(ready.plugins)
        stack.push_async_callback(answers.aclose)
        collect_seldom()
        keep_freed_memory()
        memory = Tasks("memory")
        stack.push_async_callback(memory.close)
        memory.start(give_back_after_falls(ready.open_connections), "give back")
        yield Carrying(ready=ready, watched=watched, journal=journal, answers=answers)
