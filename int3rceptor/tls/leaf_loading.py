"""Gives a server's context its leaf and key, by the file that ssl asks for or past it.

ssl takes both from a file of text alone. OpenSSL 3.0 then tries all it knows of keys on
the key, which is the same in every leaf of ours: 1.1 ms for each host, against 0.3 ms
where the leaf is given as bytes, and the key as the one that another context has. Both
are plain calls of OpenSSL, but for the address of the context: the first field of
CPython's object. So it is looked at only in releases of which that is known, and tried
on a context of its own before it is used; else the file is the way.
"""

import contextlib
import os
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from int3rceptor.tls.minting import LeafCertificate

KNOWN_RELEASES = ((3, 11), (3, 12), (3, 13))
"""Of CPython, in whose source SSLContext was read: `SSL_CTX *ctx` comes first."""

_Call = Callable[[*tuple[int | bytes | None, ...]], int]


class LeafLoader:
    """Loads leaves, all over one key, into contexts."""

    def __init__(self) -> None:
        self._openssl: OpenSsl | None = None
        # Has the key; kept for that.
        self._keyed: ssl.SSLContext | None = None

    def load(self, context: ssl.SSLContext, leaf: LeafCertificate) -> None:
        """Let `context` show `leaf`; ssl.SSLError when that cannot be."""
        if self._openssl is not None and self._keyed is not None:
            if self._openssl.load(context, leaf.certificate_der, self._keyed):
                return
            self._openssl = None
        certificate = ssl.DER_cert_to_PEM_cert(leaf.certificate_der).encode()
        with _readable_path(leaf.key_pem + certificate) as path:
            context.load_cert_chain(path)
        if self._keyed is None:
            self._keyed, self._openssl = context, find_openssl()


class OpenSsl:
    """Calls of the library that the ssl module itself calls."""

    def __init__(
        self,
        *,
        options: _Call,
        use_certificate: _Call,
        private_key: _Call,
        use_private_key: _Call,
        clear_errors: _Call,
        address: Callable[[ssl.SSLContext], int],
    ) -> None:
        self._options = options
        self._use_certificate = use_certificate
        self._private_key = private_key
        self._use_private_key = use_private_key
        self._clear_errors = clear_errors
        self._address = address

    def load(
        self, context: ssl.SSLContext, certificate: bytes, keyed: ssl.SSLContext
    ) -> bool:
        """Give `context` the certificate (DER), and the key of `keyed`."""
        here = self._address(context)
        if self._use_certificate(here, len(certificate), certificate) == 1:
            key = self._private_key(self._address(keyed))
            # It is compared with the certificate's.
            if self._use_private_key(here, key) == 1:
                return True
        self._clear_errors()  # or the next call of ssl would find them
        return False

    def knows(self, context: ssl.SSLContext) -> bool:
        """Whether what is at the address is that context, told by its options."""
        for change in (ssl.OP_NO_TICKET, ssl.OP_NO_RENEGOTIATION, ssl.OP_NO_TICKET):
            context.options ^= change
            here = self._address(context)
            if not here or self._options(here) != context.options:
                return False
        return True


def find_openssl() -> OpenSsl | None:
    """The calls, where they can be trusted to lead where they should."""
    if (
        sys.implementation.name != "cpython"
        or sys.version_info[:2] not in KNOWN_RELEASES
    ):
        return None
    try:
        found = _looked_up()
    except (ImportError, OSError, AttributeError):
        return None  # it is part of the interpreter, and shows nothing
    return found if found.knows(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)) else None


def _looked_up() -> OpenSsl:
    import _ssl
    import ctypes  # takes some milliseconds, and a client that speaks TLS is not sure

    # Without letting other threads run: to wait for them would cost more than the call.
    library = ctypes.PyDLL(_ssl.__file__)
    at, count, data = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p

    def call(name: str, result: type | None, *arguments: type) -> _Call:
        function = library[name]
        function.restype, function.argtypes = result, arguments
        return function

    def address(context: ssl.SSLContext) -> int:
        return at.from_address(id(context) + object.__basicsize__).value or 0

    return OpenSsl(
        options=call("SSL_CTX_get_options", ctypes.c_uint64, at),
        use_certificate=call("SSL_CTX_use_certificate_ASN1", count, at, count, data),
        private_key=call("SSL_CTX_get0_privatekey", at, at),
        use_private_key=call("SSL_CTX_use_PrivateKey", count, at, at),
        clear_errors=call("ERR_clear_error", None),
        address=address,
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
