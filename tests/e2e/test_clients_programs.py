"""Programs with TLS stacks of their own: wget, git, pip, nghttp, GnuTLS, OpenSSL."""

import base64
import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support import tools
from tests.support.clients import Proxy, connect_shim, run
from tests.support.nginx import SMALL, Nginx

pytestmark = pytest.mark.clients

GIT_IDENTITY = {
    "GIT_AUTHOR_NAME": "A Tester",
    "GIT_AUTHOR_EMAIL": "tester@example.test",
    "GIT_COMMITTER_NAME": "A Tester",
    "GIT_COMMITTER_EMAIL": "tester@example.test",
    "GIT_CONFIG_NOSYSTEM": "1",
}


def proxy_url(proxy: Proxy) -> str:
    return f"http://{proxy.address[0]}:{proxy.address[1]}"


async def test_wget(proxy: Proxy, nginx: Nginx, home: Path) -> None:
    outcome = await run(
        tools.require("wget"),
        "--no-config",
        "--no-hsts",
        "--tries=1",
        "--timeout=10",
        f"--ca-certificate={proxy.ca}",
        f"--execute=https_proxy={proxy_url(proxy)}",
        "--output-document=-",
        f"https://{nginx.h2}/large.bin?wget",
        home=home,
    )

    assert hashlib.sha256(outcome.ok().stdout).hexdigest() == nginx.large_sha256
    (seen,) = nginx.received("/large.bin?wget")
    assert str(seen["agent"]).startswith("Wget/")


async def test_git_clone(proxy: Proxy, nginx: Nginx, home: Path) -> None:
    git = tools.require("git")
    source, bare = home / "source", nginx.www / "repo.git"
    source.mkdir()
    (source / "file.bin").write_bytes(nginx.large[:300_000])
    steps = [
        (git, "init", "--quiet", "--initial-branch=main"),
        (git, "add", "."),
        (git, "commit", "--quiet", "--message=first"),
        (git, "clone", "--quiet", "--bare", ".", bare),
        (git, f"--git-dir={bare}", "update-server-info"),
    ]
    for step in steps:
        (await run(*step, home=home, cwd=source, variables=GIT_IDENTITY)).ok()

    outcome = await run(
        git,
        "-c",
        f"http.proxy={proxy_url(proxy)}",
        "-c",
        f"http.sslCAInfo={proxy.ca}",
        "clone",
        f"https://{nginx.h2}/repo.git",
        home / "clone",
        home=home,
        variables=GIT_IDENTITY,
    )

    outcome.ok()
    assert (home / "clone/file.bin").read_bytes() == nginx.large[:300_000]
    (seen,) = nginx.received("/repo.git/info/refs?service=git-upload-pack")
    assert str(seen["agent"]).startswith("git/")


