"""Standard output and standard error: a guest's bytes become lines of its log."""

from int3rceptor.plugins.abi.codes import LogLevel
from int3rceptor.plugins.abi.wasi_codes import FileType
from int3rceptor.plugins.host.host import MAX_LOG_LINE_BYTES, Host


class Output:
    """Collects bytes up to a line's end, or to the end of the call.

    Each line costs a host call, as `host_log` does, so that a megabyte of line feeds
    is not a million lines. One that is longer than a log line goes on in the next.
    """

    kind = FileType.CHARACTER_DEVICE

    def __init__(self, host: Host, level: LogLevel) -> None:
        self._host = host
        self._level = level
        self._rest = bytearray()
        self._is_flushed = True

    def write(self, data: bytes) -> None:
        """Take bytes that the guest wrote."""
        if self._is_flushed:
            self._is_flushed = False
            self._host.at_end(self._flush)
        first, *others = data.split(b"\n")
        self._rest += first
        is_going_on = self._cut()
        for part in others:
            is_going_on = is_going_on and self._say()
            if not is_going_on:
                return
            self._rest += part
            is_going_on = self._cut()

    def _cut(self) -> bool:
        while len(self._rest) > MAX_LOG_LINE_BYTES:
            if not self._say():
                return False
        return True

    def _say(self) -> bool:
        """Log what is here, up to a line's length, if the budget has a line left."""
        host = self._host
        host.calls_left -= 1
        if host.calls_left < 0:
            self._rest.clear()
            host.exhaust(f"more than {host.budget.calls} host calls and log lines")
            return False
        self._log()
        return True

    def _flush(self) -> None:
        self._is_flushed = True
        self._log()

    def _log(self) -> None:
        """Empty lines are left out."""
        line = bytes(self._rest[:MAX_LOG_LINE_BYTES])
        del self._rest[:MAX_LOG_LINE_BYTES]
        if line:
            text = line.removesuffix(b"\r").decode("utf-8", "replace")
            self._host.log(self._level, text)
