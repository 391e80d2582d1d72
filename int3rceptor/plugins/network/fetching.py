"""Sends plugins' requests: resolve, connect, TLS, one exchange, all by a deadline.

Runs in the thread of the plugin that waits, never on the event loop. The address that
was judged is the one that is connected to, so a name that changes its mind between the
two (DNS rebinding) gains nothing. No redirect is followed, no proxy, cookie or
environment variable is looked at, and each connection is used once.
"""

import http.client
import io
import os
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from int3rceptor.net.own import Address, leads_to
from int3rceptor.plugins.network.outbound import (
    FetchAnswer,
    FetchFailure,
    FetchRequest,
    FetchTerms,
    is_public,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_ADDRESSES = 8
"""Of one name that are tried: each gets its share of the time."""

MAX_LOOKUPS = 16
"""Names that are looked up at a time. A lookup cannot be called off: one that the name
server does not answer goes on in its thread after the plugin has given up."""

PIECE_BYTES = 64 * 1024
"""Written at a time, so that each piece is held to the time that is left."""

_BODY_EXPECTED = frozenset({"PATCH", "POST", "PUT"})
"""Methods whose request tells its length even when it is 0 (RFC 9110, 8.6)."""

_lookups = threading.BoundedSemaphore(MAX_LOOKUPS)


class HttpFetcher:
    """The fetcher of a proxy; connects to nobody of `own`."""

    def __init__(
        self, tls: Callable[[], ssl.SSLContext], own: Sequence[Address]
    ) -> None:
        """`tls` is asked at the first https request: trust takes 50 ms to load."""
        self._tls = tls
        self._own = tuple(own)

    def __call__(
        self, request: FetchRequest, terms: FetchTerms
    ) -> FetchAnswer | FetchFailure:
        """Fetch, within the terms; it never raises."""
        until = _Deadline(terms.seconds)
        try:
            found = _resolve(request.host, request.port, until)
            allowed = [
                one for one in found if terms.may_be_private or is_public(one[1])
            ]
            if not allowed:
                return FetchFailure(_private_reason(request, found), is_private=True)
            with self._connect(allowed[:MAX_ADDRESSES], until) as plain:
                sock = plain
                if request.scheme == "https":
                    sock = self._secured(plain, request.host, until)
                with sock:
                    return _exchanged(_TimedSocket(sock, until), request, terms)
        except TimeoutError:
            return FetchFailure(f"no whole answer within {terms.seconds:.3g} s")
        except ssl.SSLCertVerificationError as error:
            return FetchFailure(f"its certificate: {error.verify_message}")
        except ssl.SSLError as error:
            return FetchFailure(f"no TLS connection: {error.reason}")
        except http.client.HTTPException as error:
            return FetchFailure(f"the answer cannot be read: {type(error).__name__}")
        except _Refused as error:
            return FetchFailure(str(error), is_large=error.is_large)
        except OSError as error:
            return FetchFailure(_reason(error))
        except ValueError:
            return FetchFailure("its name or its answer cannot be used")

    def _connect(
        self, addresses: Sequence[tuple[int, str, int]], until: "_Deadline"
    ) -> socket.socket:
        """A connection to the first address that answers."""
        failure: OSError = TimeoutError()
        for position, (family, address, port) in enumerate(addresses):
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.settimeout(until.left() / (len(addresses) - position))
                sock.connect((address, port))
                if any(leads_to(sock, one) for one in self._own):
                    raise _Refused("this is the proxy's own address")
            except OSError as error:
                sock.close()
                failure = error
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise failure

    def _secured(
        self, sock: socket.socket, host: str, until: "_Deadline"
    ) -> ssl.SSLSocket:
        context = self._tls()
        sock.settimeout(until.left())
        return context.wrap_socket(sock, server_hostname=host)


class _Refused(Exception):  # becomes a FetchFailure; nobody else sees it
    def __init__(self, reason: str, *, is_large: bool = False) -> None:
        super().__init__(reason)
        self.is_large = is_large


class _Deadline:
    """When all of a fetch must be over."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """The seconds until then; TimeoutError when there are none."""
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds


def _resolve(host: str, port: int, until: _Deadline) -> list[tuple[int, str, int]]:
    """Family, address and port; in a thread of its own, which may outlive the wait."""
    answers: queue.SimpleQueue[list[tuple[int, str, int]] | OSError] = (
        queue.SimpleQueue()
    )

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put([(int(one[0]), str(one[4][0]), port) for one in found])
        except OSError as error:
            answers.put(error)
        except UnicodeError:
            answers.put(OSError("not a name"))
        finally:
            _lookups.release()

    if not _lookups.acquire(timeout=until.left()):
        raise TimeoutError
    threading.Thread(target=look_up, name="int3rceptor-lookup", daemon=True).start()
    try:
        answer = answers.get(timeout=until.left())
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _private_reason(
    request: FetchRequest, found: Sequence[tuple[int, str, int]]
) -> str:
    addresses = ", ".join(dict.fromkeys(one[1] for one in found[:MAX_ADDRESSES]))
    return (
        f"it leads to {addresses}, which is not a public address: that needs "
        f"network.private:{request.authority}"
    )


def _reason(error: OSError) -> str:
    if isinstance(error, socket.gaierror) or not error.errno:
        return (error.strerror or str(error)).lower()
    return os.strerror(error.errno).lower()


class _TimedReader(io.RawIOBase):
    """What comes in; each read is held to the time that is left of all of it."""

    def __init__(self, sock: socket.socket, until: _Deadline) -> None:
        self._sock = sock
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        self._sock.settimeout(self._until.left())
        return self._sock.recv_into(buffer)

    def readall(self) -> bytes:
        """Nothing here is read without a limit; http.client would for a chunk whose
        size is given as -1."""
        raise http.client.IncompleteRead(b"")


class _TimedSocket:
    """As much of a socket as http.client reads an answer from."""

    def __init__(self, sock: socket.socket, until: _Deadline) -> None:
        self._sock = sock
        self._until = until

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._sock.settimeout(self._until.left())
            sent = self._sock.send(view[:PIECE_BYTES])
            view = view[sent:]

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._sock, self._until))


def _exchanged(
    sock: _TimedSocket, request: FetchRequest, terms: FetchTerms
) -> FetchAnswer:
    sock.sendall(head_of(request) + request.body)
    with http.client.HTTPResponse(
        cast("socket.socket", sock), method=request.method
    ) as response:
        response.begin()
        headers = [
            (name.encode("latin-1"), " ".join(value.split()).encode("latin-1"))
            for name, value in response.getheaders()
        ]
        room = terms.max_bytes - sum(len(name) + len(value) for name, value in headers)
        body = response.read(room + 1) if room >= 0 else b""
        if room < 0 or len(body) > room:
            reason = f"the answer has more than {terms.max_bytes} bytes"
            raise _Refused(reason, is_large=True)
        if response.length:
            raise _Refused("the answer ended early")
        return FetchAnswer(status=response.status, headers=headers, body=body)


def head_of(request: FetchRequest) -> bytes:
    """The request's head, as it goes out."""
    lines = [
        b"%s %s HTTP/1.1" % (request.method.encode(), request.target),
        b"Host: " + request.authority.encode(),
        *(name + b": " + value for name, value in request.headers),
    ]
    if request.body or request.method in _BODY_EXPECTED:
        lines.append(b"Content-Length: %d" % len(request.body))
    lines += [b"Connection: close", b"", b""]
    return b"\r\n".join(lines)
