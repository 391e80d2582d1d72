"""Which page a failure becomes: what failed, where, and what the reader can do."""

from int3rceptor.errors import (
    ClientProtocolError,
    Int3rceptorError,
    LimitExceeded,
    OriginError,
    OriginProtocolError,
    ProtocolError,
)
from int3rceptor.model.flow import Flow
from int3rceptor.model.message import Response
from int3rceptor.proxy.pages import page


def failure_page(flow: Flow, error: Int3rceptorError) -> Response:
    """The answer for `error`: 4xx when the client is to blame, 5xx otherwise."""
    accept = flow.request.headers.get("accept") or ""
    url = flow.request.url
    match error:
        case OriginError():
            where = f"While asking for {url}."
            return page(
                error.status,
                error.title,
                str(error),
                error.advice,
                where,
                accept=accept,
            )
        case OriginProtocolError():
            title = "The origin's answer is not valid HTTP"
            return page(error.status, title, str(error), f"It came for {url}.")
        case ClientProtocolError():
            return refusal_page(error)
        case LimitExceeded():
            return page(error.status, "A limit was hit", str(error), accept=accept)
        case _:
            raise AssertionError(f"no page for {error!r}")


def refusal_page(error: ProtocolError) -> Response:
    """The answer to a request that is not valid HTTP."""
    return page(
        error.status,
        "The request is not valid HTTP",
        str(error),
        "The connection is closed, since what follows could not be told apart.",
    )


def listener_failed_page(flow: Flow, author: str) -> Response:
    """The answer when a plugin that must not be passed by has failed."""
    return page(
        502,
        "A plugin that guards this traffic failed",
        f"{author} could not judge {flow.request.url}, and is set to block in that "
        f"case (on_error = block). The log says why it failed.",
        accept=flow.request.headers.get("accept") or "",
    )
