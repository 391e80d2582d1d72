"""Real and raw clients of a running proxy: programs, CONNECT tunnels, a CONNECT shim.

Knows the proxy's address and CA, nothing of what is inside it.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.support.accepting import Acceptor
from tests.support.h1_peer import H1Peer
from tests.support.h2_peer import H2Peer, h2_over
from tests.support.origin_tls import client_context
from tests.support.patience import PATIENT_S
from tests.support.process import environment

RELAY_BYTES = 65536


class Proxy(Protocol):
    """What a client needs to know."""

    @property
    def address(self) -> tuple[str, int]: ...
    @property
    def ca(self) -> Path: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a program printed and how it ended."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        return self.stdout.decode(errors="replace")

    @property
    def errors(self) -> str:
        return self.stderr.decode(errors="replace")

    def ok(self) -> "Outcome":
        assert self.code == 0, f"exit code {self.code}\n{self.text}\n{self.errors}"
        return self


async def run(
    *command: str | Path,
    home: Path,
    stdin: bytes = b"",
    variables: Mapping[str, str] | None = None,
    within_s: float = PATIENT_S,
    cwd: Path | None = None,
    holds_stdin: bool = False,
) -> Outcome:
    """Run a program to its end, in its own process group; killed past `within_s`.

    `holds_stdin` keeps its input open until it ends by itself; it may then print no
    more than a pipe holds.
    """
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        # With nothing to say, no pipe: who ended early would have closed it by then.
        stdin=subprocess.PIPE if stdin or holds_stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**environment(home), **(variables or {})},
        cwd=cwd or home,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(within_s):
            if holds_stdin:
                assert process.stdin
                process.stdin.write(stdin)
                await process.wait()
                process.stdin.close()
            said = None if holds_stdin else stdin or None
            stdout, stderr = await process.communicate(said)
    except TimeoutError:
        kill_group(process.pid)
        stdout, stderr = await process.communicate()
        shown = (stdout + stderr).decode(errors="replace")
        raise AssertionError(f"{command[0]} ran over {within_s} s\n{shown}") from None
    finally:
        kill_group(process.pid)
    assert process.returncode is not None
    return Outcome(code=process.returncode, stdout=stdout, stderr=stderr)


def kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


async def connect(proxy: Proxy) -> H1Peer:
    """A plain connection to the proxy's port."""
    async with asyncio.timeout(PATIENT_S):
        reader, writer = await asyncio.open_connection(*proxy.address, limit=2**20)
    return H1Peer(reader, writer)


def connect_head(authority: str) -> bytes:
    return f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode()


@contextlib.asynccontextmanager
async def raw(proxy: Proxy) -> AsyncIterator[H1Peer]:
    """A raw connection to the proxy's port, closed on exit."""
    async with await connect(proxy) as peer:
        yield peer


async def refuses_connections(proxy: Proxy) -> None:
    async with asyncio.timeout(PATIENT_S):
        while True:
            try:
                _, writer = await asyncio.open_connection(*proxy.address)
            except OSError:
                return
            writer.close()
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def tunnel(proxy: Proxy, authority: str) -> AsyncIterator[H1Peer]:
    """A connection past its CONNECT: what follows is between client and authority."""
    async with await connect(proxy) as peer:
        await peer.send(connect_head(authority))
        head = await peer.read_head()
        assert head.status == 200, head.head
        yield peer


@contextlib.asynccontextmanager
async def secure(
    proxy: Proxy,
    authority: str,
    *,
    alpn: Iterable[str] = ("http/1.1",),
    server_name: str = "localhost",
) -> AsyncIterator[H1Peer]:
    """A tunnel with TLS in it; the proxy's certificate is verified against `ca.pem`."""
    async with tunnel(proxy, authority) as peer:
        await peer.start_tls(client_context(proxy.ca, list(alpn)), server_name)
        yield peer


@contextlib.asynccontextmanager
async def h2_client(
    proxy: Proxy,
    authority: str,
    *,
    server_name: str = "localhost",
    opens_windows: bool = True,
    knows_http1: bool = True,
) -> AsyncIterator[H2Peer]:
    """HTTP/2 through the proxy, over TLS verified against `ca.pem`.

    For who does not know HTTP/1.1 the proxy asks no origin, within a second, for what
    it speaks.
    """
    alpn = ("h2", "http/1.1") if knows_http1 else ("h2",)
    async with secure(proxy, authority, alpn=alpn, server_name=server_name) as peer:
        assert peer.alpn == "h2", peer.alpn
        async with h2_over(peer.reader, peer.writer, opens_windows=opens_windows) as h2:
            yield h2


@contextlib.asynccontextmanager
async def connect_shim(proxy: Proxy, authority: str) -> AsyncIterator[int]:
    """A local port whose connections are CONNECTed on: for clients without proxies."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(RELAY_BYTES):
                writer.write(data)
                await writer.drain()
            writer.write_eof()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with tunnel(proxy, authority) as inner, asyncio.TaskGroup() as group:
                group.create_task(relay(reader, inner.writer))
                group.create_task(relay(inner.reader, writer))
        finally:
            writer.transport.abort()

    acceptor = Acceptor(serve)
    try:
        yield acceptor.port
    finally:
        await acceptor.aclose()
