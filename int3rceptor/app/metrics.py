"""The counters of both processes, and what Prometheus calls them.

The proxy sends its numbers by key (`PROXY`); the hub adds its own and gives them names.
"""

import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from int3rceptor.control.exposition import Family, Labels
from int3rceptor.link.messages import Stats, WorkerStats

PREFIX = "int3rceptor_"

_STATM = Path("/proc/self/statm")
_PAGE_BYTES = resource.getpagesize()


@dataclass(slots=True, frozen=True, kw_only=True)
class Metric:
    """One number: its name after the prefix, and what it is."""

    name: str
    type: Literal["counter", "gauge"]
    help: str


PROXY: Mapping[str, Metric] = {
    "begun": Metric(name="flows_begun_total", type="counter", help="Flows that began."),
    "ended": Metric(
        name="flows_ended_total", type="counter", help="Flows that are over."
    ),
    "failed": Metric(
        name="flows_failed_total", type="counter", help="Flows that ended in an error."
    ),
    "connections": Metric(
        name="client_connections", type="gauge", help="Clients that are connected."
    ),
    "kept": Metric(
        name="flows_kept_total", type="counter", help="Flows written to the journal."
    ),
    "not_kept": Metric(
        name="flows_not_kept_total",
        type="counter",
        help="Flows that could not be written to the journal.",
    ),
    "journal_bytes": Metric(
        name="journal_bytes_total", type="counter", help="Bytes written to the journal."
    ),
    "hub_restarts": Metric(
        name="hub_restarts_total",
        type="counter",
        help="How often the hub died and was started again.",
    ),
    "hub_hangs": Metric(
        name="hub_hangs_total",
        type="counter",
        help="How often a hub that gave no sign of life was ended.",
    ),
    "events_dropped": Metric(
        name="events_dropped_total",
        type="counter",
        help="Live events left out on the way to the hub.",
    ),
}

STORED = Metric(
    name="flows_stored_total",
    type="counter",
    help="Flows taken from the journal into the store by this hub.",
)

WORKER_SERVING = Metric(
    name="worker_serving", type="gauge", help="Whether a worker serves: 1 or 0."
)
WORKER_RESTARTS = Metric(
    name="worker_restarts_total",
    type="counter",
    help="How often a worker died and was started again.",
)
WORKER_HANGS = Metric(
    name="worker_hangs_total",
    type="counter",
    help="How often a worker that gave no sign of life was ended.",
)
WORKER_CONNECTIONS = Metric(
    name="worker_client_connections",
    type="gauge",
    help="Clients that are connected to a worker.",
)

CPU = Metric(
    name="process_cpu_seconds_total", type="counter", help="CPU time of a process."
)
MEMORY = Metric(
    name="process_resident_memory_bytes", type="gauge", help="Memory of a process."
)


def own_use() -> dict[str, float]:
    """CPU and memory of this process, by key."""
    return {"cpu_s": time.process_time(), "resident_bytes": _resident_bytes()}


def families(proxy: Stats, stored: int) -> Iterator[Family]:
    """All of it, named, from what the proxy sent last and this process's own."""
    for key, metric in PROXY.items():
        yield _family(metric, [({}, proxy.counters.get(key, 0.0))])
    yield _family(STORED, [({}, stored)])
    if proxy.workers:
        yield from _of_workers(proxy.workers)
    processes = {"proxy": proxy.counters}
    processes |= {f"worker-{one.number}": one.counters for one in proxy.workers}
    processes["hub"] = own_use()
    for key, metric in (("cpu_s", CPU), ("resident_bytes", MEMORY)):
        yield _family(
            metric,
            [
                ({"process": name}, counters.get(key, 0.0))
                for name, counters in processes.items()
            ],
        )


def _of_workers(workers: Sequence[WorkerStats]) -> Iterator[Family]:
    shown: tuple[tuple[Metric, Callable[[WorkerStats], float]], ...] = (
        (WORKER_SERVING, lambda one: one.is_serving),
        (WORKER_RESTARTS, lambda one: one.restarts),
        (WORKER_HANGS, lambda one: one.hangs),
        (WORKER_CONNECTIONS, lambda one: one.counters.get("connections", 0.0)),
    )
    for metric, value in shown:
        yield _family(
            metric, [({"worker": str(one.number)}, value(one)) for one in workers]
        )


def _family(metric: Metric, samples: Iterable[tuple[Labels, float]]) -> Family:
    return Family(
        name=PREFIX + metric.name,
        help=metric.help,
        type=metric.type,
        samples=tuple(samples),
    )


def _resident_bytes() -> int:
    try:
        return int(_STATM.read_text().split()[1]) * _PAGE_BYTES
    except OSError:  # no /proc: the largest so far has to do
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
