"""The README's first steps, as a newcomer takes them: make run, curl, flows, stop.

Starts a TLS origin of its own on 127.0.0.1; knows the proxy only by what it prints.
"""

import re
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import trustme

ROOT = Path(__file__).resolve().parents[1]
READY = re.compile(r"listening on (\S+:\d+)")
CONTROL = re.compile(r"control on http://(\S+:\d+)")
PLUGIN_LINE = re.compile(r"plugin example[-_]logger: \w+ \S")
ANSWER = b"hello from the origin\n"

# `make run` installs the package first where `make test` did not just do so.
START_S = 180.0
ANSWER_S = 20.0
STOP_S = 20.0


class SmokeError(Exception):
    """What went wrong, in one line."""


class Origin(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the client's answer is what counts."""


@contextmanager
def origin(ca: trustme.CA) -> Iterator[int]:
    """A TLS origin for `localhost`; gives its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class MakeRun:
    """`make run` as a child; keeps what it prints, and waits for lines of it."""

    def __init__(self, arguments: str) -> None:
        self._make = subprocess.Popen(
            ["make", "--no-print-directory", "run", f"ARGS={arguments}"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._printed = ""
        self._ended = False
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._make.stdout is not None
        with self._make.stdout as lines:
            for line in lines:
                print(f"  | {line}", end="")
                with self._news:
                    self._printed += line
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def wait_for(self, pattern: re.Pattern[str], timeout_s: float) -> re.Match[str]:
        """The first match in what was printed, now or within the time."""
        with self._news:
            self._news.wait_for(
                lambda: self._ended or pattern.search(self._printed), timeout_s
            )
            if found := pattern.search(self._printed):
                return found
        raise SmokeError(f"the proxy never printed {pattern.pattern!r}")

    def terminate(self) -> None:
        """SIGTERM to the proxy itself; make must then report success."""
        for child in psutil.Process(self._make.pid).children(recursive=True):
            child.send_signal(signal.SIGTERM)
        try:
            code = self._make.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise SmokeError(f"the proxy ran on {STOP_S:g} s after SIGTERM") from None
        if code != 0:
            raise SmokeError(f"`make run` ended with code {code} after SIGTERM")

    def close(self) -> None:
        if self._make.poll() is None:
            for child in psutil.Process(self._make.pid).children(recursive=True):
                child.kill()
            self._make.kill()
            self._make.wait()
        self._reader.join()


def fetch(proxy: str, ca: Path, url: str) -> bytes:
    """What curl gets through the proxy, trusting only the proxy's CA."""
    # --noproxy '': the environment may exempt localhost.
    command = ["curl", "--silent", "--show-error", "--fail", "--noproxy", ""]
    command += ["--proxy", f"http://{proxy}", "--cacert", str(ca), url]
    done = subprocess.run(command, capture_output=True, timeout=ANSWER_S, check=False)
    if done.returncode != 0:
        raise SmokeError(f"curl: {done.stderr.decode().strip()}")
    return done.stdout


def kept(data: Path, *arguments: str) -> str:
    """What `int3rceptor flows` prints."""
    command = [sys.executable, "-m", "int3rceptor", "flows", *arguments]
    done = subprocess.run(
        [*command, "--data-dir", str(data)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=ANSWER_S,
        check=False,
    )
    if done.returncode != 0:
        raise SmokeError(f"{' '.join(command[2:])}: {done.stderr.strip()}")
    return done.stdout


def check_is_kept(data: Path, control: str) -> None:
    """The one flow is listed and shown, and the control port is there."""
    if (count := kept(data, "count").strip()) != "1":
        raise SmokeError(f"`flows count` says {count}, one request was sent")
    number = kept(data, "list", "--json").split('"id":', 1)[1].partition(",")[0]
    if ANSWER.decode().strip() not in kept(data, "show", number.strip()):
        raise SmokeError("`flows show` does not show the answer's body")
    with urllib.request.urlopen(f"http://{control}/api/health") as health:
        if health.status != 200:
            raise SmokeError(f"/api/health answered {health.status}")


def smoke(folder: Path) -> None:
    data = folder / "data"
    anchor = folder / "origin-ca.pem"
    ca = trustme.CA()
    ca.cert_pem.write_to_path(anchor)
    with origin(ca) as port:
        proxy = MakeRun(
            f"--listen 127.0.0.1:0 --control 127.0.0.1:0 --data-dir {data} "
            f"--upstream-ca {anchor}"
        )
        try:
            address = proxy.wait_for(READY, START_S)[1]
            body = fetch(address, data / "ca.pem", f"https://localhost:{port}/hello")
            if body != ANSWER:
                raise SmokeError(f"curl got {body!r}, the origin sent {ANSWER!r}")
            proxy.wait_for(PLUGIN_LINE, ANSWER_S)
            check_is_kept(data, proxy.wait_for(CONTROL, ANSWER_S)[1])
            proxy.terminate()
        finally:
            proxy.close()


def main() -> int:
    try:
        with tempfile.TemporaryDirectory(prefix="int3rceptor-smoke-") as folder:
            smoke(Path(folder))
    except SmokeError as error:
        print(f"smoke: {error}", file=sys.stderr)
        return 1
    print("smoke: curl was answered through the proxy and the plugin, the flow is kept")
    return 0


if __name__ == "__main__":
    sys.exit(main())
