"""The four forms of a request target (RFC 9112, 3.2): judged, and brought to one."""

import re

from int3rceptor.errors import ClientProtocolError
from int3rceptor.model.headers import to_text
from int3rceptor.wire.authority import parse_authority
from int3rceptor.wire.wording import quoted

_ABSOLUTE = re.compile(rb"(?i:(https?))://([^/?#]*)(.*)", re.DOTALL)
_AUTHORITY_FORM = re.compile(rb"(?:\[[^\]]*\]|[^:]*):[0-9]+")
_DEFAULT_PORT = {"http": 80, "https": 443}


def judge_target(
    method: bytes, target: bytes, host: bytes | None, scheme: str
) -> tuple[bytes, str, str]:
    """Target in origin-form (authority-form of a CONNECT), authority and scheme.

    `host` is the Host field's value (None when there is none) and `scheme` what the
    connection implies. The target's own authority wins over Host (RFC 9112, 3.2.2).
    """
    if method == b"CONNECT":
        return _judge_connect(target, scheme)
    if target.startswith(b"/") or (target == b"*" and method == b"OPTIONS"):
        if host:
            _judge_authority(host, scheme, "Host field")
        return target, to_text(host or b""), scheme
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise ClientProtocolError(
            f"the request target {quoted(target)} is neither a path nor an http(s) URL"
        )
    return _from_absolute(method, absolute)


def _judge_connect(target: bytes, scheme: str) -> tuple[bytes, str, str]:
    # RFC 9112, 3.2.3: the port is not optional, even when it is the default.
    if not _AUTHORITY_FORM.fullmatch(target):
        raise ClientProtocolError(
            f"CONNECT needs host:port as its target, not {quoted(target)}"
        )
    _judge_authority(target, scheme, "CONNECT target")
    return target, to_text(target), scheme


def _from_absolute(method: bytes, absolute: re.Match[bytes]) -> tuple[bytes, str, str]:
    scheme = absolute[1].decode("ascii").lower()
    authority, path = absolute[2], absolute[3]
    _judge_authority(authority, scheme, "request target")
    if not path:
        # RFC 9112, 3.2.4: OPTIONS on a URL without a path means the server itself.
        path = b"*" if method == b"OPTIONS" else b"/"
    elif not path.startswith(b"/"):
        path = b"/" + path
    return path, to_text(authority), scheme


def _judge_authority(authority: bytes, scheme: str, where: str) -> None:
    try:
        parse_authority(authority, _DEFAULT_PORT.get(scheme, 80))
    except ClientProtocolError as error:
        raise ClientProtocolError(f"{where}: {error}") from None
