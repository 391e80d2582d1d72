"""How the HTTP/2 codec's parts tell each other what is wrong and how much it costs.

Both faults end inside `wire.h2`; its callers see ClientProtocolError,
OriginProtocolError or an event.
"""

from h2.errors import ErrorCodes

from int3rceptor.errors import ProtocolError


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
        code: int = ErrorCodes.PROTOCOL_ERROR,
        status: int | None = None,
    ) -> None:
        super().__init__(message, status=status)
        self.code = code


def code_name(code: int) -> str:
    """The specification's name of an error code, or its number."""
    try:
        return ErrorCodes(code).name
    except ValueError:
        return f"error code {code:#x}"


H2Code = ErrorCodes
"""The error codes (RFC 9113, 7), for rooms that must not know the library."""
