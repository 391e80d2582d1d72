"""The settings of HTTP/2 (RFC 9113, 6.5.2): their codes, and the values allowed."""

from enum import IntEnum

from int3rceptor.wire.h2.faults import ConnectionFault, H2Code


class Setting(IntEnum):
    """The settings that are defined; others are ignored (RFC 9113, 6.5.2)."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6
    ENABLE_CONNECT_PROTOCOL = 8


_ALLOWED = {
    Setting.ENABLE_PUSH: (range(2), H2Code.PROTOCOL_ERROR),
    Setting.INITIAL_WINDOW_SIZE: (range(2**31), H2Code.FLOW_CONTROL_ERROR),
    Setting.MAX_FRAME_SIZE: (range(2**14, 2**24), H2Code.PROTOCOL_ERROR),
    Setting.ENABLE_CONNECT_PROTOCOL: (range(2), H2Code.PROTOCOL_ERROR),
}
# RFC 9113, 6.5.2: a server does not ask to be pushed to.
_FROM_SERVER = _ALLOWED | {Setting.ENABLE_PUSH: (range(1), H2Code.PROTOCOL_ERROR)}


def known(
    settings: list[tuple[int, int]], *, from_server: bool
) -> list[tuple[Setting, int]]:
    """Those that are defined, in order; ConnectionFault for a value that none has."""
    allowed = _FROM_SERVER if from_server else _ALLOWED
    found = []
    for code, value in settings:
        try:
            setting = Setting(code)
        except ValueError:
            continue
        values, error = allowed.get(setting, (None, H2Code.NO_ERROR))
        if values is not None and value not in values:
            raise ConnectionFault(error, f"{setting.name} of {value}")
        found.append((setting, value))
    return found
