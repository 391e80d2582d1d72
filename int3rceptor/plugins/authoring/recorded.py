"""Recorded exchanges out of files: what the kinds of files share.

A recording makes a new Flow each time, since plugins change what they are given.
"""

from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, get_origin

import msgspec

from int3rceptor.errors import PluginError
from int3rceptor.model.flow import Flow
from int3rceptor.model.headers import Headers, is_field_value, is_token, to_bytes
from int3rceptor.model.websocket import WebSocketMessage

MAX_RECORDING_BYTES = 64 * 1024 * 1024
"""Of one file: a browser's HAR of a long session is a tenth of it."""

MAX_RECORDED_FLOWS = 10_000
"""In one file, for the same reason."""

CLIENT = ("127.0.0.1", 40_000)
"""Whom a flow is from that does not say."""

Pairs = list[tuple[str, str]]


@dataclass(slots=True, frozen=True, kw_only=True)
class Recording:
    """One recorded exchange. `notes` are what of it could not be taken as it was;
    `messages` pass after it, if it opens a WebSocket."""

    name: str
    make: Callable[[], Flow]
    notes: tuple[str, ...] = ()
    messages: tuple[WebSocketMessage, ...] = ()


Shape = TypeVar("Shape")


def decoded(path: Path, shape: type[Shape], what: str) -> Shape:
    """A JSON file in this shape; a PluginError says what it is not."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_RECORDING_BYTES + 1)
    except OSError as error:
        raise PluginError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_RECORDING_BYTES:
        raise PluginError(f"{path}: larger than {MAX_RECORDING_BYTES} bytes")
    try:
        # Browsers write a mark before the text that JSON does not allow.
        text = data.removeprefix(b"\xef\xbb\xbf")
        # One where a list is wanted is a list of one.
        is_one = get_origin(shape) is list and text.lstrip().startswith(b"{")
        return msgspec.json.decode(b"[%b]" % text if is_one else text, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PluginError(f"{path}: not {what}: {error}") from None


def bounded(path: Path, found: Sequence[object]) -> None:
    """PluginError unless there is something, and not too much of it."""
    if not found:
        raise PluginError(f"{path}: holds no exchange")
    if len(found) > MAX_RECORDED_FLOWS:
        raise PluginError(f"{path}: more than {MAX_RECORDED_FLOWS} exchanges")


def headers_of(pairs: Pairs, where: str, *, has_coding: bool = True) -> Headers:
    """Fields as they were, without pseudo fields and without a coding that is gone."""
    fields = []
    for name, value in pairs:
        if name.startswith(":") or (not has_coding and name.lower() == _CODING):
            continue
        field = (to_bytes(name), to_bytes(value))
        if not is_token(field[0]) or not is_field_value(field[1]):
            raise PluginError(f"{where}: {name[:100]!r} is no header field")
        fields.append(field)
    return Headers(fields)


_CODING = "content-encoding"


def content_of(data: str, encoding: str, where: str) -> bytes:
    """A body's bytes out of text or base64."""
    if encoding != "base64":
        return to_bytes(data)
    try:
        return b64decode(data, validate=True)
    except (BadBase64, ValueError):
        raise PluginError(f"{where}: a body is not valid base64") from None
