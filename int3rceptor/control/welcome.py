"""The page at /: what this port is, and what to do with it. It holds no secret."""

import hashlib
from base64 import b64encode

from starlette.requests import Request
from starlette.responses import HTMLResponse

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46em;margin:4em auto;"
    "padding:0 1em;color:#1a1a2e;background:#fff}h1{font-size:1.4em}"
    "code,pre{background:#f0f0f4;padding:.1em .3em;overflow-wrap:anywhere}"
    "@media(prefers-color-scheme:dark){body{background:#101018;color:#e6e6f0}"
    "code,pre{background:#222230}}"
)

_PAGE = f"""<!doctype html>
<html lang=en><head><meta charset=utf-8>
<meta name=viewport content="width=device-width">
<title>INT3RCEPTOR: control port</title><style>{_STYLE}</style></head><body>
<h1>This is the control port of INT3RCEPTOR</h1>
<p>It serves an API over the flows that passed through the proxy. It is not the proxy
itself: that listens on another port, which the program named when it started.</p>
<p>Every request needs the token that is in the file <code>control-token</code> of the
data directory:</p>
<pre>curl -H "Authorization: Bearer $(cat DATA_DIR/control-token)" \\
  http://HOST:PORT/api/flows</pre>
<p><code>/api/flows</code> lists flows, <code>/api/flows/ID</code> shows one,
<code>/api/events</code> tells of them live, <code>/api/ca</code> is the certificate
that clients must trust, <code>/metrics</code> is for Prometheus, and
<code>/api/openapi.json</code> describes all of it. <code>/api/health</code> alone needs
no token. On the command line, <code>int3rceptor flows list</code> shows the same.</p>
</body></html>
"""

# The page's own style and nothing else: no script, image, frame or form.
_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; frame-ancestors 'none';"
    " base-uri 'none'; form-action 'none'"
)


async def welcome(request: Request) -> HTMLResponse:
    """The page."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})
