"""A worker as a process: its flows' lines go to the streams of the one that started it.

`python -m int3rceptor.cli.worker LINK LISTENING LOADS KEYS TURNS OUT ERR` gets sockets
and files by their numbers.
"""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Sequence

from int3rceptor.app.child import heed_no_signal
from int3rceptor.app.worker import Voice, work
from int3rceptor.cli.output.logs import set_levels
from int3rceptor.cli.output.streams import (
    STDERR,
    STDOUT,
    lines_to,
    live_view,
    loop_factory,
)
from int3rceptor.cli.output.turns import Turn
from int3rceptor.cli.plugins import lines as plugin_lines
from int3rceptor.config.model import Config


def main(arguments: Sequence[str]) -> None:
    """Run with the sockets and files of these numbers."""
    heed_no_signal()
    link, listening = (socket.socket(fileno=int(number)) for number in arguments[:2])
    loads, keys, turns, out, err = map(int, arguments[2:])
    for number in arguments:
        os.set_inheritable(int(number), False)
    for sock in (link, listening):
        sock.setblocking(False)
    with contextlib.ExitStack() as stack:

        def voice(config: Config) -> Voice:
            set_levels(config)
            to_out = lines_to(out, config, Turn(turns, STDOUT))
            to_err = lines_to(err, config, Turn(turns, STDERR))
            return Voice(
                listeners=live_view(config, stack.enter_context(to_out), out),
                plugin_lines=plugin_lines.lines_to(stack.enter_context(to_err), config),
            )

        runner = stack.enter_context(asyncio.Runner(loop_factory=loop_factory()))
        runner.run(work(link, listening, loads, keys, voice))


if __name__ == "__main__":
    main(sys.argv[1:])
