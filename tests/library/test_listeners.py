"""What functions can do at the hooks, with real clients over each way."""

import asyncio
import functools
import logging
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from int3rceptor import (
    Body,
    Config,
    Delay,
    Drop,
    Flow,
    Headers,
    PassThrough,
    Proxy,
    Request,
    Respond,
    Response,
    UsageError,
)
from tests.support.origin_tls import OriginTls, client_context
from tests.support.ways import WAYS, Way, an_origin, curl_through, httpx_through

PLAIN, TLS_H1, TLS_H2 = WAYS


def teapot(_: Flow) -> Respond:
    head = Headers([(b"x-made", b"here")])
    return Respond(Response(status=418, headers=head, body=Body(b"teapot")))


async def get(proxy: Proxy, way: Way, url: str) -> httpx.Response:
    async with httpx_through(proxy.url, proxy.ca_path, way) as client:
        return await client.get(url)


# --- changing -------------------------------------------------------------------------


async def test_a_function_changes_both_messages(
    config: Config, origin_tls: OriginTls, way: Way
) -> None:
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:

        @proxy.on_request
        def stamp(flow: Flow) -> None:
            flow.request.headers["x-seen"] = "yes"

        @proxy.on_response
        async def later(flow: Flow) -> None:
            await asyncio.sleep(0)
            assert flow.response
            flow.response.status = 203
            flow.response.headers["x-back"] = flow.request.headers["x-seen"]

        got = await get(proxy, way, f"{origin.url}/")

    assert origin.received[0].headers["x-seen"] == "yes"
    assert (got.status_code, got.headers["x-back"]) == (203, "yes")


async def test_registered_before_the_start_by_a_plain_call(
    config: Config, origin_tls: OriginTls
) -> None:
    seen: list[str] = []
    proxy = Proxy(config)
    proxy.on_request(lambda flow: seen.append(flow.request.path))
    async with an_origin(TLS_H2, origin_tls) as origin, proxy:
        await get(proxy, TLS_H2, f"{origin.url}/early")

    assert seen == ["/early"]


async def test_a_body_made_whole_and_replaced(
    config: Config, origin_tls: OriginTls, way: Way
) -> None:
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:

        def shout(flow: Flow) -> None:
            assert flow.response
            assert flow.response.body.content == b"hello"
            flow.response.body.replace(b"HELLO!")

        def double(flow: Flow) -> None:
            content = flow.request.body.content
            assert content is not None
            flow.request.body.replace(content * 2)

        proxy.listen("on_response", shout, needs_body=True)
        proxy.listen("on_request", double, needs_body=True)
        async with httpx_through(proxy.url, proxy.ca_path, way) as client:
            got = await client.post(f"{origin.url}/", content=b"abc")

    assert origin.received[0].body == b"abcabc"
    assert got.text == "HELLO!"


async def test_the_exchange_is_told_when_it_is_over(
    config: Config, origin_tls: OriginTls, way: Way
) -> None:
    told: asyncio.Queue[Flow] = asyncio.Queue()
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:
        proxy.on_capture(told.put_nowait)
        await get(proxy, way, f"{origin.url}/")
        flow = await told.get()

    assert flow.response
    assert flow.response.status == 200
    assert (flow.bytes_down, flow.error) == (5, "")
    assert flow.times.ended >= flow.times.response_head > 0


# --- verdicts -------------------------------------------------------------------------


async def test_answering_instead_of_the_origin(
    config: Config, origin_tls: OriginTls, way: Way, tmp_path: Path
) -> None:
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:
        proxy.on_request(teapot)
        got = await get(proxy, way, f"{origin.url}/")
        shown = await curl_through(proxy.url, proxy.ca_path, way, tmp_path, origin.url)

    assert (got.status_code, got.text) == (418, "teapot")
    assert got.headers["content-length"] == "6"
    assert "x-made: here" in shown.ok().text
    assert origin.received == []


async def test_answering_a_head_request_sends_no_body(
    config: Config, origin_tls: OriginTls, way: Way, tmp_path: Path
) -> None:
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:
        proxy.on_request(teapot)
        shown = await curl_through(
            proxy.url, proxy.ca_path, way, tmp_path, "--head", origin.url
        )

    assert " 418" in shown.ok().text
    assert not shown.text.endswith("teapot")


@pytest.mark.parametrize("status", [204, 304])
async def test_a_made_answer_without_content_sends_none(
    config: Config, origin_tls: OriginTls, way: Way, status: int
) -> None:
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:
        proxy.on_request(
            lambda _: Respond(Response(status=status, body=Body(b"never sent")))
        )
        async with httpx_through(proxy.url, proxy.ca_path, way) as client:
            answers = [await client.get(f"{origin.url}/") for _ in range(2)]

    assert [(one.status_code, one.content) for one in answers] == [(status, b"")] * 2


