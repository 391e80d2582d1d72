"""How a module of ours becomes a process of its own: our interpreter, our modules."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def command(module: str, *arguments: str) -> list[str]:
    """The command line that runs `module` as a program."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment() -> Mapping[str, str]:
    """Our own, and it looks for modules where we do: not in the directory that we
    happen to be in, as `-m` alone would."""
    path = os.pathsep.join(one or str(Path.cwd()) for one in sys.path)
    return {**os.environ, "PYTHONPATH": path}
