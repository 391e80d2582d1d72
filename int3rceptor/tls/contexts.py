"""Owns the TLS contexts: one per host towards clients, one per origin towards origins.

Everything here is synchronous and called on the event loop, which makes each look-up
its own single flight. Knows nothing of connections, policy or HTTP.

A connection is made by `context.wrap_bio(...)` alone, so few of them need an
ssl.SSLContext of their own. `OriginContext` passes the call on to one base context
(system trust costs 50 ms and 1 MB to load), together with a remembered session and the
protocols to offer; for hosts see `leaf_contexts.py`.
"""

import functools
import ssl
import sys
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from pathlib import Path

from int3rceptor.errors import ConfigError
from int3rceptor.files.reading import at_once
from int3rceptor.net.tls_session import TlsContext
from int3rceptor.tls.host_names import parse_host
from int3rceptor.tls.leaf_contexts import LeafContexts
from int3rceptor.tls.minting import LeafCertificate, Minter
from int3rceptor.tls.verification import OriginCertificateError

# 6 KiB each (measured); a page names about 50 hosts, a day of browsing hundreds.
MAX_SERVER_CONTEXTS = 512

# One for each set of protocols that clients are offered; there are three.
MAX_SHARED_CONTEXTS = 8

# Contexts are rebuilt with a fresh leaf this often, so that a process that runs for
# months never shows an expired one, nor resumes by keys of months ago. Far below the
# validity of a leaf.
LEAF_ROTATION_S = 24 * 3600.0

# One is enough to resume with; each more is work and bytes for both sides.
SERVER_TICKETS = 1

# Small but for the sessions below; losing one costs one full handshake.
MAX_ORIGIN_CONTEXTS = 256

# So many connections to an origin can resume at once; each session is 6 KiB.
MAX_SESSIONS_PER_ORIGIN = 4

# A resumed handshake shows no certificate, so this is how long a verification counts.
MAX_SESSION_AGE_S = 3600.0

# The largest public bundles are under 1 MiB.
MAX_CA_FILE_BYTES = 8 * 1024 * 1024

_PEM_MARK = b"-----BEGIN"

# By a name of its own: a test can move it without moving the event loop's clock.
_now = time.monotonic


