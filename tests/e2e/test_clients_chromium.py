"""Chromium: a page with many resources over HTTP/2, and a WebSocket, through the proxy.

The CA is trusted through an NSS database of the test's own; nothing switches
verification off.
"""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support import tools
from tests.support.clients import Proxy, kill_group, run
from tests.support.nginx import Nginx
from tests.support.origins import websocket_origin
from tests.support.patience import PATIENT_S
from tests.support.process import environment

pytestmark = [pytest.mark.clients, pytest.mark.slow]

RESOURCES = 40
POLL_S = 0.1
STOP_S = 5.0

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    # Without this Chromium never asks a proxy for a loopback address.
    "--proxy-bypass-list=<-loopback>",
]
PAGE = """<!doctype html><title>parallel</title><script>
const count = %(count)d;
const text = (url) => fetch(url, {cache: "no-store"}).then((answer) => answer.text());
const socket = () => new Promise((resolve, reject) => {
  const socket = new WebSocket("wss://" + location.host + "/to/%(socket)d/");
  socket.onopen = () => socket.send("over the socket");
  socket.onmessage = (event) => { resolve(event.data); socket.close(); };
  socket.onerror = () => reject("WebSocket failed");
});
const all = async () => {
  const names = Array.from({length: count}, (_, number) => `part-${number}.txt`);
  const parts = await Promise.all(names.map(text));
  const entries = performance.getEntriesByType("resource");
  const protocols = new Set(entries.map((entry) => entry.nextHopProtocol));
  return {
    parts: parts.join(""),
    protocols: [...protocols],
    page: performance.getEntriesByType("navigation")[0].nextHopProtocol,
    socket: await socket(),
  };
};
const beacon = (result) =>
  fetch("/beacon?result=" + encodeURIComponent(JSON.stringify(result)));
all().then(beacon, (error) => beacon({error: String(error)}));
</script>"""


async def trust(home: Path, ca: Path) -> None:
    """Make this home's NSS database, with this CA trusted for servers."""
    certutil = tools.require("certutil")
    folder = home / ".pki/nssdb"
    folder.mkdir(parents=True)
    database = f"sql:{folder}"
    (await run(certutil, "-d", database, "-N", "--empty-password", home=home)).ok()
    added = ("-A", "-t", "C,,", "-n", "int3rceptor", "-i", ca)
    (await run(certutil, "-d", database, *added, home=home)).ok()


def written_page(nginx: Nginx, socket_port: int) -> str:
    folder = nginx.www / "page"
    folder.mkdir(exist_ok=True)
    (folder / "index.html").write_text(
        PAGE % {"count": RESOURCES, "socket": socket_port}
    )
    for number in range(RESOURCES):
        (folder / f"part-{number}.txt").write_text(f"{number};")
    return f"https://{nginx.h2}/page/index.html"


@contextlib.asynccontextmanager
async def chromium(proxy: Proxy, home: Path, url: str) -> AsyncIterator[None]:
    host, port = proxy.address
    with (home / "chromium.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            tools.require("chromium"),
            *FLAGS,
            f"--user-data-dir={home / 'profile'}",
            f"--proxy-server=http://{host}:{port}",
            # Keeps the browser open without a console.
            "--remote-debugging-port=0",
            url,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(home),
            start_new_session=True,
        )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await process.wait()
        kill_group(process.pid)
        await process.wait()


async def beacon(nginx: Nginx) -> dict[str, object] | None:
    """What the page reported to the origin; None when it did not in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENT_S):
            while True:
                for request in nginx.requests():
                    parts = urlsplit(str(request["uri"]))
                    if parts.path == "/beacon":
                        result = parse_qs(parts.query)["result"][0]
                        report: dict[str, object] = json.loads(result)
                        return report
                await asyncio.sleep(POLL_S)
    return None


async def test_page_with_parallel_resources_and_a_websocket(
    proxy: Proxy, nginx: Nginx, home: Path
) -> None:
    await trust(home, proxy.ca)

    async with websocket_origin() as socket_port:
        url = written_page(nginx, socket_port)
        async with chromium(proxy, home, url):
            report = await beacon(nginx)

    assert report, (home / "chromium.log").read_text(errors="replace")[-4000:]
    assert report == {
        "parts": "".join(f"{number};" for number in range(RESOURCES)),
        "protocols": ["h2"],
        "page": "h2",
        "socket": "over the socket",
    }
    parts = [one for one in nginx.requests() if "/page/part-" in str(one["uri"])]
    assert len(parts) == RESOURCES
    assert {(one["protocol"], one["host"]) for one in parts} == {("HTTP/2.0", nginx.h2)}
    agents = {str(one["agent"]) for one in parts}
    assert all("Chrome/" in agent for agent in agents)
