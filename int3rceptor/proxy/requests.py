"""From a request's head as a client sent it to the Flow that an exchange carries."""

from int3rceptor.errors import ClientProtocolError
from int3rceptor.model.body import Body
from int3rceptor.model.flow import Flow
from int3rceptor.model.message import DEFAULT_PORTS, Request
from int3rceptor.proxy.session import Session
from int3rceptor.wire.authority import parse_authority
from int3rceptor.wire.events import RequestHead


def build_flow(head: RequestHead, body: Body, session: Session) -> Flow:
    """The flow of a request that came on `session`.

    It goes where its tunnel leads. An absolute target inside a tunnel, and any target
    outside of one, leads where it says. ClientProtocolError when it leads nowhere, 421
    when HTTP/2 asks this connection for another host's resource.
    """
    target, version = session.target, head.version
    if target is None or head.is_absolute or version == "HTTP/2":
        target = _destination(head, session)
    request = Request(  # by position: by name it takes twice as long
        head.method,
        head.scheme,
        target[0],
        target[1],
        head.target,
        head.authority,
        version,
        head.headers,
        body,
        head.block,
    )
    return Flow(session.client, request)


def _destination(head: RequestHead, session: Session) -> tuple[str, int]:
    default_port = DEFAULT_PORTS.get(head.scheme, 80)
    if session.target is None:
        host, port = parse_authority(head.authority, default_port)
        return host.lower(), port
    if head.version == "HTTP/2":
        if head.scheme != session.scheme:
            raise ClientProtocolError(
                f":scheme is {head.scheme} on a connection for {session.scheme}"
            )
        _check_is_covered(head, session)
    elif head.is_absolute:
        host, port = parse_authority(head.authority, default_port)
        return host.lower(), port
    return session.target


def _check_is_covered(head: RequestHead, session: Session) -> None:
    """RFC 9110, 15.5.20: the certificate that we showed names one host; a request for
    another one on this connection is not ours to answer, and goes unasked."""
    shown = (session.sni or session.target[0] if session.target else "").rstrip(".")
    host, _ = parse_authority(head.authority, DEFAULT_PORTS.get(head.scheme, 80))
    if session.client.tls is not None and host.lower().rstrip(".") != shown.lower():
        raise ClientProtocolError(
            f"this connection is for {shown}, not for {host}", status=421
        )
