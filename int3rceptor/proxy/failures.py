"""Which page a failure becomes: what failed, where, and what the reader can do."""

from int3rceptor.errors import (
    ClientProtocolError,
    Int3rceptorError,
    LimitExceeded,
    OriginError,
    OriginProtocolError,
    ProtocolError,
    TransformError,
)
from int3rceptor.model.flow import Flow
from int3rceptor.model.message import Response
from int3rceptor.proxy.pages import page


def failure_page(flow: Flow, error: Int3rceptorError) -> Response:
    """The answer for `error`: 4xx when the client is to blame, 5xx otherwise."""
    accept = flow.request.headers.get("accept") or ""
    url = flow.request.logged_url
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
            if flow.response is not None and not flow.response.version:
                title = "An answer that was made here is not valid HTTP"
            where = f"It came for {url}."
            return page(error.status, title, str(error), where, accept=accept)
        case ClientProtocolError():
            return refusal_page(error, accept)
        case LimitExceeded():
            return page(error.status, "A limit was hit", str(error), accept=accept)
        case TransformError():
            where = f"It was to change the body of {url}."
            return page(502, error.title, str(error), where, accept=accept)
        case _:
            raise AssertionError(f"no page for {error!r}")


def refusal_page(error: ProtocolError, accept: str = "text/html") -> Response:
    """The answer to a request that cannot be served as it is."""
    title = _REFUSALS.get(error.status, "The request is not valid HTTP")
    return page(error.status, title, str(error), accept=accept)


_REFUSALS = {
    408: "The request did not come in time",
    414: "The request's target is too long",
    421: "This connection is for another host",
    431: "The request's head is too large",
    501: "The request asks for what is not served",
    505: "This version of HTTP is not served",
    508: "The proxy was asked to reach itself",
}


def listener_failed_page(flow: Flow, author: str) -> Response:
    """The answer when a plugin that must not be passed by has failed."""
    return page(
        502,
        "A plugin that guards this traffic failed",
        f"{author} could not judge {flow.request.logged_url}, and is set to block in "
        f"that case (on_error = block). The log says why it failed.",
        accept=flow.request.headers.get("accept") or "",
    )
