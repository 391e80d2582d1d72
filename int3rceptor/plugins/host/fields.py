"""Host functions that write header and trailer fields.

Each validates what the guest gave, keeps what undoes the change, then acts. None
raises. Framing stays the proxy's: a guest cannot set the fields that carry it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from int3rceptor.hooks.changes import Edited
from int3rceptor.hooks.points import CAPTURE, REQUEST, RULE_MATCH
from int3rceptor.model.headers import Headers, is_field_value
from int3rceptor.model.message import Request, Response
from int3rceptor.plugins.abi.codes import Status
from int3rceptor.plugins.host.host import Host, HostAct
from int3rceptor.plugins.policy.masking import MASK
from int3rceptor.wire.h1.framing import FORBIDDEN_TRAILERS

BODILESS = frozenset({204, 205, 304})
"""Statuses whose responses have no body (RFC 9110, 15)."""


MAX_FIELDS = 512
"""Of a message that a plugin adds to or makes: twice what is taken from a peer, so that
there is always room for a few more."""

MAX_FIELD_BYTES = 64 * 1024
"""Of one value: as much as a whole head from a peer."""

# To look a member up on its class costs as much as what a host function does.
_OK = Status.OK


def field_problem(host: Host, name: bytes, value: bytes) -> Status | None:
    """Why this plugin may not write this field; None if it may."""
    known = host.names[name]
    if len(value) > MAX_FIELD_BYTES:
        return Status.TOO_LARGE
    if not is_field_value(value):
        return Status.BAD_ARGUMENT
    if known.problem:
        return known.problem
    # What is kept may be masked: that is what redacting is.
    is_loss = known.is_masked and MASK in value and host.point is not CAPTURE
    return Status.PROTECTED if is_loss else None


def changing_request(host: Host) -> Request | None:
    """The request while it can change, or what is kept of it; None once it was sent."""
    flow, point = host.flow, host.point
    if flow is None:
        return None
    if point is REQUEST or point is CAPTURE:
        return flow.request
    # A rule may have matched the response.
    is_ahead = point is RULE_MATCH and flow.response is None
    return flow.request if is_ahead else None


def _message_headers(host: Host) -> Headers | Status:
    message = host.message
    if message is None:
        return Status.NOT_FOUND
    is_past = host.point is not REQUEST and type(message) is Request
    if is_past and changing_request(host) is None:
        return Status.WRONG_HOOK
    return message.headers


def _request_headers(host: Host) -> Headers | Status:
    request = changing_request(host)
    return Status.WRONG_HOOK if request is None else request.headers


def _message_trailers(host: Host) -> Headers | Status:
    message = host.message
    return Status.NOT_FOUND if message is None else _trailers(host, message)


def _request_trailers(host: Host) -> Headers | Status:
    request = changing_request(host)
    return Status.WRONG_HOOK if request is None else _trailers(host, request)


def _trailers(host: Host, message: Request | Response) -> Headers | Status:
    """Trailers can change while the body is not on its way yet, where they will be
    sent; in the record always."""
    body = message.body
    if host.point is not CAPTURE:
        if not body.is_whole:
            return Status.TOO_LARGE
        if not _carries_trailers(host, message):
            return Status.BAD_ARGUMENT
    if body.trailers is None:
        body.trailers = Headers()  # as good as none while it is empty
    return body.trailers


def _carries_trailers(host: Host, message: Request | Response) -> bool:
    """Whether a trailer section can follow: only chunks and HTTP/2 have one, and only
    where there is a body (RFC 9112, 7.1.2)."""
    if isinstance(message, Request):
        return bool(message.body.content or message.body.trailers)
    assert host.flow is not None
    request = host.flow.request
    is_bodiless = request.method == "HEAD" or message.status in BODILESS
    return not is_bodiless and request.version != "HTTP/1.0"


_Find = Callable[[Host], Headers | Status]


@dataclass(slots=True, frozen=True)
class _Fields:
    """Fields that guests write: where they are, which more are not theirs, and what
    stands before a change of them in the record."""

    find: _Find
    protected: frozenset[bytes] = frozenset()
    kind: str = ""

    def open(self, host: Host, name: bytes, value: bytes) -> Edited | Status:
        """The fields, ready to be changed by this name and value; or why not."""
        problem = field_problem(host, name, value)
        if problem is not None:
            return problem
        if self.protected and name.lower() in self.protected:
            return Status.PROTECTED
        fields = self.find(host)
        if type(fields) is not Headers:
            return fields
        return host.save_fields(fields, self.kind)

    def writer(self, *, is_added: bool) -> HostAct:
        """A function that sets or adds one field."""

        def act(host: Host, name_at: int, name_len: int, at: int, length: int) -> int:
            name, value = host.read(name_at, name_len), host.read(at, length)
            if name is None or value is None:
                return Status.BAD_POINTER
            edited = self.open(host, name, value)
            if type(edited) is not Edited:
                return edited
            fields = edited.fields
            if len(fields.raw) >= MAX_FIELDS and (
                is_added or fields.get_bytes(name.lower()) is None
            ):
                return Status.TOO_LARGE
            place = fields.append(name, value) if is_added else fields.put(name, value)
            edited.note(place)
            return _OK

        return act

    def remover(self) -> HostAct:
        """A function that drops every field of a name; the number dropped."""

        def act(host: Host, name_at: int, name_len: int) -> int:
            name = host.read(name_at, name_len)
            if name is None:
                return Status.BAD_POINTER
            edited = self.open(host, name, b"")
            if type(edited) is not Edited:
                return edited
            edited.note(None)
            return edited.fields.remove(name)

        return act


_MESSAGE = _Fields(_message_headers)
_REQUEST = _Fields(_request_headers)
_MESSAGE_TRAILERS = _Fields(_message_trailers, FORBIDDEN_TRAILERS, "trailer ")
_REQUEST_TRAILERS = _Fields(_request_trailers, FORBIDDEN_TRAILERS, "trailer ")

FIELD_WRITERS: Mapping[str, HostAct] = MappingProxyType(
    {
        "host_set_header": _MESSAGE.writer(is_added=False),
        "host_add_header": _MESSAGE.writer(is_added=True),
        "host_remove_header": _MESSAGE.remover(),
        "host_set_request_header": _REQUEST.writer(is_added=False),
        "host_add_request_header": _REQUEST.writer(is_added=True),
        "host_remove_request_header": _REQUEST.remover(),
        "host_set_trailer": _MESSAGE_TRAILERS.writer(is_added=False),
        "host_add_trailer": _MESSAGE_TRAILERS.writer(is_added=True),
        "host_remove_trailer": _MESSAGE_TRAILERS.remover(),
        "host_set_request_trailer": _REQUEST_TRAILERS.writer(is_added=False),
        "host_add_request_trailer": _REQUEST_TRAILERS.writer(is_added=True),
        "host_remove_request_trailer": _REQUEST_TRAILERS.remover(),
    }
)
"""By the name that guests import them under."""
