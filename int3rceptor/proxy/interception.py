"""TLS with a client, in the name of its origin: which certificate, which ALPN."""

import ssl

from int3rceptor.errors import StreamLost
from int3rceptor.net.inbound import Inbound
from int3rceptor.net.stream import ByteStream
from int3rceptor.proxy.limits import PROBE_S
from int3rceptor.proxy.onboarding import OWN_NAMES
from int3rceptor.proxy.services import Services
from int3rceptor.proxy.session import Session
from int3rceptor.proxy.upstream.answer import Origin
from int3rceptor.proxy.upstream.dial import tls_info
from int3rceptor.tls.client_hello import ClientHello

HTTP1 = ("http/1.1",)
BOTH = ("h2", "http/1.1")


async def intercept(
    inbound: Inbound,
    session: Session,
    hello: ClientHello,
    services: Services,
    own_address: str,
) -> ByteStream:
    """Do the handshake with a certificate for the name that the client asked for.

    That is its SNI, else the host of CONNECT, else `own_address` (a client that speaks
    TLS with the proxy itself). Fills `session.client.tls` and `session.sni`.
    StreamLost when the handshake fails, ProtocolError for a host that no certificate
    can name.
    """
    host = hello.sni or (session.target[0] if session.target else own_address)
    session.sni = hello.sni
    session.scheme = "https"
    alpn = await _offer(session, hello, services)
    context = services.contexts.get(host, alpn)
    timeout_s = services.settings.limits.head_timeout_s
    try:
        stream = await inbound.to_tls(context, timeout_s)
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).replace("_", " ").lower()
        raise StreamLost(_refused_by_client(host, reason)) from error
    session.client.tls = tls_info(stream.ssl_object, hello.sni)
    return stream


async def _offer(
    session: Session, hello: ClientHello, services: Services
) -> tuple[str, ...]:
    """What the client is offered: HTTP/2 where its origin speaks it too, if that can be
    learnt in time. A mistake costs a translation, never the request."""
    if b"h2" not in hello.alpn:
        return HTTP1 if hello.alpn else ()
    match services.settings.tls.client_http2:
        case "never":
            return HTTP1
        case "always":
            return BOTH
    if session.target is None or b"http/1.1" not in hello.alpn:
        return BOTH
    if session.target[0] in OWN_NAMES:  # an origin that is not to be looked for
        return BOTH
    if services.settings.upstream.http2 == "never":
        return HTTP1
    origin = Origin("https", *session.target, hello.sni)
    if upstream := session.upstream(*session.target):
        origin = origin._replace(via=upstream.address)
    speaks_h2 = await services.origins.learns_h2(origin, PROBE_S)
    return HTTP1 if speaks_h2 is False else BOTH


def _refused_by_client(host: str, reason: str) -> str:
    hint = ""
    if "unknown ca" in reason or "bad certificate" in reason:
        hint = (
            "; it does not trust the CA yet (see http://int3rceptor.local/), or it "
            f"pins certificates: tls.passthrough = [{host!r}] leaves it alone"
        )
    return f"TLS handshake for {host} failed: {reason}{hint}"
