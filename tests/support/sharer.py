"""A process that uses the keys that workers share, as a test says in its arguments.

`python -P -m tests.support.sharer FILE HOW`: "add" adds 1 to a key for ever, and prints
each sum; "add N" does so N times; "stop" stops itself in the middle of a step, "stop
joining" while it joins, "keep" once it is the keeper, each when it has printed a line.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

from int3rceptor.net import children
from int3rceptor.plugins.state import shared as shared_keys
from int3rceptor.plugins.state.keyvalues import KeyValues
from int3rceptor.plugins.state.shared import SharedFile, SharedKeyValues
from tests.support.patience import PATIENT_S

KEY = b"sum"
PAD, PAD_VALUE = b"pad", b"x" * 3000
QUOTA = 4096


def joined(descriptor: int) -> SharedKeyValues:
    return SharedFile(descriptor).join("demo", QUOTA, lambda: 0, lambda _: None)


@contextlib.contextmanager
def sharer(file: int, *how: str) -> Iterator["subprocess.Popen[str]"]:
    """This module as a process; killed, and gone, at the end."""
    with subprocess.Popen(
        children.command("tests.support.sharer", str(file), *how),
        pass_fds=[file],
        env=children.environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        try:
            yield started
        finally:
            started.kill()


def stop(_: KeyValues | None = None) -> None:
    say("stopped")
    os.kill(os.getpid(), signal.SIGSTOP)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    file = int(sys.argv[1])
    match sys.argv[2:]:
        case ["stop"]:
            with joined(file)._lock:
                stop()
        case ["stop joining"]:
            SharedFile(file).join("demo", QUOTA, lambda: 0, stop)
        case ["keep"]:
            assert joined(file).keeper.is_had()
            stop()
        case ["add", *times]:
            shared_keys.STEP_WAIT_S = PATIENT_S
            shared_keys.LOG_SLACK_BYTES = 200  # the log is begun anew again and again
            keys, left = joined(file), int(times[0]) if times else -1
            keys.set(PAD, PAD_VALUE)
            while left:
                left -= 1
                number = keys.add(KEY, 1)
                if not times:
                    say(f"{number}")


if __name__ == "__main__":
    main()
