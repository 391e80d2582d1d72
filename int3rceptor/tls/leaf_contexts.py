"""The contexts that show leaves to clients, over one ssl.SSLContext where that goes.

ssl takes a leaf and its key from a file of text alone, once for each context. A context
of its own for each host takes 0.2 ms and 20 KB, and the file 1.1 ms more: OpenSSL 3.0
tries all that it knows of keys on the key, which is the same in every leaf. So one
context has the key, and shows the leaf of whichever connection begins: 0.1 ms for each
host. Where OpenSSL is out of reach (`openssl.py`), a context and a file for each host.
"""

import contextlib
import os
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from int3rceptor.net.tls_session import TlsContext
from int3rceptor.tls.minting import LeafCertificate
from int3rceptor.tls.openssl import OpenSsl, ParsedCertificate, find_openssl


class LeafContexts:
    """Contexts that differ in their leaf alone; `make` gives one without any."""

    def __init__(self, make: Callable[[], ssl.SSLContext]) -> None:
        self._make = make
        self._shared: _Shared | None = None
        self._may_share = True

    def context(self, leaf: LeafCertificate) -> TlsContext:
        """One for `leaf`, whose key is that of all; ssl.SSLError when it is no good."""
        if self._shared is not None:
            certificate = self._shared.parse(leaf.certificate_der)
            if certificate is not None:
                return LeafContext(self._shared, certificate)
            self._shared = None
        openssl = find_openssl() if self._may_share else None
        if openssl is not None:
            shared = _Shared(self._load(leaf), openssl)
            certificate = shared.begin(leaf.certificate_der)
            if certificate is not None:
                self._shared = shared
                return LeafContext(shared, certificate)
            self._may_share = False
        return self._load(leaf)

    def _load(self, leaf: LeafCertificate) -> ssl.SSLContext:
        context = self._make()
        pem = ssl.DER_cert_to_PEM_cert(leaf.certificate_der).encode()
        with _readable_path(leaf.key_pem + pem) as path:
            context.load_cert_chain(path)
        return context


def _shown_by(context: ssl.SSLContext) -> bytes | None:
    """What a client gets to see, by a handshake in memory: whatever another release of
    OpenSSL makes of our calls, no client shall be the first to find out."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(down, up)
    serving = context.wrap_bio(up, down, server_side=True)
    try:
        for end in (asking, serving, asking, serving, asking):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
        return asking.getpeercert(binary_form=True)
    except (ssl.SSLError, ValueError):
        return None


class _Shared:
    """A context with a key, and the certificate that it shows just now."""

    def __init__(self, context: ssl.SSLContext, openssl: OpenSsl) -> None:
        self.context = context
        self._openssl = openssl
        self._shown: ParsedCertificate | None = None

    def begin(self, der: bytes) -> ParsedCertificate | None:
        """The first certificate, parsed; None where OpenSSL does not do what it should:
        the context is of no use then."""
        if not self._openssl.open_key(self.context):
            return None
        parsed = self.parse(der)
        is_shown = parsed is not None and _shown_by(self.context) == der
        return parsed if is_shown else None

    def parse(self, der: bytes) -> ParsedCertificate | None:
        parsed = self._openssl.parse(self.context, der)
        self._shown = parsed or self._shown
        return parsed

    def show(self, certificate: ParsedCertificate) -> None:
        if certificate is not self._shown:
            self._openssl.show(self.context, certificate)
            self._shown = certificate


class LeafContext:
    """What a connection is made by, as of an ssl.SSLContext with a leaf of its own."""

    def __init__(self, shared: _Shared, certificate: ParsedCertificate) -> None:
        self._shared = shared
        self._certificate = certificate

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
    ) -> ssl.SSLObject:
        """A connection that shows this leaf, whatever the next one shows."""
        self._shared.show(self._certificate)
        return self._shared.context.wrap_bio(
            incoming, outgoing, server_side, server_hostname
        )


def _readable_path(content: bytes) -> contextlib.AbstractContextManager[str]:
    """Give a path to read `content` from: load_cert_chain takes nothing else."""
    if sys.platform == "linux" and Path("/proc/self/fd").is_dir():
        return _memory_file(content)
    return _private_file(content)


@contextlib.contextmanager
def _memory_file(content: bytes) -> Iterator[str]:
    """The key never touches a disk."""
    with os.fdopen(os.memfd_create("leaf"), "wb") as file:
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


@contextlib.contextmanager
def _private_file(content: bytes) -> Iterator[str]:
    """Where there are no memory files: mode 0600, gone after the block."""
    import tempfile  # it brings five modules along, and is not needed on Linux

    descriptor, name = tempfile.mkstemp(prefix="leaf-")
    try:
        # Closed before it is read again: Windows would not open it twice.
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        yield name
    finally:
        Path(name).unlink()