async def test_replacing_the_origins_answer(
    config: Config, origin_tls: OriginTls, way: Way
) -> None:
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:
        proxy.on_response(teapot)
        got = await get(proxy, way, f"{origin.url}/")

    assert (got.status_code, got.text) == (418, "teapot")
    assert len(origin.received) == 1


@pytest.mark.parametrize("hook", ["on_request", "on_response"])
async def test_dropping(
    config: Config, origin_tls: OriginTls, way: Way, hook: str
) -> None:
    ended: asyncio.Queue[Flow] = asyncio.Queue()
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:
        getattr(proxy, hook)(lambda _: Drop("not today"))
        proxy.on_capture(ended.put_nowait)
        with pytest.raises(httpx.RemoteProtocolError):
            await get(proxy, way, f"{origin.url}/")
        flow = await ended.get()

    assert flow.error == "dropped: not today"
    assert proxy.statistics.errors == 1


async def test_delaying(config: Config, origin_tls: OriginTls, way: Way) -> None:
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:
        proxy.on_request(lambda _: Delay(0.2))
        started = time.monotonic()
        got = await get(proxy, way, f"{origin.url}/")
        took_s = time.monotonic() - started

    assert got.text == "hello"
    assert took_s >= 0.2


async def test_refusing_a_connection(
    config: Config, origin_tls: OriginTls, tmp_path: Path
) -> None:
    async with an_origin(TLS_H1, origin_tls) as origin, Proxy(config) as proxy:
        proxy.on_connect(lambda flow: Respond(Response(status=403, body=Body(b"no"))))
        shown = await curl_through(
            proxy.url, proxy.ca_path, TLS_H1, tmp_path, f"{origin.url}/"
        )

    assert shown.code == 56
    assert "403" in shown.errors


async def test_passing_a_connection_through(
    config: Config, origin_tls: OriginTls
) -> None:
    requests: list[Flow] = []
    async with an_origin(TLS_H1, origin_tls) as origin, Proxy(config) as proxy:
        proxy.on_connect(lambda _: PassThrough())
        proxy.on_request(requests.append)
        # The certificate is the origin's own: the tunnel is left alone.
        async with httpx.AsyncClient(
            proxy=proxy.url, verify=client_context(origin_tls.ca), trust_env=False
        ) as client:
            got = await client.get(f"{origin.url}/")

    assert got.text == "hello"
    assert requests == []


# --- failing --------------------------------------------------------------------------


