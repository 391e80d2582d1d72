"""Calls of OpenSSL that the ssl module makes itself, and does not pass on.

They are plain calls but for the address of a context: the first field of CPython's
object. So it is looked at only in releases of which that is known, and tried on a
context of its own before it is used (docs/adr/0021). Knows no leaves and no hosts.
"""

import ssl
import sys
from collections.abc import Callable

KNOWN_RELEASES = ((3, 11), (3, 12), (3, 13))
"""Of CPython, in whose source SSLContext was read: `SSL_CTX *ctx` comes first."""

_Call = Callable[[*tuple[object, ...]], int]


class ParsedCertificate:
    """A certificate as OpenSSL holds it, of use to a context with its key."""

    __slots__ = ("_free", "at")

    def __init__(self, at: int, free: _Call) -> None:
        self.at = at
        self._free = free

    def __del__(self) -> None:
        self._free(self.at)


class OpenSsl:
    """The library that the ssl module itself calls."""

    def __init__(
        self,
        *,
        address: Callable[[ssl.SSLContext], int],
        parse: Callable[[bytes], int],
        options: _Call,
        use: _Call,
        key: _Call,
        fits: _Call,
        free: _Call,
        clear_errors: _Call,
    ) -> None:
        self._address = address
        self._parse = parse
        self._options = options
        self._use = use
        self._key = key
        self._fits = fits
        self._free = free
        self._clear_errors = clear_errors

    def parse(self, context: ssl.SSLContext, der: bytes) -> ParsedCertificate | None:
        """Let `context` show a certificate of the key that it has; None, and nothing
        changed, when it cannot."""
        at = self._parse(der)
        if at:
            parsed = ParsedCertificate(at, self._free)
            here = self._address(context)
            # With one of another key the context would forget its own.
            if self._fits(at, self._key(here)) == 1 and self._use(here, at) == 1:
                return parsed
        self._clear_errors()  # or the next call of ssl would find them
        return None

    def show(self, context: ssl.SSLContext, parsed: ParsedCertificate) -> None:
        """Let connections that begin now show what was parsed for `context` before."""
        if self._use(self._address(context), parsed.at) != 1:
            self._clear_errors()
            raise ssl.SSLError(
                "OpenSSL does not take a certificate that it took before"
            )

    def knows(self, context: ssl.SSLContext) -> bool:
        """Whether what is at the address is that context, told by its options."""
        for change in (ssl.OP_NO_TICKET, ssl.OP_NO_RENEGOTIATION, ssl.OP_NO_TICKET):
            context.options ^= change
            here = self._address(context)
            if not here or self._options(here) != context.options:
                return False
        return True


def find_openssl() -> OpenSsl | None:
    """The library, where its calls can be trusted to lead where they should."""
    is_known = sys.version_info[:2] in KNOWN_RELEASES
    if sys.implementation.name != "cpython" or not is_known:
        return None
    try:
        found = _looked_up()
    except (ImportError, OSError, AttributeError):
        return None  # it is part of the interpreter, and shows nothing
    return found if found.knows(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)) else None


def _looked_up() -> OpenSsl:
    import _ssl
    import ctypes  # takes some milliseconds: not before there is a client in TLS

    # Without letting other threads run: to wait for them would cost more than the call.
    library = ctypes.PyDLL(_ssl.__file__)
    at, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p

    def call(name: str, result: type | None, *arguments: type) -> _Call:
        function = library[name]
        function.restype, function.argtypes = result, arguments
        return function

    def address(context: ssl.SSLContext) -> int:
        return at.from_address(id(context) + object.__basicsize__).value or 0

    d2i_x509 = call("d2i_X509", at, at, ctypes.POINTER(text), ctypes.c_long)

    def parse(der: bytes) -> int:
        return d2i_x509(None, text(der), len(der)) or 0

    return OpenSsl(
        address=address,
        parse=parse,
        options=call("SSL_CTX_get_options", ctypes.c_uint64, at),
        use=call("SSL_CTX_use_certificate", number, at, at),
        key=call("SSL_CTX_get0_privatekey", at, at),
        fits=call("X509_check_private_key", number, at, at),
        free=call("X509_free", None, at),
        clear_errors=call("ERR_clear_error", None),
    )