class ServerContexts:
    """The contexts shown to clients, least recently used ones forgotten first."""

    def __init__(
        self,
        minter: Minter,
        *,
        minimum_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
        max_contexts: int = MAX_SERVER_CONTEXTS,
    ) -> None:
        # The period is part of the key: in a new period everything is built anew.
        def mint(host: str, period: int) -> LeafCertificate:
            return minter.mint(host)

        leaves = functools.lru_cache(max_contexts)(mint)

        def share(alpn: tuple[str, ...], period: int) -> LeafContexts:
            make = functools.partial(_build_server_context, alpn, minimum_version)
            return LeafContexts(make)

        shared = functools.lru_cache(MAX_SHARED_CONTEXTS)(share)

        def build(host: str, alpn: tuple[str, ...], period: int) -> TlsContext:
            return shared(alpn, period).context(leaves(host, period))

        self._contexts = functools.lru_cache(max_contexts)(build)

    def get(self, host: str, alpn: tuple[str, ...]) -> TlsContext:
        """Give the context for `host`, offering `alpn` in order of preference.

        Takes about 0.2 ms the first time. Raises BadHostName when no certificate can
        name `host`, AuthorityError when the CA has expired meanwhile.
        """
        period = int(time.time() // LEAF_ROTATION_S)
        return self._contexts(str(parse_host(host)), alpn, period)


def _build_server_context(
    alpn: tuple[str, ...], minimum_version: ssl.TLSVersion
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = minimum_version
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = SERVER_TICKETS
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginVerification:
    """How origins are judged: system trust and `extra_ca` files, or not at all.

    `extra_ca` are PEM (one or many certificates) or DER. `minimum_version` is TLS 1.2
    or 1.3: OpenSSL's own policy has no working older one.
    """

    extra_ca: tuple[Path, ...] = ()
    is_verifying: bool = True
    minimum_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2


class OriginSslObject(ssl.SSLObject):
    """A connection to an origin; tells the whole chain when it is not accepted."""

    # When the certificate behind a resumed session was verified (monotonic seconds).
    verified_at: float | None = None
    # Whose connection it is: the base is the same for all.
    owner: "OriginContext | None" = None

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except ssl.SSLCertVerificationError as error:
            raise _with_chain(error, self._unverified_chain()) from error

    def _unverified_chain(self) -> tuple[bytes, ...]:
        """Give what the origin sent, DER, leaf first; empty if it cannot be known."""
        # Public from 3.13 on, where it gives DER; before, a method of the inner object
        # alone, which those releases, closed to changes, will keep.
        source: object = self if sys.version_info >= (3, 13) else vars(self)["_sslobj"]
        read = getattr(source, "get_unverified_chain", None)
        chain = read() if read is not None else None
        return tuple(
            entry if isinstance(entry, bytes) else entry.public_bytes(_DER)
            for entry in chain or ()
        )


# ssl's _ssl.ENCODING_DER, without a name in the public module.
_DER = 2


def _with_chain(
    error: ssl.SSLCertVerificationError, chain: tuple[bytes, ...]
) -> OriginCertificateError:
    known = OriginCertificateError(*error.args)
    known.library = error.library
    known.reason = error.reason
    known.verify_code = error.verify_code
    known.verify_message = error.verify_message
    known.chain = chain
    return known


@dataclass(slots=True, kw_only=True)
class _Resumable:
    """A connection that was verified, or its session once it has ended."""

    server_hostname: str
    verified_at: float
    source: ssl.SSLObject | ssl.SSLSession

    def session(self) -> ssl.SSLSession | None:
        """The session, if another connection can begin with it.

        Each look at a connection's copies it, the certificate inside, byte by byte:
        200 µs. So it is taken when it is wanted, or when the connection ends.
        """
        source = self.source
        if isinstance(source, ssl.SSLSession):
            return source
        session = source.session
        if session is None or session.has_ticket:
            return session
        is_by_id = source.version() != "TLSv1.3" and session.id
        return session if is_by_id else None


class OriginContext:
    """What connections to one origin offer, and the sessions that they resume.

    Connections take it for an ssl.SSLContext: `wrap_bio` is all that they ask of one. A
    real one would cost 260 µs and 13 KB for each origin, and hold no settings.
    """

    def __init__(self, base: ssl.SSLContext, alpn: tuple[str, ...]) -> None:
        self._base = base
        self._alpn = list(alpn)
        self._resumable: deque[_Resumable] = deque(maxlen=MAX_SESSIONS_PER_ORIGIN)

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """A connection of the base, with what is this origin's own."""
        verified_at = None
        if session is None:
            session, verified_at = self._take(server_hostname)
        # A connection takes over what the base offers when it is made, and only then.
        self._base.set_alpn_protocols(self._alpn)
        wrapped = self._base.wrap_bio(
            incoming, outgoing, server_side, server_hostname, session
        )
        if isinstance(wrapped, OriginSslObject):
            wrapped.owner = self
            wrapped.verified_at = verified_at
        return wrapped

    def _take(
        self, server_hostname: str | bytes | None
    ) -> tuple[ssl.SSLSession | None, float | None]:
        """Take a session out, and when it was verified: used once each (RFC 8446,
        appendix C.4), so that one an origin chokes on fails no second connection."""
        oldest = _now() - MAX_SESSION_AGE_S
        while self._resumable:
            found = self._resumable.pop()
            # The name was verified when the session began and is not verified again.
            if found.server_hostname != server_hostname or found.verified_at <= oldest:
                continue
            if (session := found.session()) is not None:
                return session, found.verified_at
        return None, None

    def remember(self, ssl_object: ssl.SSLObject) -> None:
        """Let a connection made through this context be resumed by the next one.

        Call it after the first response: in TLS 1.3 the origin sends its tickets after
        the handshake. Call `ended` when the connection has ended.
        """
        if not isinstance(ssl_object, OriginSslObject) or ssl_object.owner is not self:
            return
        if ssl_object.server_hostname is None:
            return
        verified_at = _now()
        if ssl_object.session_reused and ssl_object.verified_at is not None:
            verified_at = ssl_object.verified_at
        self._resumable.append(
            _Resumable(
                server_hostname=ssl_object.server_hostname,
                verified_at=verified_at,
                source=ssl_object,
            )
        )

    def forget_sessions(self) -> None:
        """Keep none, nor those of connections that are still to end: a copy each."""
        self._resumable = deque(maxlen=0)

    def ended(self, ssl_object: ssl.SSLObject) -> None:
        """Keep no more of a connection than its session, if it is remembered: a tenth
        of the memory."""
        for one in self._resumable:
            if one.source is not ssl_object:
                continue
            session = one.session()
            if session is None:
                self._resumable.remove(one)
            else:
                one.source = session
            return


class OriginContexts:
    """The contexts used towards origins, all with the same verification."""

    def __init__(
        self,
        verification: OriginVerification,
        *,
        max_contexts: int = MAX_ORIGIN_CONTEXTS,
    ) -> None:
        """Loads the system's trust: about 50 ms. Raises ConfigError when an extra CA
        file cannot be used."""
        self._base = _build_origin_base(verification)
        self._max_contexts = max_contexts
        # The least recently used one first.
        self._contexts: OrderedDict[tuple[str, tuple[str, ...]], OriginContext] = (
            OrderedDict()
        )

    def get(self, origin_key: str, alpn: tuple[str, ...]) -> OriginContext:
        """Give the context of one origin (any text that names it), offering `alpn`."""
        key = origin_key, alpn
        context = self._contexts.get(key)
        if context is not None:
            self._contexts.move_to_end(key)
            return context
        self._contexts[key] = context = OriginContext(self._base, alpn)
        if len(self._contexts) > self._max_contexts:
            _, forgotten = self._contexts.popitem(last=False)
            forgotten.forget_sessions()
        return context

    def forget_sessions(self) -> None:
        """Keep no sessions any more: no connection will begin with them."""
        for context in self._contexts.values():
            context.forget_sessions()


def origin_context(verification: OriginVerification) -> ssl.SSLContext:
    """A context of its own for connections to origins, for blocking sockets.

    Takes about 50 ms. Raises ConfigError when an extra CA file cannot be used.
    """
    context = _build_origin_base(verification)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _build_origin_base(verification: OriginVerification) -> ssl.SSLContext:
    anchors = [_read_ca_file(path) for path in verification.extra_ca]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslobject_class = OriginSslObject
    context.minimum_version = verification.minimum_version
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if verification.is_verifying:
        # What names it alone (RFC 9525): browsers look at no more, and a CA's name
        # constraints do not hold for a common name.
        context.hostname_checks_common_name = False
        # A file that holds an intermediate names what to trust, as a root would.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        for anchor in anchors:
            context.load_verify_locations(cadata=anchor)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _read_ca_file(path: Path) -> str | bytes:
    """Read trust anchors and try them, so that a bad file stops the start."""
    try:
        with open(path, "rb", opener=at_once) as file:
            content = file.read(MAX_CA_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"cannot read the CA file {path}: {error.strerror}; check --upstream-ca"
        ) from error
    # Bundles carry comments in any encoding between their certificates.
    is_pem = _PEM_MARK in content
    anchors = content.decode("ascii", "ignore") if is_pem else content
    try:
        if len(content) > MAX_CA_FILE_BYTES:
            raise ValueError("too large")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=anchors)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(
            f"the CA file {path} holds no usable certificate (PEM or DER);"
            " check --upstream-ca"
        ) from error
    return anchors
