"""A proxy of several processes, and clients that a certain one of them serves."""

import contextlib
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import psutil

from tests.support.clients import connect
from tests.support.h1_peer import H1Peer, Message
from tests.support.load import until
from tests.support.process import ProxyProcess

WORKER_MODULE = "int3rceptor.cli.worker"


class CrewProcess(ProxyProcess):
    """`int3rceptor --workers 2`."""

    def __init__(
        self,
        folder: Path,
        *arguments: str | Path,
        planes: Sequence[str],
        config: str = "",
    ) -> None:
        arguments = ("--workers", "2", *arguments)
        super().__init__(folder, *arguments, planes=planes, config=config)

    def workers(self) -> list[psutil.Process]:
        """Its workers that live, the oldest first."""
        return [*_workers(psutil.Process(self.process.pid).children())]

    def everyone(self) -> list[psutil.Process]:
        """All its processes but the first."""
        return psutil.Process(self.process.pid).children()

    @contextlib.asynccontextmanager
    async def client_of(self, worker: psutil.Process) -> AsyncIterator[H1Peer]:
        """A client that this worker serves: no other could take it."""
        others = [one for one in self.workers() if one != worker]
        for one in others:
            one.send_signal(signal.SIGSTOP)
        try:
            client = await connect(self)
            port = client.writer.get_extra_info("sockname")[1]
            await until(lambda: port in _served(worker))
        finally:
            for one in others:
                one.send_signal(signal.SIGCONT)
        async with client:
            yield client


def _workers(children: Sequence[psutil.Process]) -> Iterator[psutil.Process]:
    for one in children:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if WORKER_MODULE in one.cmdline():
                yield one


def _served(worker: psutil.Process) -> set[int]:
    """The ports of the clients that it has accepted."""
    return {
        one.raddr.port
        for one in worker.net_connections("tcp")
        if one.status == psutil.CONN_ESTABLISHED
    }


async def ask(client: H1Peer, netloc: str, path: str = "/") -> Message:
    """One request on a connection that stays open."""
    head = f"GET http://{netloc}{path} HTTP/1.1\r\nHost: {netloc}\r\n\r\n"
    await client.send(head.encode())
    return await client.read_response()
