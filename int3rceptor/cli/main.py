"""The command line: finds the command, and turns every failure into one line.

Exit codes: 0 done; 1 an internal error; 2 a setting, flag or file that cannot be used.
"""

import contextlib
import errno
import io
import os
import sys
import traceback
from collections.abc import Sequence

from int3rceptor.cli.output.escaping import printable
from int3rceptor.cli.output.logs import PACKAGE, TRACEBACK_HINT
from int3rceptor.errors import Int3rceptorError, reason_of

DONE, INTERNAL_ERROR, UNUSABLE, INTERRUPTED = 0, 1, 2, 130

LOST_OUTPUT = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""How standard output fails, be it a pipe or a file."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (by default the process's own); its exit code."""
    _open_missing_streams()
    _escape_unknown_characters()
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _run(given)
        sys.stdout.flush()
    except Int3rceptorError as error:
        _complain(str(error))
        code = UNUSABLE
    except OSError as error:
        code = _told_of(error)
    except SystemExit:  # rich's answer to a reader that has left
        code = DONE
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001  # no user sees a traceback unasked
        _report_internal(error, has_traceback=_is_verbose(given))
        code = INTERNAL_ERROR
    _lost_output()
    return code


def _run(arguments: list[str]) -> int:
    if _run_if_plain(arguments):
        return DONE
    from int3rceptor.cli.parsing import run

    return run(arguments)


def _run_if_plain(arguments: list[str]) -> bool:
    """Run it if it is plain to read, by what it needs alone; whether it was."""
    if arguments[:1] == ["flows"]:
        from int3rceptor.cli.flows.listing import run_if_plain

        return run_if_plain(arguments[1:])
    from int3rceptor.cli.given import plain_start, start

    given = plain_start(arguments)
    if given is not None:
        start(given)
    return given is not None


def _report_internal(error: Exception, *, has_traceback: bool) -> None:
    hint = "" if has_traceback else f" ({TRACEBACK_HINT})"
    if has_traceback:
        for line in "".join(traceback.format_exception(error)).splitlines():
            _say(printable(line))
    _complain(f"internal error: {type(error).__name__}: {error}{hint}")


def _told_of(error: OSError) -> int:
    """The exit code; `| head` ends us without a complaint."""
    # A file has a name; of a write larger than the buffer nothing is left to fail.
    is_output = error.filename is None and error.errno in LOST_OUTPUT
    lost = _lost_output() or (error if is_output else None)
    if isinstance(lost, BrokenPipeError):
        return DONE
    where = "" if lost is None else "standard output: "
    _complain(f"{where}{reason_of(lost or error)}")
    return UNUSABLE


def _lost_output() -> OSError | None:
    """Why standard output does not take what is buffered; None if it does. What is left
    must not fail once more, in Python's own words, when the process ends."""
    try:
        sys.stdout.flush()
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return error
    return None


def _complain(message: str) -> None:
    _say(f"{PACKAGE}: error: {printable(message)}")


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads it any more
        sys.stderr.write(f"{line}\n")


def _is_verbose(arguments: Sequence[str]) -> bool:
    return "--verbose" in arguments or bool(os.environ.get("INT3RCEPTOR_VERBOSE"))


def _open_missing_streams() -> None:
    """A closed standard stream would hand its number to the next socket."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _escape_unknown_characters() -> None:
    """A URL may hold what the terminal's character set has not."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
