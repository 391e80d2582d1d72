from http import HTTPStatus

import pytest

from int3rceptor.errors import (
    ClientProtocolError,
    ConnectError,
    Int3rceptorError,
    LimitExceeded,
    OriginProtocolError,
    OriginTimeout,
    PoolExhausted,
    TransformError,
)
from int3rceptor.model.flow import ClientInfo, Flow
from int3rceptor.model.headers import Headers
from int3rceptor.model.message import Request, Response
from int3rceptor.proxy.failures import failure_page, listener_failed_page, refusal_page
from int3rceptor.proxy.pages import MAX_SHOWN, document, download, page


def text(response: Response) -> str:
    assert response.body.content is not None
    assert response.body.length == len(response.body.content)
    return response.body.content.decode()


def flow(accept: str = "*/*", target: bytes = b"/<b>") -> Flow:
    request = Request(
        method="GET",
        scheme="https",
        host="a.test",
        port=443,
        target=target,
        authority="a.test",
        version="HTTP/1.1",
        headers=Headers([(b"Accept", accept.encode())]),
    )
    return Flow(client=ClientInfo(address=("127.0.0.1", 1)), request=request)


def test_a_page_is_html_for_browsers() -> None:
    made = page(502, "Title", "why", accept="text/html,*/*;q=0.8")

    assert made.headers["content-type"] == "text/html; charset=utf-8"
    assert made.reason == b"Bad Gateway"
    assert "<h1>Title</h1><p>why</p>" in text(made)


def test_a_page_is_text_for_programs() -> None:
    made = page(502, "Title", "why", "", "and what", accept="*/*")

    assert made.headers["content-type"] == "text/plain; charset=utf-8"
    assert text(made) == "int3rceptor: Title\nwhy\nand what\n"


def test_a_page_is_never_kept_and_says_who_made_it() -> None:
    made = page(400, "T", headers=((b"Retry-After", b"1"),))

    assert made.headers["cache-control"] == "no-store"
    assert made.headers["x-int3rceptor"]
    assert made.headers["retry-after"] == "1"


@pytest.mark.parametrize("accept", ["text/html", "*/*"])
def test_what_others_wrote_cannot_become_markup(accept: str) -> None:
    shown = text(page(400, "<i>T</i>", '<script>"\udcff"&', accept=accept))

    if accept == "text/html":
        assert "<script>" not in shown
        assert "<i>" not in shown
        assert "&lt;script&gt;" in shown
    else:
        assert "<script>" in shown
    assert "\\udcff" in shown


def test_what_others_wrote_is_cut() -> None:
    shown = text(page(400, "T", "x" * (MAX_SHOWN + 1), accept="*/*"))

    assert shown.count("x") == MAX_SHOWN


def test_documents_carry_the_body_as_it_is() -> None:
    assert "<p>mine</p>" in text(document(200, "T", "<p>mine</p>"))


def test_downloads() -> None:
    made = download(b"\0\1", "application/x-test", "a.bin")

    assert made.status == 200
    assert made.headers["content-type"] == "application/x-test"
    assert made.headers["content-disposition"] == 'attachment; filename="a.bin"'
    assert made.body.content == b"\0\1"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConnectError("cannot connect", advice="check it"), 502),
        (OriginTimeout("too late"), 504),
        (PoolExhausted("none free"), 503),
        (OriginProtocolError("bad framing"), 502),
        (ClientProtocolError("bad", status=431), 431),
        (LimitExceeded("too large"), 413),
    ],
)
def test_a_failure_says_what_and_where(error: Int3rceptorError, status: int) -> None:
    made = failure_page(flow(), error)

    assert made.status == status
    assert made.reason == HTTPStatus(status).phrase.encode()
    assert str(error) in text(made)
    assert getattr(error, "advice", "") in text(made)


def test_no_page_tells_a_query() -> None:
    asked = flow(target=b"/a?token=secret")
    for error in (ConnectError("x"), OriginProtocolError("x"), TransformError("x")):
        assert "https://a.test/a?…" in text(failure_page(asked, error))
        assert "secret" not in text(failure_page(asked, error))
    assert "secret" not in text(listener_failed_page(asked, "plugin guard"))


def test_refusals_and_listeners() -> None:
    assert refusal_page(ClientProtocolError("x", status=408)).status == 408
    made = listener_failed_page(flow(), "plugin guard")
    assert made.status == 502
    assert "plugin guard could not judge https://a.test/<b>" in text(made)
