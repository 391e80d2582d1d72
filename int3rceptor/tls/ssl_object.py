"""The TLS session of a connection, whose bytes pass without a frame of Python."""

import ssl


class _Inner:
    """A method of the object inside, which is OpenSSL's own."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, outer: ssl.SSLObject, owner: type | None = None) -> object:
        # Its place is private, and the same in all releases since 3.7. Where it is not,
        # bytes pass the wrappers.
        inner = vars(outer).get("_sslobj")
        return getattr(inner or super(DirectSslObject, outer), self._name)


class DirectSslObject(ssl.SSLObject):
    """An SSLObject for event loops: `read` wants a size.

    They call these for each TLS record, sixteen times for a large read; uvloop looks
    them up once for a connection and then calls what is inside: 5 % of a large body.
    """

    read = _Inner()  # type: ignore[assignment]
    write = _Inner()  # type: ignore[assignment]
    pending = _Inner()  # type: ignore[assignment]
