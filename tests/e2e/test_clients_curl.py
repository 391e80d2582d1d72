"""curl, over HTTP/1.1 and HTTP/2, against nginx and scripted origins."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from tests.support import tools
from tests.support.clients import Outcome, Proxy, run
from tests.support.h1_peer import H1Peer, chunked, response
from tests.support.nginx import SMALL, TEXT, Nginx
from tests.support.origin_tls import OriginTls
from tests.support.origins import AnsweringOrigin, ScriptedOrigin, echo, fixed

pytestmark = pytest.mark.clients

PEER_CERTIFICATE_FAILED = 60
VERSIONS = ["--http1.1", "--http2"]
SHOWN = {"--http1.1": "1.1", "--http2": "2"}


async def curl(
    proxy: Proxy, home: Path, *arguments: str | Path, stdin: bytes = b""
) -> Outcome:
    return await run(
        tools.require("curl"),
        "--silent",
        "--show-error",
        "--max-time",
        "12",
        "--proxy",
        f"http://{proxy.address[0]}:{proxy.address[1]}",
        *arguments,
        home=home,
        stdin=stdin,
    )


@pytest.mark.parametrize("version", VERSIONS)
async def test_download(proxy: Proxy, nginx: Nginx, home: Path, version: str) -> None:
    target = f"/small.txt?download{version}"

    outcome = await curl(
        proxy,
        home,
        version,
        "--cacert",
        proxy.ca,
        "--write-out",
        "%{http_version} %{http_code} %{ssl_verify_result}",
        f"https://{nginx.h2}{target}",
    )

    assert outcome.ok().stdout == SMALL + f"{SHOWN[version]} 200 0".encode()
    (seen,) = nginx.received(target)
    assert seen["host"] == nginx.h2
    assert seen["protocol"] == ("HTTP/2.0" if version == "--http2" else "HTTP/1.1")
    assert str(seen["agent"]).startswith("curl/")


async def test_a_client_that_does_not_trust_the_ca_refuses(
    proxy: Proxy, nginx: Nginx, home: Path, origin_tls: OriginTls
) -> None:
    outcome = await curl(
        proxy,
        home,
        "--cacert",
        origin_tls.ca,
        f"https://{nginx.h2}/small.txt?untrusted",
    )

    assert outcome.code == PEER_CERTIFICATE_FAILED
    assert not [seen for seen in nginx.requests() if "untrusted" in str(seen["uri"])]


@pytest.mark.parametrize("version", VERSIONS)
async def test_large_download(
    proxy: Proxy, nginx: Nginx, home: Path, version: str
) -> None:
    outcome = await curl(
        proxy, home, version, "--cacert", proxy.ca, f"https://{nginx.h2}/large.bin"
    )

    assert sha256(outcome.ok().stdout).hexdigest() == nginx.large_sha256


@pytest.mark.parametrize("version", VERSIONS)
async def test_upload_of_a_file(
    proxy: Proxy, nginx: Nginx, home: Path, version: str
) -> None:
    file = home / "upload.bin"
    file.write_bytes(nginx.large[: 3 * 1024 * 1024 + 1])
    name = f"curl{version}.bin"

    outcome = await curl(
        proxy,
        home,
        version,
        "--cacert",
        proxy.ca,
        "--write-out",
        "%{http_code}",
        "--upload-file",
        file,
        f"https://{nginx.h2}/upload/{name}",
    )

    assert outcome.ok().text == "201"
    assert (nginx.www / "upload" / name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("version", VERSIONS)
async def test_upload_of_unknown_length(
    proxy: Proxy, origin_tls: OriginTls, nginx: Nginx, home: Path, version: str
) -> None:
    body = nginx.large[:500_000]

    async with AnsweringOrigin(echo, tls=origin_tls.server()) as origin:
        outcome = await curl(
            proxy,
            home,
            version,
            "--cacert",
            proxy.ca,
            "--upload-file",
            "-",
            f"{origin.url}/stream",
            stdin=body,
        )

        (request,) = origin.requests
    assert json.loads(outcome.ok().stdout)["body_sha256"] == sha256(body).hexdigest()
    assert request.body == body
    assert request.is_chunked
    assert request.value("content-length") is None


@pytest.mark.parametrize("version", VERSIONS)
async def test_expect_100_continue_waits_for_the_origin(
    proxy: Proxy, origin_tls: OriginTls, home: Path, version: str
) -> None:
    body = b"x" * 4000

    async with AnsweringOrigin(echo, tls=origin_tls.server()) as origin:
        outcome = await curl(
            proxy,
            home,
            version,
            "--cacert",
            proxy.ca,
            "--verbose",
            "--expect100-timeout",
            "10",
            "--header",
            "Expect: 100-continue",
            "--data-binary",
            body.decode(),
            f"{origin.url}/expect",
        )

        (request,) = origin.requests
    assert request.value("expect") == b"100-continue"
    assert request.body == body
    assert " 100" in "".join(
        line for line in outcome.ok().errors.splitlines() if line.startswith("< HTTP/")
    )
    assert json.loads(outcome.stdout)["body_bytes"] == len(body)


async def test_expect_refused_by_the_origin_keeps_the_body_back(
    proxy: Proxy, origin_tls: OriginTls, home: Path
) -> None:
    async def refuse(peer: H1Peer) -> None:
        await peer.read_head()
        await peer.send(
            response(b"no", "417 Expectation Failed", {"Connection": "close"})
        )

    async with ScriptedOrigin(refuse, tls=origin_tls.server()) as origin:
        outcome = await curl(
            proxy,
            home,
            "--http1.1",
            "--cacert",
            proxy.ca,
            "--expect100-timeout",
            "10",
            "--header",
            "Expect: 100-continue",
            "--data-binary",
            "never sent",
            "--write-out",
            " %{http_code}",
            f"{origin.url}/refused",
        )
        await origin.wait_ended()

        (peer,) = origin.peers
    assert outcome.ok().text == "no 417"
    assert b"never sent" not in peer.received


@pytest.mark.parametrize("version", VERSIONS)
async def test_response_trailers_reach_the_client(
    proxy: Proxy, origin_tls: OriginTls, home: Path, version: str
) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer += chunked(b"one ", b"two", trailers={"X-Sum": "42"})

    async with AnsweringOrigin(fixed(answer), tls=origin_tls.server()) as origin:
        outcome = await curl(
            proxy,
            home,
            version,
            "--cacert",
            proxy.ca,
            "--dump-header",
            home / "head",
            f"{origin.url}/trailers",
        )

    assert outcome.ok().text == "one two"
    assert "x-sum: 42" in (home / "head").read_text().lower().splitlines()


@pytest.mark.parametrize("version", VERSIONS)
async def test_head(proxy: Proxy, nginx: Nginx, home: Path, version: str) -> None:
    outcome = await curl(
        proxy,
        home,
        version,
        "--cacert",
        proxy.ca,
        "--head",
        f"https://{nginx.h2}/large.bin",
    )

    assert f"content-length: {len(nginx.large)}" in outcome.ok().text.lower()


@pytest.mark.parametrize("version", VERSIONS)
async def test_compressed_body_passes_untouched(
    proxy: Proxy, nginx: Nginx, home: Path, version: str
) -> None:
    outcome = await curl(
        proxy,
        home,
        version,
        "--cacert",
        proxy.ca,
        "--compressed",
        "--write-out",
        "%{stderr}%{size_download}",
        f"https://{nginx.h2}/text.txt?compressed{version}",
    )

    assert outcome.ok().stdout == TEXT
    assert int(outcome.errors) < len(TEXT) / 10
    (seen,) = nginx.received(f"/text.txt?compressed{version}")
    assert "gzip" in str(seen["accept"])


@pytest.mark.parametrize("version", VERSIONS)
async def test_many_at_once(
    proxy: Proxy, nginx: Nginx, home: Path, version: str
) -> None:
    urls = f"https://{nginx.h2}/small.txt?many{version}[1-60]"

    outcome = await curl(
        proxy,
        home,
        version,
        "--cacert",
        proxy.ca,
        "--parallel",
        "--parallel-max",
        "20",
        urls,
    )

    assert outcome.ok().stdout == SMALL * 60
    uris = {str(seen["uri"]) for seen in nginx.requests()}
    assert {f"/small.txt?many{version}{number}" for number in range(1, 61)} <= uris


async def test_plain_http(proxy: Proxy, home: Path) -> None:
    async with AnsweringOrigin(echo) as origin:
        outcome = await curl(
            proxy, home, "--header", "X-Case: Kept", f"{origin.url}/path?query=1"
        )

        (request,) = origin.requests
    # A proxy asks the origin in origin-form, whatever form it was asked in.
    assert request.start_line == b"GET /path?query=1 HTTP/1.1"
    assert request.values("host") == [origin.netloc.encode()]
    assert (b"X-Case", b"Kept") in request.headers
    assert request.value("proxy-connection") is None
    assert json.loads(outcome.ok().stdout)["line"] == "GET /path?query=1 HTTP/1.1"


async def test_redirect_followed(proxy: Proxy, nginx: Nginx, home: Path) -> None:
    outcome = await curl(
        proxy, home, "--cacert", proxy.ca, "--location", f"https://{nginx.h1}/redirect"
    )

    assert outcome.ok().stdout == SMALL


async def test_ip_address_as_the_host(proxy: Proxy, nginx: Nginx, home: Path) -> None:
    outcome = await curl(
        proxy,
        home,
        "--cacert",
        proxy.ca,
        f"https://127.0.0.1:{nginx.ports['h2']}/small.txt?address",
    )

    assert outcome.ok().stdout == SMALL
    (seen,) = nginx.received("/small.txt?address")
    assert seen["host"] == f"127.0.0.1:{nginx.ports['h2']}"


@pytest.mark.parametrize("limit", ["1.2", "1.3"])
async def test_each_tls_version(
    proxy: Proxy, nginx: Nginx, home: Path, limit: str
) -> None:
    outcome = await curl(
        proxy,
        home,
        f"--tlsv{limit}",
        "--tls-max",
        limit,
        "--cacert",
        proxy.ca,
        "--verbose",
        f"https://{nginx.h2}/small.txt",
    )

    assert outcome.ok().stdout == SMALL
    assert f"SSL connection using TLSv{limit}" in outcome.errors