async def test_a_function_that_raises_is_told_in_one_line_and_the_flow_goes_on(
    config: Config,
    origin_tls: OriginTls,
    way: Way,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:

        @proxy.on_request
        async def clumsy(flow: Flow) -> None:
            flow.request.headers["x-before"] = "kept"
            raise LookupError("no such thing")

        with caplog.at_level(logging.INFO, "int3rceptor"):
            got = await get(proxy, way, f"{origin.url}/")

    assert got.text == "hello"
    assert origin.received[0].headers["x-before"] == "kept"
    ours = [one for one in caplog.records if one.name.startswith("int3rceptor")]
    (line,) = [one.getMessage() for one in ours if "clumsy" in one.message]
    assert line.startswith("on_request of clumsy failed on flow ")
    assert line.endswith(f"({origin.url}/): LookupError: no such thing")
    assert all(one.exc_info is None for one in ours)


async def test_an_answer_that_is_none_is_a_failure_of_the_function(
    config: Config, origin_tls: OriginTls, caplog: pytest.LogCaptureFixture
) -> None:
    async with an_origin(PLAIN, origin_tls) as origin, Proxy(config) as proxy:
        proxy.on_request(lambda _: PassThrough())
        assert (await get(proxy, PLAIN, origin.url)).text == "hello"

    assert "PassThrough() is no answer to on_request" in caplog.text


@pytest.mark.parametrize(
    "made",
    [
        lambda: Response(status=101),
        lambda: Response(status=200, headers=Headers([(b"a", b"b\r\nc: d")])),
        lambda: Response(status=200, headers=Headers([(b"a b", b"c")])),
        lambda: Response(status=200, headers=Headers([(b":status", b"200")])),
    ],
    ids=["101", "two lines", "space in a name", "pseudo-header"],
)
async def test_an_answer_that_http_cannot_say_is_a_page(
    made: Callable[[], Response],
    config: Config,
    origin_tls: OriginTls,
    way: Way,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:
        proxy.on_request(lambda _: Respond(made()))
        got = await get(proxy, way, origin.url)

    assert got.status_code == 502
    assert "An answer that was made here is not valid HTTP" in got.text
    (told,) = [one for one in caplog.records if one.levelname == "WARNING"]
    assert "flow" in told.getMessage()


@pytest.mark.parametrize(
    "change",
    [
        lambda request: setattr(request, "target", b"/a b"),
        lambda request: setattr(request, "target", b"/ HTTP/1.1\r\nx: y"),
        lambda request: setattr(request, "method", "G ET"),
        lambda request: setattr(request, "authority", "a\r\nb"),
        lambda request: request.headers.raw.append((b"x", b"a\r\nb: c")),
        lambda request: request.headers.raw.append((b"x y", b"a")),
        lambda request: request.headers.raw.append((b":path", b"/b")),
    ],
    ids=["space", "line", "method", "authority", "value", "name", "pseudo-header"],
)
async def test_a_request_that_http_cannot_say_does_not_leave(
    change: Callable[[Request], None], config: Config, origin_tls: OriginTls, way: Way
) -> None:
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:
        proxy.on_request(lambda flow: change(flow.request))
        got = await get(proxy, way, f"{origin.url}/")

    assert got.status_code == 400
    assert "cannot carry this head" in got.text
    assert origin.received == []


# --- who is asked, and when -----------------------------------------------------------


async def test_any_number_by_listen_in_the_order_of_their_priorities(
    config: Config, origin_tls: OriginTls
) -> None:
    order: list[str] = []
    async with an_origin(PLAIN, origin_tls) as origin, Proxy(config) as proxy:
        proxy.listen("on_request", lambda _: order.append("last"), priority=5_000)
        proxy.on_request(lambda _: order.append("default"))
        proxy.listen("on_request", lambda _: order.append("first"), priority=-5)
        await get(proxy, PLAIN, origin.url)

    assert order == ["first", "default", "last"]


async def test_a_listener_that_was_removed_is_not_asked(
    config: Config, origin_tls: OriginTls
) -> None:
    seen: list[Flow] = []
    async with an_origin(PLAIN, origin_tls) as origin, Proxy(config) as proxy:
        one = proxy.listen("on_request", seen.append)
        proxy.listen("on_request", seen.append)
        await get(proxy, PLAIN, origin.url)
        assert len(seen) == 2
        one.remove()
        one.remove()
        await get(proxy, PLAIN, origin.url)
        assert len(seen) == 3


@pytest.mark.parametrize(
    ("hosts", "is_shown"),
    [
        (["localhost"], True),
        (["LOCAL*"], True),
        (["a.test", "local*"], True),
        (["localhost:1"], False),
        (["*.localhost"], False),
        ([], True),
    ],
    ids=str,
)
async def test_hosts(
    config: Config, origin_tls: OriginTls, hosts: list[str], is_shown: bool
) -> None:
    seen: list[Flow] = []
    async with an_origin(TLS_H1, origin_tls) as origin, Proxy(config) as proxy:
        proxy.listen("on_request", seen.append, hosts=hosts)
        await get(proxy, TLS_H1, f"{origin.url}/")

    assert bool(seen) is is_shown


async def test_a_host_with_its_port(config: Config, origin_tls: OriginTls) -> None:
    seen: list[Flow] = []
    async with an_origin(PLAIN, origin_tls) as origin, Proxy(config) as proxy:
        proxy.listen("on_request", seen.append, hosts=[origin.netloc])
        await get(proxy, PLAIN, origin.url)

    assert len(seen) == 1


async def test_methods_partials_and_objects_can_listen(
    config: Config, origin_tls: OriginTls
) -> None:
    seen: list[str] = []

    class Counting:
        def __call__(self, flow: Flow) -> None:
            seen.append("object")

        async def method(self, flow: Flow) -> None:
            seen.append("method")

    def both(word: str, flow: Flow) -> None:
        seen.append(word)

    async with an_origin(PLAIN, origin_tls) as origin, Proxy(config) as proxy:
        proxy.listen("on_request", Counting(), priority=1)
        proxy.listen("on_request", Counting().method, priority=2)
        proxy.listen("on_request", functools.partial(both, "partial"), priority=3)
        await get(proxy, PLAIN, origin.url)

    assert seen == ["object", "method", "partial"]


# --- the wrong way --------------------------------------------------------------------


def nothing(_: Flow) -> None:
    pass


def test_a_second_function_by_decorator_is_refused(config: Config) -> None:
    proxy = Proxy(config)
    assert proxy.on_request(nothing) is nothing
    proxy.on_response(nothing)
    with pytest.raises(UsageError, match=r'use listen\("on_request", function\)'):
        proxy.on_request(nothing)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hook": "on_reqest"}, "no hook is called 'on_reqest'; there are on_connect"),
        ({"function": "print"}, "on_request takes a function of the flow, not 'print'"),
        ({"hosts": "a.test"}, r"write hosts=\['a.test'\]"),
        ({"hosts": ["http://a"]}, "hosts=.*not a host pattern"),
    ],
    ids=["hook", "function", "one-host", "url"],
)
def test_what_cannot_work_is_told_at_once(
    config: Config, arguments: dict[str, object], message: str
) -> None:
    given: dict[str, object] = {"hook": "on_request", "function": nothing, **arguments}
    with pytest.raises(UsageError, match=message):
        Proxy(config).listen(**given)  # type: ignore[arg-type]  # what is tested
