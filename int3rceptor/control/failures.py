"""The one shape of every error that the control port answers.

`{"error": {"code": ..., "message": ...}}`; `details` names each parameter at fault.
"""

import logging
from collections.abc import Mapping, Sequence

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from int3rceptor.errors import ConfigError

log = logging.getLogger("int3rceptor.control")

MAX_DETAILS = 20
"""Parameters named in one answer: a person reads the first few."""

MAX_SHOWN_CHARS = 200
"""Of a client's own text that is repeated to it."""

RETRY_S = 1
"""When to come again after an answer that says so: what is full empties in less."""

CODES = {
    400: "bad_request",
    401: "token_required",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    409: "refused",
    413: "body_too_large",
    416: "range_not_satisfiable",
    421: "wrong_host",
    422: "invalid_parameter",
    426: "websocket_required",
    429: "too_many_requests",
    431: "head_too_large",
    500: "internal_error",
    503: "unavailable",
    505: "version_not_supported",
}
"""The usual code of each status; docs/control-api.md has what each one means."""


OF_THE_FRAMEWORK = {
    400: "body: its JSON nests too deep, or a number in it is too long",
    404: "there is nothing at this path; docs/control-api.md lists the paths",
}
"""Our words for the errors that are the framework's own."""


class ApiError(HTTPException):
    """An answer other than success; `code` is for programs, `message` for people."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers)
        self.code = code or CODES[status]


class CutShort(Exception):
    """An answer cannot be finished; the message says why. Its head has promised more:
    the connection must end, or the client would take what it has for all of it."""


def error_body(
    code: str, message: str, details: Sequence[Mapping[str, str]] = ()
) -> dict[str, object]:
    """The shape itself."""
    error: dict[str, object] = {"code": code, "message": message}
    if details:
        error["details"] = list(details)
    return {"error": error}


def answer(
    status: int,
    message: str,
    *,
    code: str = "",
    headers: Mapping[str, str] | None = None,
    details: Sequence[Mapping[str, str]] = (),
) -> JSONResponse:
    """An error as a response."""
    body = error_body(code or CODES[status], message, details)
    return JSONResponse(body, status, headers)


def handle(app: FastAPI) -> None:
    """Let `app` answer its errors in this shape, the framework's own among them."""
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ConfigError, _unusable)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if isinstance(error, ApiError):
        code = error.code
    else:
        code = CODES.get(error.status_code, "bad_request")
    message = str(error.detail)
    if not isinstance(error, ApiError):
        message = OF_THE_FRAMEWORK.get(error.status_code, message)
    return answer(error.status_code, message, code=code, headers=error.headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    details = [_detail(problem) for problem in error.errors()[:MAX_DETAILS]]
    first = details[0]
    place = f"{first['in']} {first['name']}".rstrip()
    return answer(422, f"{place}: {first['message']}", details=details)


def _detail(problem: Mapping[str, Sequence[object]]) -> dict[str, str]:
    place, *name = problem["loc"]
    message = str(problem["msg"])
    if problem.get("type") == "json_invalid":
        message = f"not JSON, at character {name.pop()}"
    elif problem.get("type") == "model_attributes_type":
        message = "send a JSON object, as Content-Type: application/json"
    return {
        "in": printable(str(place)),
        "name": printable(".".join(str(part) for part in name)),
        "message": printable(message),
    }


async def _unusable(request: Request, error: Exception) -> JSONResponse:
    """The store cannot be read: the message says why, and what to do."""
    log.warning("control port: %s", error)
    return answer(
        503,
        str(error),
        code="store_unavailable",
        headers={"Retry-After": str(RETRY_S)},
    )


def printable(text: str) -> str:
    """A client's own text, cut, and as text that JSON can carry."""
    cut = text[:MAX_SHOWN_CHARS]
    return cut.encode("utf-8", "backslashreplace").decode()