def write_index(nginx: Nginx) -> Path:
    """A simple package index with one wheel; the wheel."""
    pages = nginx.www / "index/simple/tiny-package"
    pages.mkdir(parents=True)
    wheel = pages / "tiny_package-1.0-py3-none-any.whl"
    info = "tiny_package-1.0.dist-info"
    named = "Name: tiny-package\nVersion: 1.0\n"
    files = {
        "tiny_package.py": "ANSWER = 42\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\n{named}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n",
    }
    record = ""
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
            record += f"{name},sha256={digest.decode().rstrip('=')},{len(text)}\n"
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    (pages / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
    return wheel


async def test_pip_download(proxy: Proxy, nginx: Nginx, home: Path) -> None:
    wheel = write_index(nginx)

    outcome = await run(
        sys.executable,
        "-m",
        "pip",
        "--isolated",
        "--disable-pip-version-check",
        "--retries=0",
        "--timeout=10",
        f"--proxy={proxy_url(proxy)}",
        f"--cert={proxy.ca}",
        "download",
        "--no-cache-dir",
        "--no-deps",
        f"--index-url=https://{nginx.h1}/index/simple/",
        f"--dest={home}",
        "tiny-package",
        home=home,
        variables={"PIP_CONFIG_FILE": "/dev/null"},
    )

    outcome.ok()
    assert (home / wheel.name).read_bytes() == wheel.read_bytes()
    (seen, *_) = nginx.received("/index/simple/tiny-package/")
    assert str(seen["agent"]).startswith("pip/")


async def test_nghttp(proxy: Proxy, nginx: Nginx, home: Path) -> None:
    nghttp = tools.require("nghttp")

    async with connect_shim(proxy, nginx.h2) as port:
        outcome = await run(
            nghttp,
            "--stat",
            f"--header=:authority: {nginx.h2}",
            "--multiply=20",
            f"https://localhost:{port}/small.txt?nghttp",
            home=home,
            # nghttp looks here for trusted certificates, and warns when it finds none.
            variables={"SSL_CERT_FILE": str(proxy.ca)},
        )

    assert outcome.ok().stdout.count(SMALL) == 20
    assert "WARNING" not in outcome.errors
    seen = nginx.received("/small.txt?nghttp", 20)
    assert {(one["protocol"], one["host"]) for one in seen} == {("HTTP/2.0", nginx.h2)}


async def test_h2load(proxy: Proxy, nginx: Nginx, home: Path) -> None:
    h2load = tools.require("h2load")

    async with connect_shim(proxy, nginx.h2) as port:
        outcome = await run(
            h2load,
            "--requests=400",
            "--clients=2",
            "--max-concurrent-streams=20",
            f"--header=:authority: {nginx.h2}",
            f"https://localhost:{port}/small.txt?h2load",
            home=home,
        )

    assert "400 succeeded, 0 failed, 0 errored, 0 timeout" in outcome.ok().text
    assert "status codes: 400 2xx" in outcome.text
    assert len(nginx.received("/small.txt?h2load", 400)) == 400


async def test_gnutls_cli(proxy: Proxy, nginx: Nginx, home: Path) -> None:
    gnutls_cli = tools.require("gnutls-cli")
    request = f"GET /small.txt?gnutls HTTP/1.1\r\nHost: {nginx.h1}\r\n"

    async with connect_shim(proxy, nginx.h1) as port:
        outcome = await run(
            gnutls_cli,
            f"--x509cafile={proxy.ca}",
            f"--port={port}",
            "localhost",
            home=home,
            stdin=f"{request}Connection: close\r\n\r\n".encode(),
            # At the end of its input it would leave without waiting for the answer.
            holds_stdin=True,
        )

    assert "The certificate is trusted" in outcome.ok().text
    assert SMALL in outcome.stdout
    assert len(nginx.received("/small.txt?gnutls")) == 1


@pytest.mark.parametrize("version", ["tls1_2", "tls1_3"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_openssl_in_strict_mode(
    proxy: Proxy, nginx: Nginx, home: Path, version: str, host: str
) -> None:
    name = ("-servername", host) if host == "localhost" else ("-noservername",)
    check = "-verify_hostname" if host == "localhost" else "-verify_ip"
    mark = f"{version}-{host}"

    outcome = await run(
        tools.require("openssl"),
        "s_client",
        f"-{version}",
        "-proxy",
        proxy_url(proxy).removeprefix("http://"),
        "-connect",
        f"{host}:{nginx.ports['h1']}",
        *name,
        check,
        host,
        "-CAfile",
        proxy.ca,
        "-x509_strict",
        "-purpose",
        "sslserver",
        "-verify_return_error",
        "-ign_eof",
        home=home,
        stdin=(
            f"GET /small.txt?{mark} HTTP/1.1\r\n"
            f"Host: {host}\r\nConnection: close\r\n\r\n"
        ).encode(),
    )

    assert "Verify return code: 0 (ok)" in outcome.ok().text
    assert SMALL in outcome.stdout
    assert len(nginx.received(f"/small.txt?{mark}")) == 1
