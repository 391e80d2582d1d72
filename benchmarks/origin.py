"""The origin behind every proxy: one nginx worker with certificates of its own.

Plain HTTP, HTTP/1.1 and HTTP/2 inside TLS stand on three ports, so that a scenario
knows which version a proxy speaks upstream. Hosts for first contacts are loopback
addresses, each with a certificate of its own: they need no resolver and no privilege.
Uploads are WebDAV PUTs: nginx answers only when it has the whole body in a file, whose
size and checksum prove that it was read. /seen answers with what a request looked like
here: the HTTP version that a proxy spoke, and the header of the plugin in question.
"""

import os
import shutil
import socket
import subprocess
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from benchmarks.measure import BenchmarkError, pause, spawn, stop

HOST = "localhost"
ADDRESS = "127.0.0.1"
SMALL_BODY = bytes(range(256)) * 4  # 1 KiB
START_TIMEOUT_S = 60.0
# Every so many bytes of the bulk file carry their offset, so that its checksum notices
# pieces lost or swapped; the rest stays a hole, which costs no memory.
BULK_MARK_EVERY_BYTES = 64 * 1024
CRC_CHUNK_BYTES = 1024 * 1024

MAX_HOSTS = 60_000  # what one /16 holds with room to spare
HOSTS_PER_NET = 250

CONFIG = """\
{user}
daemon off;
worker_rlimit_nofile 65536;
worker_processes 1;
pid {root}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 32768; }}
http {{
    access_log off;
    default_type application/octet-stream;
    keepalive_timeout 1h;
    keepalive_time 24h;
    keepalive_requests 1000000000;
    client_max_body_size 0;
    client_body_temp_path {root}/tmp;
    proxy_temp_path {root}/tmp;
    fastcgi_temp_path {root}/tmp;
    uwsgi_temp_path {root}/tmp;
    scgi_temp_path {root}/tmp;
    ssl_certificate {root}/origin.pem;
    ssl_certificate_key {root}/origin.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    server {{
        listen {address}:{h1_port} ssl backlog=4096;
        root {root}/files;
        location = /seen {{ return 200 "$server_protocol $http_x_stamp"; }}
        location /upload/ {{ dav_methods PUT; }}
    }}
    server {{
        listen {address}:{h2_port} ssl http2 backlog=4096;
        root {root}/files;
        location = /seen {{ return 200 "$server_protocol $http_x_stamp"; }}
        location /upload/ {{ dav_methods PUT; }}
    }}
    server {{
        listen {address}:{plain_port} backlog=4096;
        root {root}/files;
    }}
    {hosts}
}}
"""
HOST_CONFIG = """
    server {{
        listen {host}:{port} ssl;
        ssl_certificate {root}/hosts/{host}.pem;
        ssl_certificate_key {root}/hosts/{host}.pem;
        root {root}/files;
    }}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A running origin; URLs are https://localhost:PORT/small and /bulk."""

    pid: int
    plain_port: int
    h1_port: int
    h2_port: int
    ca_pem: Path
    small: Path
    bulk: Path
    bulk_bytes: int
    bulk_crc: int
    upload: Path

    @property
    def leaf_pem(self) -> Path:
        """Its key and certificate, for a server beside it."""
        return self.ca_pem.with_name("origin.pem")

    def port(self, version: str) -> int:
        """The port that speaks `version` ("plain", "h1" or "h2")."""
        ports = {"plain": self.plain_port, "h1": self.h1_port, "h2": self.h2_port}
        return ports[version]


def file_crc(path: Path) -> int:
    """CRC-32 of a file of any size."""
    crc = 0
    with path.open("rb") as file:
        while chunk := file.read(CRC_CHUNK_BYTES):
            crc = zlib.crc32(chunk, crc)
    return crc


