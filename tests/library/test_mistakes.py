"""What a program does wrong, as one that no type checker has seen may: it is told in
one line, the exchange goes on where it can, and no client is left waiting."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import httpx
import pytest

from int3rceptor import (
    Body,
    Config,
    Delay,
    Flow,
    Headers,
    Proxy,
    Respond,
    Response,
    UsageError,
)
from tests.support.origin_tls import OriginTls
from tests.support.patience import PATIENT_S
from tests.support.streams import eventually
from tests.support.ways import WAYS, Way, an_origin, httpx_through
from tests.support.websockets_ends import client_of, echo_origin

PLAIN, TLS_H1, TLS_H2 = WAYS


async def post(proxy: Proxy, way: Way, url: str) -> httpx.Response:
    async with (
        asyncio.timeout(PATIENT_S),
        httpx_through(proxy.url, proxy.ca_path, way) as client,
    ):
        return await client.post(url, content=b"abc")


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log says to the user; no traceback is in it."""
    ours = [one for one in caplog.records if one.name.startswith("int3rceptor")]
    loud = [one for one in ours if one.levelno >= logging.WARNING]
    assert all(one.exc_info is None for one in loud)
    return [one.getMessage() for one in loud]


# --- answers of the wrong type --------------------------------------------------------

WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "none": (lambda: Respond(None), "Respond.response is None, not of type Response"),  # type: ignore[arg-type]
    "status": (
        lambda: Respond(Response(status="200")),  # type: ignore[arg-type]
        "Response.status is '200', not of type int",
    ),
    "reason": (
        lambda: Respond(Response(status=200, reason="OK")),  # type: ignore[arg-type]
        "Response.reason is 'OK', not of type bytes",
    ),
    "headers": (
        lambda: Respond(Response(status=200, headers={"a": "b"})),  # type: ignore[arg-type]
        "Response.headers is {'a': 'b'}, not of type Headers",
    ),
    "texts": (
        lambda: Respond(Response(status=200, headers=Headers([("a", "b")]))),  # type: ignore[list-item]
        "a part of Headers.raw is 'a', not of type bytes",
    ),
    "body": (
        lambda: Respond(Response(status=200, body=b"text")),  # type: ignore[arg-type]
        "Response.body is b'text', not of type Body",
    ),
    "content": (
        lambda: Respond(Response(status=200, body=Body("text"))),  # type: ignore[arg-type]
        "Body.content is 'text', not of type bytes | None",
    ),
    "delay": (lambda: Delay("1"), "Delay.seconds is '1', not of type int | float"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("hook", ["on_request", "on_response"])
async def test_an_answer_of_the_wrong_type_is_a_failure_of_the_function(
    config: Config,
    origin_tls: OriginTls,
    caplog: pytest.LogCaptureFixture,
    hook: str,
    what: str,
) -> None:
    made, why = WRONG[what]

    def careless(flow: Flow) -> object:
        return made()

    async with an_origin(TLS_H2, origin_tls) as origin, Proxy(config) as proxy:
        getattr(proxy, hook)(careless)
        got = await post(proxy, TLS_H2, f"{origin.url}/")

    assert got.text == "hello"
    (line,) = told(caplog)
    assert line.startswith(f"{hook} of careless failed on flow ")
    assert line.endswith(f": TypeError: {why}")


@pytest.mark.parametrize("content", ["text", None], ids=["text", "none"])
async def test_what_is_no_bytes_replaces_no_body(
    config: Config,
    origin_tls: OriginTls,
    way: Way,
    caplog: pytest.LogCaptureFixture,
    content: object,
) -> None:
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:

        @proxy.on_response
        def careless(flow: Flow) -> None:
            assert flow.response is not None
            flow.response.body.replace(content)  # type: ignore[arg-type]

        got = await post(proxy, way, f"{origin.url}/")

    assert got.text == "hello"
    (line,) = told(caplog)
    assert line.endswith(f"a body is bytes, not {type(content).__name__}")


async def test_a_flow_that_ends_by_an_internal_error_says_so(
    config: Config, origin_tls: OriginTls, way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    ended: asyncio.Queue[Flow] = asyncio.Queue()
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:

        @proxy.on_request
        def careless(flow: Flow) -> None:
            flow.request.host = None  # type: ignore[assignment]

        proxy.on_capture(ended.put_nowait)
        with pytest.raises(httpx.TransportError):
            await post(proxy, way, f"{origin.url}/")
        async with asyncio.timeout(PATIENT_S):
            flow = await ended.get()

    assert "internal error" in caplog.text
    assert "that did not end" not in caplog.text
    assert flow.error.startswith("internal error: ")
    assert proxy.statistics.errors == 1


def test_a_proxy_of_something_else_than_settings_is_refused() -> None:
    with pytest.raises(UsageError, match=r"a Proxy takes a Config, not '127"):
        Proxy("127.0.0.1:0")  # type: ignore[arg-type]


# --- what a function waits for is cancelled -------------------------------------------


async def waits(*_: object) -> bytes:
    """As if somebody had cancelled what it waits for."""
    inner = asyncio.create_task(asyncio.sleep(PATIENT_S))
    inner.cancel()
    await inner
    return b""


def asks(*_: object) -> bytes:
    """Asks a future that is cancelled."""
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    return bytes(future.result())


BOTH = pytest.mark.parametrize("function", [waits, asks], ids=["waits", "asks"])
WHY = "what a function waited for was cancelled"
Spoil = Callable[..., bytes | Awaitable[bytes]]


@BOTH
@pytest.mark.parametrize("hook", ["on_connect", "on_request", "on_response"])
async def test_at_a_hook_it_has_failed_and_the_flow_goes_on(
    config: Config,
    origin_tls: OriginTls,
    way: Way,
    caplog: pytest.LogCaptureFixture,
    hook: str,
    function: Spoil,
) -> None:
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:
        getattr(proxy, hook)(function)
        got = await post(proxy, way, f"{origin.url}/")

    assert got.text == "hello"
    (line,) = told(caplog)
    assert line.startswith(f"{hook} of {function.__name__} failed on flow ")
    assert line.endswith(
        f"({origin.url}{'' if not is_path(hook, way) else '/'}): RuntimeError: {WHY}"
    )


def is_path(hook: str, way: Way) -> bool:
    """Whether the hook was asked of a request; a CONNECT has no path."""
    return hook != "on_connect" or not way.is_tls


@BOTH
async def test_a_response_is_broken_off(
    config: Config,
    origin_tls: OriginTls,
    way: Way,
    caplog: pytest.LogCaptureFixture,
    function: Spoil,
) -> None:
    ended: asyncio.Queue[Flow] = asyncio.Queue()
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:

        @proxy.on_response
        def change(flow: Flow) -> None:
            assert flow.response is not None
            flow.response.body.transform(function)

        proxy.on_capture(ended.put_nowait)
        with pytest.raises(httpx.RemoteProtocolError):
            await post(proxy, way, f"{origin.url}/")
        async with asyncio.timeout(PATIENT_S):
            flow = await ended.get()

    assert flow.error == WHY
    (line,) = told(caplog)
    assert line.endswith(f"({origin.url}/): {WHY}")


@BOTH
async def test_an_upload_is_told_of(
    config: Config,
    origin_tls: OriginTls,
    way: Way,
    caplog: pytest.LogCaptureFixture,
    function: Spoil,
) -> None:
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:

        @proxy.on_request
        def change(flow: Flow) -> None:
            flow.request.body.transform(function)

        got = await post(proxy, way, f"{origin.url}/")

    assert got.status_code == 502
    assert WHY in got.text
    (line,) = told(caplog)
    assert line.endswith(f"({origin.url}/): {WHY}")


class Damaged:
    """A source of the program's own, with a defect."""

    async def next_chunk(self) -> bytes:
        raise LookupError("nothing here")

    def trailers(self) -> Headers | None:
        return None


async def test_an_upload_whose_source_fails_is_told_of(
    config: Config, origin_tls: OriginTls, way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:

        @proxy.on_request
        def put(flow: Flow) -> None:
            flow.request.body = Body(source=Damaged())

        got = await post(proxy, way, f"{origin.url}/")

    assert got.status_code == 502
    (line,) = told(caplog)
    assert line.endswith("the body cannot be read on: LookupError: nothing here")


@BOTH
async def test_a_message_goes_on_as_it_is(
    config: Config, caplog: pytest.LogCaptureFixture, function: Spoil
) -> None:
    async with echo_origin() as origin, Proxy(config) as proxy:

        @proxy.on_response
        def follow(flow: Flow) -> None:
            assert flow.websocket is not None
            flow.websocket.transform(function)

        async with (
            asyncio.timeout(PATIENT_S),
            client_of(origin.url, proxy.url, proxy.ca_path) as client,
        ):
            await client.send("one")
            assert await client.recv() == "one"
        await eventually(lambda: proxy.statistics.open_connections == 0)

    (line,) = told(caplog)
    assert f"on_websocket_message of {function.__name__} failed on flow " in line


# --- what a function takes of a body is gone ------------------------------------------

LARGE = b"large" * 100_000


async def take(body: Body) -> None:
    """What a function may do that answers itself, and this one does not."""
    async for _ in body:
        break


async def test_a_response_that_lacks_what_was_taken_is_broken_off(
    config: Config, origin_tls: OriginTls, way: Way
) -> None:
    ended: asyncio.Queue[Flow] = asyncio.Queue()
    async with an_origin(way, origin_tls, LARGE) as origin, Proxy(config) as proxy:

        @proxy.on_response
        async def careless(flow: Flow) -> None:
            assert flow.response is not None
            await take(flow.response.body)

        proxy.on_capture(ended.put_nowait)
        with pytest.raises(httpx.RemoteProtocolError):
            await post(proxy, way, f"{origin.url}/")
        async with asyncio.timeout(PATIENT_S):
            flow = await ended.get()

    assert flow.error


async def test_a_request_that_lacks_what_was_taken_is_not_served(
    config: Config, origin_tls: OriginTls, way: Way
) -> None:
    async with an_origin(way, origin_tls) as origin, Proxy(config) as proxy:

        @proxy.on_request
        async def careless(flow: Flow) -> None:
            await take(flow.request.body)

        async with (
            asyncio.timeout(PATIENT_S),
            httpx_through(proxy.url, proxy.ca_path, way) as client,
        ):
            got = await client.post(f"{origin.url}/", content=LARGE)

    assert got.status_code in (400, 502)
    assert origin.received == []
