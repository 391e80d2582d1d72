"""How the HTTP/2 codec's parts tell each other what is wrong and how much it costs.

Both faults end inside `wire.h2`; its callers see ClientProtocolError,
OriginProtocolError or an event.
"""

from enum import IntEnum

from int3rceptor.errors import ProtocolError


class H2Code(IntEnum):
    """The error codes (RFC 9113, 7)."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


class ConnectionFault(ProtocolError):
    """A connection error (RFC 9113, 5.4.1): GOAWAY with `code`, then the end."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class StreamFault(ProtocolError):
    """A stream error (RFC 9113, 5.4.2): RST_STREAM with `code` for one stream only.

    `status` is what the client deserves to be told when it is told at all.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int = H2Code.PROTOCOL_ERROR,
        status: int | None = None,
    ) -> None:
        super().__init__(message, status=status)
        self.code = code


def code_name(code: int) -> str:
    """The specification's name of an error code, or its number."""
    try:
        return H2Code(code).name
    except ValueError:
        return f"error code {code:#x}"