def free_port() -> int:
    """A port that was free a moment ago, for programs that cannot take port 0."""
    with socket.create_server((ADDRESS, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until `process` accepts on `port`; says what it printed when it does not."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((ADDRESS, port)) == 0:
                return
        pause()
    shown = log.read_text(errors="replace")[-2000:]
    raise BenchmarkError(f"{process.args!r} does not listen on {port}:\n{shown}")


def wait_for_file(path: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until `process` has written `path`; says what it printed when it does not."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        if path.exists():
            return
        pause()
    shown = log.read_text(errors="replace")[-2000:]
    raise BenchmarkError(f"{process.args!r} did not write {path.name}:\n{shown}")


def _write_files(root: Path, bulk_bytes: int) -> None:
    (root / "tmp").mkdir()
    (root / "files" / "upload").mkdir(parents=True)
    (root / "files" / "small").write_bytes(SMALL_BODY)
    with (root / "files" / "bulk").open("wb") as bulk:
        for offset in range(0, bulk_bytes, BULK_MARK_EVERY_BYTES):
            bulk.seek(offset)
            bulk.write(offset.to_bytes(8, "big"))
        bulk.truncate(bulk_bytes)


def numbered_host(number: int) -> str:
    """The address of the host for first contact `number`, from 0."""
    return f"127.100.{number // HOSTS_PER_NET}.{number % HOSTS_PER_NET + 1}"


def _write_certificates(root: Path, hosts: list[str]) -> Path:
    authority = trustme.CA(
        organization_name="Benchmark origin CA", key_type=trustme.KeyType.ECDSA
    )
    leaf = authority.issue_cert(HOST, ADDRESS, key_type=trustme.KeyType.ECDSA)
    leaf.private_key_and_cert_chain_pem.write_to_path(root / "origin.pem")
    (root / "hosts").mkdir()
    for host in hosts:
        # Squid looks for an address in the common name alone.
        leaf = authority.issue_cert(
            host, common_name=host, key_type=trustme.KeyType.ECDSA
        )
        leaf.private_key_and_cert_chain_pem.write_to_path(
            root / "hosts" / f"{host}.pem"
        )
    authority.cert_pem.write_to_path(root / "origin-ca.pem")
    return root / "origin-ca.pem"


def _write_config(root: Path, ports: dict[str, int], hosts: list[str]) -> Path:
    config = root / "nginx.conf"
    blocks = (
        HOST_CONFIG.format(root=root, host=host, port=ports["h1"]) for host in hosts
    )
    config.write_text(
        CONFIG.format(
            # By default root's nginx gives its worker to a user who cannot read here.
            user="user root;" if os.geteuid() == 0 else "",
            root=root,
            address=ADDRESS,
            plain_port=ports["plain"],
            h1_port=ports["h1"],
            h2_port=ports["h2"],
            hosts="".join(blocks),
        )
    )
    return config


@contextmanager
def running_origin(
    root: Path, core: int, *, bulk_bytes: int, hosts: int
) -> Iterator[Origin]:
    """nginx in `root` (an existing, empty directory, best in RAM) on `core`.

    `hosts`: how many `numbered_host`s it answers for, beside `localhost`.
    """
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if nginx is None:
        raise BenchmarkError("nginx is not installed: it is the origin of every run")
    if hosts > MAX_HOSTS:
        raise BenchmarkError(f"{hosts} hosts for first contacts: at most {MAX_HOSTS}")
    names = [numbered_host(number) for number in range(hosts)]
    _write_files(root, bulk_bytes)
    ca_pem = _write_certificates(root, names)
    ports = {version: free_port() for version in ("plain", "h1", "h2")}
    config = _write_config(root, ports, names)
    log = root / "nginx.log"
    command = [nginx, "-e", "stderr", "-p", str(root), "-c", str(config)]
    with log.open("wb") as output:
        process = spawn(command, core, output=output)
        try:
            # Written when all ports are bound: before, somebody else may answer there.
            wait_for_file(root / "nginx.pid", process, log)
            yield Origin(
                pid=process.pid,
                plain_port=ports["plain"],
                h1_port=ports["h1"],
                h2_port=ports["h2"],
                ca_pem=ca_pem,
                small=root / "files" / "small",
                bulk=root / "files" / "bulk",
                bulk_bytes=bulk_bytes,
                bulk_crc=file_crc(root / "files" / "bulk"),
                upload=root / "files" / "upload" / "body",
            )
        finally:
            stop(process)
