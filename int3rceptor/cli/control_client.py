"""Asks the control port of a running proxy, for the commands that act on one.

Only ever the address in the settings, with the token of the data directory: no proxy of
the environment, no redirect.
"""

import http.client
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from int3rceptor.config.model import Config
from int3rceptor.control.token import MAX_FILE_BYTES, TOKEN, path_of
from int3rceptor.errors import ConfigError, Int3rceptorError
from int3rceptor.files.reading import Watched

TIMEOUT_S = 90.0
"""Longest wait for an answer: the control port itself waits a minute for the proxy."""

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""What is read of an answer: far above the list of every plugin that a folder holds."""


Shape = TypeVar("Shape")


class Refused(Int3rceptorError):
    """The control port did not do what was asked: its own line says why."""


class ControlClient:
    """The control port that these settings speak of."""

    def __init__(self, config: Config) -> None:
        address = config.control_address
        if address is None:
            raise ConfigError("control: off: there is no proxy to ask")
        self._host, self._port = address
        if not self._port:
            raise ConfigError(
                "control: port 0 names no running proxy; give --control HOST:PORT as "
                "the proxy printed it"
            )
        self._token = _token(path_of(config.data_dir))

    def ask(
        self, method: str, path: str, body: bytes = b"", kind: str = "application/json"
    ) -> bytes:
        """The answer's body. Refused when it is no success, or nobody answers."""
        connection = http.client.HTTPConnection(
            self._host, self._port, timeout=TIMEOUT_S
        )
        headers = {"Authorization": f"Bearer {self._token}"}
        if body:
            headers["Content-Type"] = kind
        try:
            connection.request(method, path, body or None, headers)
            response = connection.getresponse()
            answer = response.read(MAX_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise Refused(
                f"no proxy answers at {self._host}:{self._port}: {reason}; start one, "
                "or say where it is with --control HOST:PORT"
            ) from None
        finally:
            connection.close()
        if response.status >= http.client.MULTIPLE_CHOICES:
            raise Refused(_why(response.status, answer))
        return answer

    def send(self, method: str, path: str, value: Mapping[str, object]) -> bytes:
        """`ask` with a JSON body."""
        return self.ask(method, path, json.dumps(value).encode())


def decoded(answer: bytes, kind: type[Shape]) -> Shape:
    """An answer in its shape. Refused when it is none of ours: something else answers
    at this address, or another release."""
    try:
        return msgspec.json.decode(answer, type=kind)
    except (msgspec.MsgspecError, RecursionError):
        raise Refused(
            "what answers is no control port of this release; say where it is with "
            "--control HOST:PORT"
        ) from None


def _token(path: Path) -> str:
    try:
        token = Watched().read(path, MAX_FILE_BYTES).decode("ascii").strip()
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}; a proxy with this data directory makes it at "
            "its start"
        ) from None
    except ValueError:  # no file, too long, or not ASCII
        token = ""
    if not TOKEN.fullmatch(token):
        raise ConfigError(
            f"{path}: not a token; delete it, and a proxy with this data directory "
            "makes a new one at its start"
        )
    return token


def _why(status: int, answer: bytes) -> str:
    try:
        return str(json.loads(answer)["error"]["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return f"the control port answered {status}, and not in its own words"
