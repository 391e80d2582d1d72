"""The pages that the proxy itself answers with: what failed, where, what to do.

Plain, self-contained HTML; a client that does not ask for HTML gets text.
"""

from http import HTTPStatus

from int3rceptor.model.body import Body
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Response

MAX_SHOWN = 2000
"""Characters of a client's or an origin's own text that are shown on a page."""

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46em;margin:4em auto;"
    "padding:0 1em;color:#1a1a2e;background:#fff}h1{font-size:1.4em}"
    "code,pre{background:#f0f0f4;padding:.1em .3em;overflow-wrap:anywhere}"
    "footer{margin-top:3em;color:#666;font-size:.85em}"
    "@media(prefers-color-scheme:dark){body{background:#101018;color:#e6e6f0}"
    "code,pre{background:#222230}a{color:#7fc7ff}}"
)

# Not html.escape: that has the names of all characters, 0.3 MB, and to load it when a
# page is needed fails with what the page would tell of, where no file can be opened.
_ESCAPED = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"}
)


def page(
    status: int,
    title: str,
    *paragraphs: str,
    headers: tuple[tuple[bytes, bytes], ...] = (),
    accept: str = "text/html",
) -> Response:
    """A page of plain-text paragraphs; `accept` is the client's Accept field."""
    shown = [text[:MAX_SHOWN] for text in paragraphs if text]
    if "text/html" in accept or "*/*" not in accept:
        return document(
            status, title, "".join(f"<p>{_e(t)}</p>" for t in shown), headers
        )
    lines = [f"int3rceptor: {title}", *shown]
    return _response(status, "text/plain", "\n".join(lines) + "\n", headers)


def document(
    status: int,
    title: str,
    body: str,
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> Response:
    """A page whose body is HTML made by this program."""
    content = (
        f"<!doctype html><html lang=en><head><meta charset=utf-8>"
        f'<meta name=viewport content="width=device-width">'
        f"<title>{_e(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{_e(title)}</h1>{body}"
        f"<footer>{status} {HTTPStatus(status).phrase}, by INT3RCEPTOR</footer>"
        f"</body></html>\n"
    )
    return _response(status, "text/html", content, headers)


def download(content: bytes, media_type: str, filename: str) -> Response:
    """A file for the client to keep."""
    disposition = f'attachment; filename="{filename}"'.encode()
    return Response(
        status=200,
        reason=b"OK",
        headers=Headers(
            [
                (b"Content-Type", media_type.encode()),
                (b"Content-Disposition", disposition),
                (b"Cache-Control", b"no-store"),
            ]
        ),
        body=Body(content, length=len(content)),
    )


def _response(
    status: int, kind: str, text: str, headers: tuple[tuple[bytes, bytes], ...]
) -> Response:
    content = text.encode("utf-8", "backslashreplace")
    return Response(
        status=status,
        reason=HTTPStatus(status).phrase.encode(),
        headers=Headers(
            [
                (b"Content-Type", f"{kind}; charset=utf-8".encode()),
                (b"Cache-Control", b"no-store"),
                (b"X-Int3rceptor", b"answered by the proxy"),
                *headers,
            ]
        ),
        body=Body(content, length=len(content)),
    )


def _e(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode().translate(_ESCAPED)
