"""What every measurement stands on: folders that go away, two cores, the origin."""

import os
import resource
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.clients import Client
from benchmarks.measure import two_cores
from benchmarks.origin import running_origin
from benchmarks.proxies import EXAMPLE_LOGGER, REPOSITORY, Setup, System

RESULTS = REPOSITORY / "benchmarks" / "results"
# In RAM: neither the origin's bulk file nor what clients save should wait for a disk.
# What proxies keep stays on a disk, where it would be.
RAM_DISK = Path("/dev/shm")  # noqa: S108 (a private folder is made in it)


@contextmanager
def workspace(parent: Path | None = None) -> Iterator[Path]:
    """A private folder, gone afterwards with everything in it."""
    with tempfile.TemporaryDirectory(prefix="int3rceptor-bench-", dir=parent) as name:
        Path(name).chmod(0o711)  # squid, started as root, goes on as a user of its own
        yield Path(name)


@contextmanager
def stage(
    plugin: Path = EXAMPLE_LOGGER, *, bulk_bytes: int = 0, hosts: int = 0
) -> Iterator[Setup]:
    """The origin on the first core; `hosts` is how many it has for first contacts."""
    # Ended from outside, a run still ends what it started: all that is in sessions of
    # its own, and outlives the terminal.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # Generators and proxies inherit it: a thousand tunnels are two thousand files.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    load_core, proxy_core = two_cores()
    ram_disk = RAM_DISK if os.access(RAM_DISK, os.W_OK) else None
    with (
        workspace() as data,
        workspace(ram_disk) as root,
        running_origin(root, load_core, bulk_bytes=bulk_bytes, hosts=hosts) as origin,
    ):
        yield Setup(
            origin=origin,
            origin_folder=root,
            workspace=data,
            load_core=load_core,
            proxy_core=proxy_core,
            plugin=plugin,
        )


def client_of(system: System, setup: Setup, version: str) -> Client:
    """A client that goes through `system` to the origin's port for `version`."""
    return Client(
        route=system.route(setup.origin, version),
        ca_pem=system.ca_pem,
        origin=setup.origin,
        core=setup.load_core,
        folder=setup.origin_folder,
    )
