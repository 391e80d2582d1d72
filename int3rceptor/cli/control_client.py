"""Asks the control port of a running proxy, for the commands that act on one.

Only ever the address in the settings, with the token of the data directory: no proxy of
the environment, no redirect.
"""

import http.client
import json
from collections.abc import Mapping
from pathlib import Path

from int3rceptor.config.model import Config
from int3rceptor.control.token import path_of
from int3rceptor.errors import ConfigError, Int3rceptorError

TIMEOUT_S = 90.0
"""Longest wait for an answer: the control port itself waits a minute for the proxy."""

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""What is read of an answer: far above the list of every plugin that a folder holds."""


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
        if response.status >= http.client.BAD_REQUEST:
            raise Refused(_why(response.status, answer))
        return answer

    def send(self, method: str, path: str, value: Mapping[str, object]) -> bytes:
        """`ask` with a JSON body."""
        return self.ask(method, path, json.dumps(value).encode())


def _token(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a token"
        raise ConfigError(
            f"{path}: {reason}; a proxy with this data directory makes it at its start"
        ) from None


def _why(status: int, answer: bytes) -> str:
    try:
        message: str = json.loads(answer)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return f"the control port answered {status}, and not in its own words"
    return message
