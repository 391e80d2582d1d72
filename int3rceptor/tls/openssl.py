"""Calls of OpenSSL that the ssl module makes itself, and does not pass on.

They are plain calls but for the address of a context: the first field of CPython's
object. So it is looked at only in releases of which that is known, and tried on a
context of its own before it is used (docs/adr/0021). Knows no leaves and no hosts.

OpenSSL 3.0 makes a key of the public key in each certificate that it parses, by asking
all its decoders: four fifths of the time. Certificates of a key that is there already
are parsed where there are no decoders, and given that key.
"""

import functools
import ssl
import sys
from collections.abc import Callable, Mapping

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
        calls: Mapping[str, _Call],
    ) -> None:
        self._address = address
        self._parse = parse
        self._options = calls["SSL_CTX_get_options"]
        self._use = calls["SSL_CTX_use_certificate"]
        self._used = calls["SSL_CTX_get0_certificate"]
        self._key = calls["SSL_CTX_get0_privatekey"]
        self._use_key = calls["SSL_CTX_use_PrivateKey"]
        self._key_bits = calls["X509_get0_pubkey_bitstr"]
        self._differ = calls["ASN1_STRING_cmp"]
        self._give_key = calls["X509_set_pubkey"]
        self._free = calls["X509_free"]
        self._new_key = calls["EVP_PKEY_new"]
        self._free_key = calls["EVP_PKEY_free"]
        self._ec_key = calls["EVP_PKEY_get0_EC_KEY"]
        self._set_ec_key = calls["EVP_PKEY_set1_EC_KEY"]
        self._clear_errors = calls["ERR_clear_error"]

    def open_key(self, context: ssl.SSLContext) -> bool:
        """Let `context` have its key in the form that a certificate can be given as it
        is, for `parse` to be quick; False when it is no key on a curve."""
        here = self._address(context)
        curve = self._ec_key(self._key(here))
        if curve:
            key = self._new_key()
            is_open = self._set_ec_key(key, curve) and self._use_key(here, key)
            self._free_key(key)  # the context keeps it
            if is_open:
                return True
        self._clear_errors()
        return False

    def parse(self, context: ssl.SSLContext, der: bytes) -> ParsedCertificate | None:
        """Let `context` show a certificate of the key that it has; None, and nothing
        changed, when it cannot."""
        at = self._parse(der)
        if at:
            parsed = ParsedCertificate(at, self._free)
            here = self._address(context)
            bits = self._key_bits(self._used(here))
            # With one of another key the context would forget its own.
            is_its_own = self._differ(self._key_bits(at), bits) == 0
            has_key = is_its_own and self._give_key(at, self._key(here)) == 1
            if has_key and self._use(here, at) == 1:
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
        import _ssl

        found = _looked_up(_ssl.__file__)
    except (ImportError, OSError, AttributeError):
        return None  # it is part of the interpreter, and shows nothing
    return found if found.knows(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)) else None


_CALLS = {
    "ASN1_STRING_cmp": "ipp",
    "ERR_clear_error": "-",
    "EVP_PKEY_free": "-p",
    "EVP_PKEY_get0_EC_KEY": "pp",
    "EVP_PKEY_new": "p",
    "EVP_PKEY_set1_EC_KEY": "ipp",
    "OSSL_LIB_CTX_new": "p",
    "OSSL_PROVIDER_load": "ppt",
    "SSL_CTX_get0_certificate": "pp",
    "SSL_CTX_get0_privatekey": "pp",
    "SSL_CTX_get_options": "op",
    "SSL_CTX_use_PrivateKey": "ipp",
    "SSL_CTX_use_certificate": "ipp",
    "X509_free": "-p",
    "X509_get0_pubkey_bitstr": "pp",
    "X509_new_ex": "ppt",
    "X509_set_pubkey": "ipp",
    "d2i_X509": "pppl",
}
"""What is called: its result, then its arguments. p: an address, t: a text, i and l: an
int and a long, o: options, -: nothing."""


@functools.cache
def _looked_up(path: str) -> OpenSsl:
    import ctypes  # takes some milliseconds: not before there is a client in TLS

    # Without letting other threads run: to wait for them would cost more than the call.
    library = ctypes.PyDLL(path)
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    number, long, options = ctypes.c_int, ctypes.c_long, ctypes.c_uint64
    kinds = {"p": pointer}, {"t": text}, {"i": number}, {"l": long}, {"o": options}
    types = {letter: kind for one in kinds for letter, kind in one.items()}
    calls = {}
    for name, form in _CALLS.items():
        calls[name] = function = library[name]
        function.restype = types.get(form[0])
        function.argtypes = [types[one] for one in form[1:]]

    def address(context: ssl.SSLContext) -> int:
        return pointer.from_address(id(context) + object.__basicsize__).value or 0

    # A library context without decoders. It stays for what is parsed in it.
    nowhere = calls["OSSL_LIB_CTX_new"]()
    calls["OSSL_PROVIDER_load"](nowhere, b"null")

    def parse(der: bytes) -> int:
        empty = pointer(calls["X509_new_ex"](nowhere, None))
        der_at = ctypes.byref(text(der))
        return calls["d2i_X509"](ctypes.byref(empty), der_at, len(der)) or 0

    return OpenSsl(address=address, parse=parse, calls=calls)
