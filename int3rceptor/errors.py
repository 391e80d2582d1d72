"""Every error that int3rceptor raises, in one tree.

Int3rceptorError
├── ConfigError                  a setting, flag or file that cannot be used (exit 2)
│   ├── SettingError             a setting's value; says which key, and what it may be
│   ├── AuthorityError           the CA pair: damaged, unreadable, mismatched, expired
│   └── RuleError                a rule file; says FILE:LINE, and what to write instead
├── PluginError                  a module that cannot be loaded
├── WorkerError                  a proxy process cannot begin, or none is left
├── ProtocolError                the peer broke its protocol; carries its answer
│   ├── ClientProtocolError      answered 400 (or what `status` says)
│   └── OriginProtocolError      answered 502
├── OriginError                  the origin could not be used; answered 502 or 504
│   ├── ResolveError             its name does not resolve
│   ├── ConnectError             nothing answers at its address
│   ├── ProxyLoop                its address is the proxy's own (508)
│   ├── OriginTlsError           the handshake failed
│   │   └── CertificateRejected  its certificate was not accepted
│   ├── OriginTimeout            a deadline passed (504)
│   ├── OriginClosed             it closed before its answer was whole
│   ├── OriginReset              it cancelled the exchange (HTTP/2 RST_STREAM)
│   └── PoolExhausted            no connection became free in time (503)
├── StreamError                  a byte stream ended badly
│   ├── StreamLost               reset or closed under us
│   ├── StreamTimeout            no byte in time
│   └── TransformError           a function that transforms a body failed in its middle
│       ├── BodyCut              a plugin let no more of a body pass
│       └── DecodeError          a content coding cannot be undone
├── UsageError                   the library was called in a way that cannot work
└── LimitExceeded                a named limit was hit; carries the status to answer

Every message says what failed, where, and, when someone can act on it, what to do.
"""

from typing import Literal


class Int3rceptorError(Exception):
    """Root of the tree."""


class ConfigError(Int3rceptorError):
    """A setting, flag or file that cannot be used; one line for the user, exit 2."""


def reason_of(error: Exception) -> str:
    """What an error says, for a line of its own: the system's without its number."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    where = "" if error.filename is None else f"{error.filename}: "
    return f"{where}{error.strerror}"


class SettingError(ConfigError):
    """A setting that does not exist, or whose value it cannot have."""

    def __init__(self, key: str, reason: str) -> None:
        self.key = key
        self.reason = reason
        super().__init__(f"{self.shown_key}: {reason}")

    @property
    def shown_key(self) -> str:
        """The key on one line: in TOML a quoted one may hold anything."""
        if self.key.isprintable():
            return self.key
        return self.key.encode("unicode_escape").decode()


class AuthorityError(ConfigError):
    """The CA certificate or its key cannot be used."""


class RuleError(ConfigError):
    """A rule file that cannot be used: `FILE:LINE: what, and what to write instead`."""


class PluginError(Int3rceptorError):
    """A plugin module that cannot be loaded or initialised."""


class WorkerError(Int3rceptorError):
    """One of several proxy processes cannot begin, or none of them is left."""


class ProtocolError(Int3rceptorError):
    """A peer broke its protocol.

    `status` is the HTTP status that the client is given for it.
    """

    status: int = 400

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        if status is not None:
            self.status = status


class ClientProtocolError(ProtocolError):
    """The client sent what the specification forbids."""


class OriginProtocolError(ProtocolError):
    """The origin sent what the specification forbids."""

    status = 502


class WebSocketError(ProtocolError):
    """What came after a 101 is no WebSocket, or none that can be read here."""


class OriginError(Int3rceptorError):
    """The origin could not be used.

    `advice` says what the person at the client can do; `is_unprocessed` is True when
    the origin cannot have acted on the request, so that it may be sent again;
    `is_stale` when a connection that had served before closed before it answered.
    """

    status: int = 502
    title: str = "The origin could not be used"

    def __init__(
        self,
        message: str,
        *,
        advice: str = "",
        is_unprocessed: bool = False,
        is_stale: bool = False,
    ) -> None:
        super().__init__(message)
        self.advice = advice
        self.is_unprocessed = is_unprocessed
        self.is_stale = is_stale


class ResolveError(OriginError):
    """The origin's name does not resolve."""

    title = "The host name does not resolve"


class ConnectError(OriginError):
    """No TCP connection to the origin could be made."""

    title = "The origin does not accept connections"


class ProxyLoop(OriginError):
    """The origin is this proxy itself."""

    status = 508
    title = "The proxy was asked to reach itself"


class OriginTlsError(OriginError):
    """The TLS handshake with the origin failed."""

    title = "The TLS handshake with the origin failed"


class CertificateRejected(OriginTlsError):
    """The origin's certificate was not accepted."""

    title = "The origin's certificate was not accepted"


class OriginTimeout(OriginError):
    """The origin did not act before its deadline."""

    status = 504
    title = "The origin did not answer in time"


class OriginClosed(OriginError):
    """The origin closed the connection before its answer was whole."""

    title = "The origin closed the connection"


class OriginReset(OriginError):
    """The origin cancelled this exchange; `code` is the HTTP/2 error code."""

    title = "The origin cancelled the exchange"

    def __init__(
        self, message: str, *, code: int, is_unprocessed: bool = False
    ) -> None:
        super().__init__(message, is_unprocessed=is_unprocessed)
        self.code = code


class PoolExhausted(OriginError):
    """No origin connection became free before the deadline."""

    status = 503
    title = "Too many requests are waiting for this origin"


class StreamError(Int3rceptorError):
    """A byte stream ended badly."""


class StreamLost(StreamError):
    """The connection was reset or closed under us."""


class StreamTimeout(StreamError):
    """No byte passed before the deadline."""


class TransformError(StreamError):
    """A function that transforms a body failed: the message cannot be ended."""

    title: str = "A function of this proxy's program failed"


class BodyCut(TransformError):
    """A plugin let no more of a body pass. `is_wanted`: it was not by a failure."""

    title = "A plugin cut the message off"

    def __init__(self, message: str, *, is_wanted: bool) -> None:
        super().__init__(message)
        self.is_wanted = is_wanted


class MessagesCut(StreamError):
    """A listener that must see every WebSocket message cannot: the connection ends."""


class DecodeError(TransformError):
    """A content coding cannot be undone; `why` tells the four reasons apart.

    unknown: no such coding, or too many; refused: HTTP's rules forbid it here;
    too large: it grows past a limit; damaged: it is not what it claims to be.
    """

    title = "A body could not be decoded"

    def __init__(
        self,
        message: str,
        *,
        why: Literal["unknown", "refused", "too large", "damaged"],
    ) -> None:
        super().__init__(message)
        self.why = why


class UsageError(Int3rceptorError):
    """The library was called in a way, or at a time, that cannot work."""


class LimitExceeded(Int3rceptorError):
    """A named limit was hit; `status` is the HTTP status to answer."""

    def __init__(self, message: str, *, status: int = 413) -> None:
        super().__init__(message)
        self.status = status
