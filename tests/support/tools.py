"""Programs that some tests need and a machine may lack. Knows nothing of the proxy.

A missing program skips the test that needs it, with a reason. In CI nothing may hide
that way: there INT3RCEPTOR_CI=1 is set, and a missing program fails the test.
"""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

STRICT_VARIABLE = "INT3RCEPTOR_CI"

# Debian keeps daemons out of an ordinary user's PATH, yet they run unprivileged.
DAEMON_DIRECTORIES = ("/usr/sbin", "/usr/local/sbin", "/sbin")


def find(name: str) -> Path | None:
    """The program's path: on PATH, or where a system keeps its daemons."""
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), *DAEMON_DIRECTORIES])
    found = shutil.which(name, path=search)
    return Path(found) if found else None


def require(name: str) -> Path:
    """The program's path; without it the running test is skipped (in CI: failed)."""
    if (path := find(name)) is not None:
        return path
    missing(f"{name} is not installed")


def missing(reason: str) -> NoReturn:
    """Skip the running test for this reason, or fail it in CI."""
    if os.environ.get(STRICT_VARIABLE) == "1":
        pytest.fail(f"{reason}, and CI must run this test ({STRICT_VARIABLE}=1)")
    pytest.skip(reason)
