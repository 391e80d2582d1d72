"""What OpenAPI says beyond the routes' own types: errors, the token, examples."""

from typing import TypeAlias

from fastapi.security import HTTPBearer

from int3rceptor.control.failures import CODES, error_body
from int3rceptor.control.schemas import Failure

Described: TypeAlias = dict[int | str, dict[str, object]]

DESCRIPTIONS = {
    400: "The request is not HTTP, or not JSON, as it should be.",
    401: "The token is missing or wrong.",
    403: "A page of another site asked.",
    404: "There is no such flow, or plugin.",
    405: "The path does not take this method; Allow says which it takes.",
    408: "The request's body did not come in time.",
    409: "It cannot be done as things are; the message says why.",
    413: "The request's body is too large.",
    416: "The range lies outside the body, or there are several.",
    421: "The Host field is not a name of the control port.",
    422: "A parameter, or the body, is not what it must be.",
    426: "This path is for WebSockets.",
    429: "Too many requests a second; Retry-After says when to come again.",
    431: "The request's head is too large.",
    500: "An error of the product's own; its log says more.",
    503: "The store, or the proxy, cannot answer now.",
}

EVERYWHERE = (400, 403, 408, 413, 421, 429, 431, 500)
"""What any request may be answered; 401 too, but where no token is needed."""

bearer = HTTPBearer(
    scheme_name="token",
    description="What DATA_DIR/control-token holds.",
    auto_error=False,  # guards.Locked refuses, before anything is read
)


_SHAPES = "#/components/schemas/{model}"
FAILURE = {"$ref": _SHAPES.format(model=Failure.__name__)}
"""Named rather than given as a model: the framework would work through it again for
each error of each route, which was most of what a hub took to start its port."""


def components() -> dict[str, object]:
    """The shape of errors, and those that it is made of."""
    schema = Failure.model_json_schema(ref_template=_SHAPES)
    return {**schema.pop("$defs", {}), Failure.__name__: schema}


def documented(*statuses: int) -> Described:
    """These errors, and those that any request may be answered."""
    return {status: _described(status) for status in sorted({*EVERYWHERE, *statuses})}


def _described(status: int) -> dict[str, object]:
    example = error_body(CODES[status], DESCRIPTIONS[status])
    described: dict[str, object] = {
        "description": DESCRIPTIONS[status],
        "content": {"application/json": {"schema": FAILURE, "example": example}},
    }
    header = HEADERS.get(status)
    if header is not None:
        name, meaning, kind = header
        described["headers"] = {
            name: {"description": meaning, "schema": {"type": kind}}
        }
    return described


HEADERS = {
    401: ("WWW-Authenticate", "The scheme: Bearer.", "string"),
    429: ("Retry-After", "Seconds to wait.", "integer"),
}
"""What comes with some of the errors."""


def download() -> Described:
    """A body, and a part of one."""
    binary = {"type": "string", "format": "binary"}
    content = {"application/octet-stream": {"schema": binary}}
    fields = {
        "X-Int3rceptor-Body-Size": {
            "description": "The body's full size as it passed.",
            "schema": {"type": "integer", "minimum": 0},
        },
        "Content-Disposition": {
            "description": "attachment, with a file name.",
            "schema": {"type": "string"},
        },
    }
    content_range = {
        "description": "Which bytes of how many.",
        "schema": {"type": "string"},
    }
    return {
        200: {
            "description": "All that is kept.",
            "content": content,
            "headers": fields,
        },
        206: {
            "description": "The range that was asked for.",
            "content": content,
            "headers": {**fields, "Content-Range": content_range},
        },
    }


def certificate() -> Described:
    """The CA in its forms."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    kinds = (
        "application/x-pem-file",
        "application/pkix-cert",
        "application/x-apple-aspen-config",
    )
    return {200: {"description": "A file.", "content": dict.fromkeys(kinds, binary)}}


def metrics_text() -> Described:
    """A scrape."""
    example = (
        "# HELP int3rceptor_control_viewers Who watches live.\n"
        "# TYPE int3rceptor_control_viewers gauge\n"
        "int3rceptor_control_viewers 0\n"
    )
    content = {"text/plain": {"schema": {"type": "string"}, "example": example}}
    return {200: {"description": "A scrape.", "content": content}}
