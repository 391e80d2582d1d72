"""A real nginx as an origin: four servers over one document root, and its own record.

Every request is logged as JSON, so that a test can ask what nginx received. Runs
without privileges in a folder of its own.
"""

import contextlib
import json
import os
import random
import socket
import subprocess
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from tests.support import tools
from tests.support.origin_tls import OriginTls
from tests.support.patience import PATIENT_S

TRIES = 3
POLL_S = 0.02

SMALL = b"a small file\n"
LARGE_BYTES = 8 * 1024 * 1024
TEXT = b"compressible text " * 4096

CONFIG = """
daemon off;
master_process off;
pid {root}/nginx.pid;
error_log {root}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    log_format record escape=json '{{"method":"$request_method","uri":"$request_uri",'
        '"protocol":"$server_protocol","host":"$http_host","agent":"$http_user_agent",'
        '"status":$status,"bytes":$body_bytes_sent,"length":"$http_content_length",'
        '"encoding":"$http_transfer_encoding","connection":$connection,'
        '"stamp":"$http_x_seen","accept":"$http_accept_encoding",'
        '"server_port":"$server_port"}}';
    access_log {root}/access.log record;
    types {{
        text/html html; text/plain txt; application/javascript js; text/css css;
        image/svg+xml svg; application/octet-stream bin whl;
    }}
    default_type application/octet-stream;
    client_body_temp_path {root}/t1; proxy_temp_path {root}/t2;
    fastcgi_temp_path {root}/t3; uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
    client_max_body_size 64m;
    large_client_header_buffers 8 32k;
    http2_max_concurrent_streams 64;
    gzip on; gzip_min_length 1000; gzip_types text/plain;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate {bundle}; ssl_certificate_key {bundle};
    root {root}/www;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}

    server {{
        listen 127.0.0.1:{h2} ssl http2;
        {common}
    }}
    server {{
        listen 127.0.0.1:{h1} ssl;
        {common}
    }}
    server {{
        listen 127.0.0.1:{short} ssl http2;
        keepalive_requests 10;
        {common}
    }}
    server {{
        listen 127.0.0.1:{plain};
        {common}
    }}
}}
"""
COMMON = """
        location /index/ {{ index index.html; }}
        location /upload/ {{ dav_methods PUT; create_full_put_path on; }}
        location /beacon {{ return 204; }}
        location /redirect {{ return 302 /small.txt; }}
        location ~ ^/to/(?<peer>[0-9]+)(?<rest>/.*)$ {{
            proxy_pass http://127.0.0.1:$peer$rest$is_args$args;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }}
"""


class Nginx:
    """The running origin: its ports, its files and what it received."""

    def __init__(self, root: Path, tls: OriginTls) -> None:
        self.root = root
        self.www = root / "www"
        self.www.mkdir()
        # Seeded: the same file in every run, and gzip cannot shrink it.
        self.large = random.Random(1).randbytes(LARGE_BYTES)
        self.large_sha256 = sha256(self.large).hexdigest()
        (self.www / "small.txt").write_bytes(SMALL)
        (self.www / "large.bin").write_bytes(self.large)
        (self.www / "text.txt").write_bytes(TEXT)
        self._tls = tls

    @property
    def h2(self) -> str:
        """`localhost:PORT` of the server with HTTP/2 and HTTP/1.1; the rest alike."""
        return f"localhost:{self.ports['h2']}"

    @property
    def h1(self) -> str:
        return f"localhost:{self.ports['h1']}"

    @property
    def short(self) -> str:
        return f"localhost:{self.ports['short']}"

    @property
    def plain(self) -> str:
        return f"localhost:{self.ports['plain']}"

    def write_config(self) -> Path:
        self.ports = dict(
            zip(("h2", "h1", "short", "plain"), free_ports(4), strict=True)
        )
        path = self.root / "nginx.conf"
        text = CONFIG.format(
            root=self.root,
            bundle=self._tls.bundle(),
            common=COMMON.format(),
            **self.ports,
        )
        path.write_text(text)
        return path

    def requests(self) -> list[dict[str, object]]:
        """Every request so far, in the order they ended."""
        lines = (self.root / "access.log").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def received(self, uri: str, count: int = 1) -> list[dict[str, object]]:
        """The requests for this URI, once there are so many."""
        deadline = time.monotonic() + PATIENT_S
        while True:
            found = [request for request in self.requests() if request["uri"] == uri]
            if len(found) >= count:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"nginx received {len(found)} of {count} {uri}")
            time.sleep(POLL_S)


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago; nginx cannot take port 0."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _start(nginx: Nginx) -> subprocess.Popen[bytes]:
    program = tools.require("nginx")
    for _ in range(TRIES):
        config = nginx.write_config()
        with (nginx.root / "stderr.log").open("wb") as log:
            process = subprocess.Popen(
                [program, "-p", nginx.root, "-e", "stderr", "-c", config],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env={"PATH": os.environ["PATH"]},
            )
        deadline = time.monotonic() + PATIENT_S
        while process.poll() is None and time.monotonic() < deadline:
            if all(map(_answers, nginx.ports.values())):
                return process
            time.sleep(POLL_S)
        process.kill()
        process.wait()
    raise AssertionError((nginx.root / "stderr.log").read_text())


@contextlib.contextmanager
def running_nginx(root: Path, tls: OriginTls) -> Iterator[Nginx]:
    """Start nginx in this empty folder; skip (fail in CI) where it is not installed."""
    tools.require("nginx")
    nginx = Nginx(root, tls)
    process = _start(nginx)
    try:
        yield nginx
    finally:
        process.terminate()
        try:
            process.wait(PATIENT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
