"""Requests and responses as policy sees them, free of any HTTP version's framing."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from int3rceptor.model.body import Body
from int3rceptor.model.decoding import decode
from int3rceptor.model.headers import Headers, to_text

if TYPE_CHECKING:
    from int3rceptor.model.event_source import EventFunction

DEFAULT_PORTS = {"http": 80, "https": 443}


def format_authority(host: str, port: int, scheme: str) -> str:
    """`host[:port]` with IPv6 brackets, the port left out when it is the default."""
    name = f"[{host}]" if ":" in host else host
    return name if DEFAULT_PORTS.get(scheme) == port else f"{name}:{port}"


@dataclass(slots=True)
class Request:
    """One request.

    `host` and `port` say where it goes; `target` is the path and query as received,
    byte for byte, ("*" for OPTIONS *); `authority` is the Host or :authority received.
    `version` is the client's: "HTTP/1.0", "HTTP/1.1" or "HTTP/2". `received` and `sent`
    are the head as the client sent it and as it went to the origin (b"" when it did
    not): byte for byte in HTTP/1, one field a line in HTTP/2.
    """

    method: str
    scheme: str
    host: str
    port: int
    target: bytes
    authority: str
    version: str
    headers: Headers
    body: Body = field(default_factory=Body)
    received: bytes = b""
    sent: bytes = b""

    @property
    def path(self) -> str:
        """Path and query as text."""
        return to_text(self.target)

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for a 100 before it sends the body."""
        return b"expect" in self.headers.steering

    @property
    def has_body(self) -> bool:
        """Whether it has a body, be it empty."""
        body = self.body
        is_framed = body.length is not None or body.trailers is not None
        return (
            body.content != b""
            or is_framed
            or b"transfer-encoding" in self.headers.steering
        )

    def decode(self) -> None:
        """Have the body seen and sent without its content codings, now and further on.

        DecodeError, with nothing changed, when that cannot be. A stream that turns out
        to be damaged, or a bomb, is broken off.
        """
        decode(self.headers, self.body, is_partial=False)

    @property
    def url(self) -> str:
        """The URL as a person would write it."""
        authority = format_authority(self.host, self.port, self.scheme)
        path = "/*" if self.target == b"*" else self.path
        # The target of a CONNECT is the authority once more.
        return f"{self.scheme}://{authority}{'' if self.method == 'CONNECT' else path}"

    @property
    def logged_url(self) -> str:
        """The URL as every log record and every page of ours shows it: a query can hold
        secrets, logs are passed around, and what takes secrets out of a query does not
        look for them in a page that is kept. That there was one is shown."""
        url, mark, _ = self.url.partition("?")
        return f"{url}?…" if mark else url

    def send_to(
        self, scheme: str, host: str, port: int, *, keeps_host: bool = False
    ) -> None:
        """Route it there; Host says where it goes now (RFC 9110, 7.2), or stays."""
        self.scheme, self.host, self.port = scheme, host, port
        if keeps_host:
            return
        self.authority = format_authority(host, port, scheme)
        if self.headers.get_bytes(b"host") is not None:
            self.headers[b"Host"] = self.authority


@dataclass(slots=True)
class Response:
    """One final response; `version` is the origin's ("" when the proxy made it).

    `received` and `sent` are its heads, from the origin and to the client, as a
    request's are. `unseen`, of those whom `transform_events` shows its events: who was
    not shown one, and why; it becomes part of the flow's record at the end.
    """

    status: int
    reason: bytes = b""
    version: str = ""
    headers: Headers = field(default_factory=Headers)
    body: Body = field(default_factory=Body)
    received: bytes = b""
    sent: bytes = b""
    unseen: list[tuple[str, str]] | None = None

    def decode(self) -> None:
        """As a request's."""
        decode(self.headers, self.body, is_partial=self.status == 206)

    def transform_events(self, function: "EventFunction") -> bool:
        """Show each server-sent event to `function` before it goes on.

        False, and nothing is done, of a response that is no stream of events. The
        stream is decoded, as by `decode`.
        """
        # Here, for those who have such a function.
        from int3rceptor.model.event_source import EventSource, FunctionReader
        from int3rceptor.model.server_events import MAX_EVENT_BYTES, is_event_stream

        if not is_event_stream(self.headers):
            return False
        self.decode()
        if self.body.content != b"":
            if self.unseen is None:
                self.unseen = []
            # Not a method of ours: a stream that is broken off would hold its response.
            reader = FunctionReader(function, self.unseen)
            self.body.wrap(lambda source: EventSource(source, reader, MAX_EVENT_BYTES))
        return True


@dataclass(slots=True, frozen=True, kw_only=True)
class Informational:
    """A 1xx response other than 101, passed on as it comes."""

    status: int
    reason: bytes = b""
    headers: Headers = field(default_factory=Headers)
