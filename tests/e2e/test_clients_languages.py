"""Programs written in other languages: node's http, fetch and http2; Go; Java."""

import json
from pathlib import Path

import pytest

from tests.support import tools
from tests.support.clients import Proxy, run
from tests.support.nginx import SMALL, Nginx

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(180)]

PROGRAMS = Path(__file__).with_name("programs")
COMPILE_AND_RUN_S = 120.0


def settings(proxy: Proxy, nginx: Nginx, client: str) -> dict[str, str]:
    """What each program reads from its environment."""
    return {
        "PROXY_HOST": proxy.address[0],
        "PROXY_PORT": str(proxy.address[1]),
        "PROXY_CA": str(proxy.ca),
        "ORIGIN": nginx.h2,
        "MARK": client,
    }


def check(printed: str, nginx: Nginx, client: str, protocols: dict[str, str]) -> None:
    """Each line the program printed is one JSON report of what it saw."""
    reports = {
        report["client"]: report for report in map(json.loads, printed.splitlines())
    }
    for name, protocol in protocols.items():
        report = reports[name]
        assert report["small"] == SMALL.decode(), report
        assert report["large_sha256"] == nginx.large_sha256, report
        assert report["upload_status"] == 201, report
        assert report["http2"] is (protocol == "HTTP/2.0"), report
        (seen,) = nginx.received(f"/small.txt?{client}-{name}")
        assert seen["protocol"] == protocol
        uploaded = (nginx.www / "upload" / f"{client}-{name}").read_bytes()
        assert uploaded == b"u" * 200_000


async def test_node(proxy: Proxy, nginx: Nginx, home: Path) -> None:
    outcome = await run(
        tools.require("node"),
        PROGRAMS / "client.mjs",
        home=home,
        variables=settings(proxy, nginx, "node"),
    )

    h1, h2 = "HTTP/1.1", "HTTP/2.0"
    check(outcome.ok().text, nginx, "node", {"https": h1, "fetch": h1, "http2": h2})


async def test_go(proxy: Proxy, nginx: Nginx, home: Path) -> None:
    outcome = await run(
        tools.require("go"),
        "run",
        PROGRAMS / "client.go",
        home=home,
        variables={
            **settings(proxy, nginx, "go"),
            "GO111MODULE": "off",
            "GOFLAGS": "-mod=mod",
            "GOPROXY": "off",
        },
        within_s=COMPILE_AND_RUN_S,
    )

    check(outcome.ok().text, nginx, "go", {"h1": "HTTP/1.1", "h2": "HTTP/2.0"})


async def test_java(proxy: Proxy, nginx: Nginx, home: Path) -> None:
    store = home / "trust.p12"
    imported = await run(
        tools.require("keytool"),
        "-importcert",
        "-noprompt",
        "-alias",
        "int3rceptor",
        "-file",
        proxy.ca,
        "-keystore",
        store,
        "-storetype",
        "PKCS12",
        "-storepass",
        "changeit",
        home=home,
    )
    imported.ok()

    outcome = await run(
        tools.require("java"),
        "-XX:TieredStopAtLevel=1",
        f"-Djavax.net.ssl.trustStore={store}",
        "-Djavax.net.ssl.trustStorePassword=changeit",
        PROGRAMS / "Client.java",
        home=home,
        variables=settings(proxy, nginx, "java"),
        within_s=COMPILE_AND_RUN_S,
    )

    check(outcome.ok().text, nginx, "java", {"h1": "HTTP/1.1", "h2": "HTTP/2.0"})
