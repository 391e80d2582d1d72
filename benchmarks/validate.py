"""Proofs that a figure will mean what it says, taken before anything is measured."""

import dataclasses
import re
from collections import Counter

from benchmarks.measure import BenchmarkError
from benchmarks.origin import Origin, numbered_host
from benchmarks.proxies import INT3RCEPTOR, Setup, System, kept_flows, running
from benchmarks.stage import client_of
from benchmarks.tunnel import Route, prove_interception

REQUESTS_PER_VERSION = 200
CONNECTIONS = 4
STREAMS = 10
ALPN = {"h1": "http/1.1", "h2": "h2"}
# Where the proxy's bounded output could not keep up, it says how much it left out.
LINES_LEFT_OUT = re.compile(r"(\d+) lines not shown")
PLUGIN_LINE = re.compile(r"plugin example[-_]logger: \w+ (on_\w+)")


def prove_intercepts(
    system: System, origin: Origin, route: Route, version: str
) -> None:
    """TLS through `system` ends at a leaf of its own CA, for the wanted version."""
    if system.via is None or version not in ALPN:
        return
    prove_interception(route, system.ca_pem, origin.ca_pem, ALPN[version])


def prove_new_host(system: System, origin: Origin, number: int) -> None:
    """The same for a host that is an address: its leaf must name it as one."""
    if system.via is not None:
        route = dataclasses.replace(
            system.route(origin, "h1"), host=numbered_host(number)
        )
        prove_interception(route, system.ca_pem, origin.ca_pem, ALPN["h1"])


def prove_kept(system: System, sent: int) -> None:
    """After a measurement: the store holds each request that was sent, once."""
    kept = kept_flows(system)
    if kept != sent:
        raise BenchmarkError(f"{kept} flows were kept of {sent} requests sent")


def prove_plugin_runs(setup: Setup) -> Counter[str]:
    """Lines that the example plugin logged: one for each hook of each request."""
    with running(INT3RCEPTOR, setup) as system:
        for version in ALPN:
            client = client_of(system, setup, version)
            if version == "h1":
                with client.h1_load(CONNECTIONS) as load:
                    result = load.run(REQUESTS_PER_VERSION)
            else:
                result = client.h2_load(REQUESTS_PER_VERSION, CONNECTIONS, STREAMS)
            if result.errors:
                raise BenchmarkError(f"{version}: {result.error_texts}")
    # Read after the stop: a drained proxy has written every line it owed.
    lines = Counter(PLUGIN_LINE.findall(system.log.read_text(errors="replace")))
    requests = REQUESTS_PER_VERSION * len(ALPN)
    expected = {
        "on_connect": CONNECTIONS * len(ALPN),
        "on_request": requests,
        "on_response": requests,
        "on_capture": requests,
    }
    if dict(lines) != expected:
        raise BenchmarkError(
            f"the plugin did not run once per hook: {dict(lines)}, expected {expected}"
        )
    return lines


def prove_plugin_ran(system: System, requests: int) -> None:
    """After a measurement: the plugin saw at least the `requests` that were counted."""
    shown = system.log.read_text(errors="replace")
    seen = Counter(PLUGIN_LINE.findall(shown))["on_request"]
    seen += sum(int(count) for count in LINES_LEFT_OUT.findall(shown))
    if seen < requests:
        raise BenchmarkError(
            f"the plugin saw {seen} of {requests} requests; the log ends:\n"
            f"{shown[-2000:]}"
        )
