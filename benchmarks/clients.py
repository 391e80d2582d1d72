"""The load as scenarios see it: start a client on the load core, get counted results.

Small requests come from `load_h1`, `load_new` and h2load, messages from `load_ws`, bulk
from curl. Whatever is not the origin's answer, whole and in the wanted HTTP version, is
an error.
"""

import dataclasses
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load_h1 import percentile_ms
from benchmarks.measure import BenchmarkError, spawn, stop, usage
from benchmarks.origin import ADDRESS, SMALL_BODY, Origin, file_crc
from benchmarks.tunnel import Route

# A slow proxy may need a minute for one body; a stuck one must not hold up the run.
CLIENT_TIMEOUT_S = 300.0
MAX_OUTPUT_SHOWN = 1000
CURL_FACTS = "%{http_version} %{http_code} %{time_total}"
HTTP_VERSIONS = {"h1": "1.1", "h2": "2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a client counted. Latencies only where the client reports them.

    `load_cpu_s` is the CPU time of the client itself: on a core that it shares with the
    origin, it tells whether the load was the bottleneck.
    """

    requests: int
    errors: int
    elapsed_s: float
    load_cpu_s: float = 0.0
    error_texts: tuple[str, ...] = ()
    p50_ms: float | None = None
    p99_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request at the origin: its HTTP version there, and what a plugin stamped."""

    version: str
    stamp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What every client needs: the way, the CA to trust, its core, a folder."""

    route: Route
    ca_pem: Path
    origin: Origin
    core: int
    folder: Path

    @property
    def via(self) -> str:
        return f"{self.route.via[0]}:{self.route.via[1]}"

    @property
    def authority(self) -> str:
        return f"{self.route.host}:{self.route.port}"

    def _run(self, command: list[str]) -> str:
        """Standard output of `command`, which must end well and in time."""
        with (self.folder / "client.log").open("w+b") as log:
            process = spawn(command, self.core, output=log)
            try:
                code = process.wait(CLIENT_TIMEOUT_S)
            except subprocess.TimeoutExpired as error:
                raise BenchmarkError(
                    f"no end after {CLIENT_TIMEOUT_S} s: {command}"
                ) from error
            finally:
                stop(process)
            log.seek(0)
            output = log.read().decode(errors="replace")
        if code != 0:
            shown = output[-MAX_OUTPUT_SHOWN:]
            raise BenchmarkError(
                f"{command[0]} ended with {code} on {self.via}:\n{shown}"
            )
        return output

    @contextmanager
    def _helper(
        self, module: str, *arguments: str
    ) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
        """A Python process of ours on the load core, and the first line it prints."""
        command = [sys.executable, "-m", module, *arguments]
        with (self.folder / "client.log").open("wb") as log:
            process = spawn(command, self.core, output=log, talk=True)
        try:
            yield process, self._answer(process)
        finally:
            stop(process)

    def _answer(self, process: subprocess.Popen[bytes]) -> str:
        line = process.stdout.readline() if process.stdout is not None else b""
        if not line:
            shown = (self.folder / "client.log").read_text(errors="replace")
            raise BenchmarkError(
                f"the load generator ended on {self.via}:\n{shown[-MAX_OUTPUT_SHOWN:]}"
            )
        return line.decode()

    @contextmanager
    def h1_load(self, connections: int, *, plain: bool = False) -> Iterator["Load"]:
        """Keep-alive HTTP/1.1 connections, opened now and kept for several batches."""
        arguments = [*self._load_arguments(connections), *(["--plain"] * plain)]
        with self._helper("benchmarks.load_h1", *arguments) as (process, _):
            yield Load(process=process, client=self)

    @contextmanager
    def new_load(self, at_once: int, first_host: int | None = None) -> Iterator["Load"]:
        """A connection for each request; to a new host each, from `first_host` on."""
        arguments = self._load_arguments(at_once)
        if first_host is not None:
            arguments += ["--first-host", str(first_host)]
        with self._helper("benchmarks.load_new", *arguments) as (process, _):
            yield Load(process=process, client=self)

    @contextmanager
    def echo(self) -> Iterator[tuple["Client", int]]:
        """A client of an origin that echoes WebSocket messages, and its process."""
        leaf = str(self.origin.leaf_pem)
        with self._helper("benchmarks.ws_origin", "--leaf", leaf) as (process, port):
            via = self.route.via if self.route.is_proxy else (ADDRESS, int(port))
            route = dataclasses.replace(self.route, via=via, port=int(port))
            yield dataclasses.replace(self, route=route), process.pid

    @contextmanager
    def ws_load(self, connections: int, window: int) -> Iterator["Load"]:
        """WebSockets that are opened now; a batch is of messages echoed."""
        arguments = [*self._load_arguments(connections), "--window", str(window)]
        with self._helper("benchmarks.load_ws", *arguments) as (process, _):
            yield Load(process=process, client=self)

    def _load_arguments(self, connections: int) -> list[str]:
        arguments = ["--via", self.via, "--origin", self.authority]
        arguments += ["--ca", str(self.ca_pem), "--body", str(self.origin.small)]
        arguments += ["--connections", str(connections)]
        return arguments if self.route.is_proxy else [*arguments, "--direct"]

    def answer(self, process: subprocess.Popen[bytes], order: str) -> Result:
        """One batch of a generator that `h1_load` or `new_load` started."""
        if process.stdin is None:
            raise BenchmarkError("the load generator has no command line to talk to")
        before = usage(process.pid).cpu_s
        process.stdin.write(f"{order}\n".encode())
        process.stdin.flush()
        counted = json.loads(self._answer(process))
        counted["error_texts"] = tuple(counted["error_texts"])
        return Result(**counted, load_cpu_s=usage(process.pid).cpu_s - before)

    def h2_load(self, requests: int, connections: int, streams: int) -> Result:
        """h2load over new connections (their opening is in the measured time)."""
        if not self.route.is_proxy:
            return self._h2load(self.route.via[1], requests, connections, streams)
        relay = ("--proxy", self.via, "--origin", self.authority)
        with self._helper("benchmarks.preconnect", *relay) as (process, port):
            before = usage(process.pid).cpu_s
            result = self._h2load(int(port), requests, connections, streams)
            relay_cpu_s = usage(process.pid).cpu_s - before
        cpu_s = result.load_cpu_s + relay_cpu_s
        return dataclasses.replace(result, load_cpu_s=cpu_s)

    def _h2load(
        self, port: int, requests: int, connections: int, streams: int
    ) -> Result:
        log = self.folder / "h2load.log"
        log.unlink(missing_ok=True)  # h2load appends
        counts = ["-n", str(requests), "-c", str(connections), "-m", str(streams)]
        target = [f"--connect-to={ADDRESS}:{port}", f"https://{self.authority}/small"]
        before = _waited_cpu_s()
        output = self._run(["h2load", *counts, f"--log-file={log}", *target])
        cpu_s = _waited_cpu_s() - before
        result = parse_h2load(output, requests)
        p50_ms, p99_ms = parse_h2load_log(log.read_text())
        return dataclasses.replace(
            result, load_cpu_s=cpu_s, p50_ms=p50_ms, p99_ms=p99_ms
        )

    def download(self, version: str) -> Result:
        """The bulk file, compared with the origin's by checksum."""
        body = self.folder / "downloaded"
        before = _waited_cpu_s()
        try:
            output = self._curl(version, "bulk", "--output", str(body))
            return self._checked(version, output, "200", body, before)
        finally:
            body.unlink(missing_ok=True)

    def upload(self, version: str) -> Result:
        """The bulk file as a PUT, compared with what the origin wrote by checksum."""
        body = self.origin.upload
        before = _waited_cpu_s()
        try:
            # No `Expect: 100-continue`: a proxy that sits on it costs a second, which
            # has nothing to do with carrying the body.
            extra = ["--header", "Expect:", "--output", os.devnull]
            output = self._curl(
                version, "upload/body", "--upload-file", str(self.origin.bulk), *extra
            )
            return self._checked(version, output, "201", body, before)
        finally:
            body.unlink(missing_ok=True)

    def warm_up(self, version: str) -> None:
        """One small request, so that first-use costs are not part of what follows."""
        output = self._curl(version, "small", "--output", os.devnull)
        if output.split()[:2] != [HTTP_VERSIONS[version], "200"]:
            raise BenchmarkError(f"the warm-up on {self.via} got {output!r}")

    def seen(self, version: str) -> Seen:
        """What one request looked like to the origin."""
        body = self.folder / "seen"
        body.unlink(missing_ok=True)
        output = self._curl(version, "seen", "--output", str(body))
        if output.split()[:2] != [HTTP_VERSIONS[version], "200"]:
            raise BenchmarkError(f"the origin's view through {self.via}: {output!r}")
        spoken, _, stamp = body.read_text().partition(" ")
        return Seen(version=spoken, stamp=stamp)

    def _curl(self, version: str, path: str, *arguments: str) -> str:
        command = [
            "curl",
            "-q",
            "--silent",
            "--show-error",
            "--cacert",
            str(self.ca_pem),
        ]
        command.append("--http2" if version == "h2" else "--http1.1")
        if self.route.is_proxy:
            # An empty list: the caller's no_proxy must not send us past the proxy.
            command += ["--proxy", f"http://{self.via}", "--noproxy", ""]
        else:
            via = ":".join(map(str, self.route.via))
            command += ["--noproxy", "*", "--connect-to", f"{self.authority}:{via}"]
        url = f"https://{self.authority}/{path}"
        return self._run([*command, *arguments, "--write-out", CURL_FACTS, url])

    def _checked(
        self, version: str, output: str, status: str, body: Path, before_cpu_s: float
    ) -> Result:
        cpu_s = _waited_cpu_s() - before_cpu_s
        http_version, code, elapsed = output.split()
        errors: list[str] = []
        if (http_version, code) != (HTTP_VERSIONS[version], status):
            errors.append(f"HTTP/{http_version} {code}, not {version} {status}")
        elif not body.exists() or file_crc(body) != self.origin.bulk_crc:
            errors.append("the body that arrived is not the body that was sent")
        return Result(
            requests=1 - len(errors),
            errors=len(errors),
            elapsed_s=float(elapsed),
            load_cpu_s=cpu_s,
            error_texts=tuple(errors),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A generator that is ready for batches."""

    process: subprocess.Popen[bytes]
    client: Client

    def run(self, requests: int) -> Result:
        """One batch, as fast as answers come; a lost connection stays lost."""
        return self.client.answer(self.process, str(requests))

    def run_each(self) -> Result:
        """One request on every connection, not all at once."""
        return self.client.answer(self.process, "each")

    def run_paced(self, requests: int, rate: float, spans: str = "") -> Result:
        """`requests` at `rate` a second, however slowly answers come.

        When each was due and answered goes into the file `spans`, if one is named.
        """
        return self.client.answer(self.process, f"{requests} {rate!r} {spans}")


def _waited_cpu_s() -> float:
    """CPU time of all children that were waited for until now."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def parse_h2load(output: str, requests: int) -> Result:
    """Counts from h2load's report; a wrong version, status or body size is an error."""

    def number(pattern: str) -> float:
        found = re.search(pattern, output)
        if found is None:
            raise BenchmarkError(f"h2load's report lacks {pattern!r}:\n{output}")
        return float(found[1])

    succeeded = int(number(r"(\d+) succeeded"))
    good = min(succeeded, int(number(r"status codes: (\d+) 2xx")))
    texts: list[str] = []
    if "Application protocol: h2\n" not in output:
        good = 0
        texts.append("HTTP/2 was not agreed")
    if int(number(r"\((\d+)\) data")) != requests * len(SMALL_BODY):
        good = min(good, requests - 1)
        texts.append("the bodies that arrived have another size than the origin's")
    if good < requests:
        texts += re.findall(r"^requests: .*$", output, re.MULTILINE)
    scale = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
    unit = re.search(r"finished in [\d.]+(us|ms|s),", output)
    elapsed_s = number(r"finished in ([\d.]+)") * scale[unit[1] if unit else "s"]
    return Result(
        requests=good,
        errors=requests - good,
        elapsed_s=elapsed_s,
        error_texts=tuple(texts),
    )


def parse_h2load_log(log: str) -> tuple[float, float]:
    """(p50, p99) in ms from lines of start, status and duration in microseconds."""
    times_s = sorted(int(line.split()[2]) / 1e6 for line in log.splitlines())
    return percentile_ms(times_s, 0.50), percentile_ms(times_s, 0.99)


def require_tools() -> None:
    """Fail early when a client is missing."""
    for tool, package in (("h2load", "nghttp2-client"), ("curl", "curl")):
        if shutil.which(tool) is None:
            raise BenchmarkError(f"{tool} is not installed (Debian: {package})")
