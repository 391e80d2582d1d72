"""Rules on live traffic, judged by what the origin and the client received."""

import asyncio
import json
import ssl
from pathlib import Path

import pytest

from tests.e2e.conftest import StartProxy
from tests.support import tools
from tests.support.clients import Proxy, h2_client, raw, run, secure, tunnel
from tests.support.h1_peer import Message, response
from tests.support.h2_origin import H2Origin, answer
from tests.support.nginx import Nginx
from tests.support.origin_tls import OriginTls, client_context
from tests.support.origins import AnsweringOrigin, echo, fixed
from tests.support.process import ProxyProcess
from tests.support.ruling import block_rule, rules_file

GUESTS = Path(__file__).parents[1] / "guests"


async def h1_get(
    proxy: Proxy, netloc: str, path: str, *, fields: str = "", name: str = "localhost"
) -> Message:
    async with secure(proxy, netloc, server_name=name) as client:
        head = f"GET {path} HTTP/1.1\r\nHost: {netloc}\r\n{fields}\r\n"
        await client.send(head.encode())
        return await client.read_response()


HEADERS = """
[[rules]]
name = "request headers"
match = { host = "localhost", path = "/changed*" }
set_header = { X-Set = "new" }
add_header = { X-Add = ["1", "2"] }
remove_header = "X-Remove"

[[rules]]
name = "response headers"
on = "response"
match = { host = "localhost", path = "/changed*", status = "2xx" }
set_header = { Server = "rules" }
add_header = { X-Answered = "yes" }
"""


async def test_headers_over_http1(
    start_proxy: StartProxy, tmp_path: Path, origin_tls: OriginTls
) -> None:
    proxy = start_proxy("--rules", rules_file(tmp_path, HEADERS))
    fields = "X-Set: old\r\nX-Remove: me\r\nX-Kept: 1\r\n"

    async with AnsweringOrigin(echo, tls=origin_tls.server()) as origin:
        changed = await h1_get(proxy, origin.netloc, "/changed?q", fields=fields)
        same = await h1_get(proxy, origin.netloc, "/same", fields=fields)

        first, second = origin.requests
    assert first.values("x-set") == [b"new"]
    assert first.values("x-add") == [b"1", b"2"]
    assert first.values("x-remove") == []
    assert (b"X-Kept", b"1") in first.headers
    assert changed.value("server") == b"rules"
    assert changed.value("x-answered") == b"yes"
    assert second.values("x-set") == [b"old"]
    assert second.value("x-remove") == b"me"
    assert same.value("x-answered") is None


async def test_headers_over_http2(
    start_proxy: StartProxy, tmp_path: Path, origin_tls: OriginTls
) -> None:
    proxy = start_proxy("--rules", rules_file(tmp_path, HEADERS))

    async with (
        H2Origin(answer, tls=origin_tls.server(["h2"])) as origin,
        h2_client(proxy, origin.netloc) as client,
    ):
        stream = await client.request(
            "GET", origin.netloc, "/changed", headers=[(b"x-remove", b"me")]
        )
        (seen,) = origin.streams

    assert stream.value("x-answered") == b"yes"
    assert stream.value("server") == b"rules"
    assert seen.values("x-add") == [b"1", b"2"]
    assert seen.values("x-remove") == []


async def test_the_record_names_each_rule(
    start_proxy: StartProxy, tmp_path: Path, origin_tls: OriginTls
) -> None:
    proxy = start_proxy("--rules", rules_file(tmp_path, HEADERS))

    async with AnsweringOrigin(echo, tls=origin_tls.server()) as origin:
        await h1_get(proxy, origin.netloc, "/changed")

    proxy.wait_for_line(
        r"/changed 200 .*rule request headers: 3 edits.*rule response headers: 2 edits"
    )


REWRITE = """
[[rules]]
name = "elsewhere"
match = {{ host = "api.example.test", path_regex = "/v1/(.*)" }}
rewrite = {{ host = "localhost", port = {port}, path = "/v2/\\\\1" }}

[[rules]]
name = "same name"
match = {{ host = "keep.example.test" }}
rewrite = {{ scheme = "http", host = "localhost", port = {plain}, keep_host = true }}
"""


async def test_rewrite_leads_elsewhere(
    start_proxy: StartProxy, tmp_path: Path, origin_tls: OriginTls
) -> None:
    async with (
        AnsweringOrigin(echo, tls=origin_tls.server()) as origin,
        AnsweringOrigin(echo) as plain,
    ):
        text = REWRITE.format(port=origin.port, plain=plain.port)
        proxy = start_proxy("--rules", rules_file(tmp_path, text))

        moved = await h1_get(
            proxy, "api.example.test:443", "/v1/a%20b?q=1", name="api.example.test"
        )
        kept = await h1_get(
            proxy, "keep.example.test:443", "/x", name="keep.example.test"
        )

        (request,) = origin.requests
        (kept_request,) = plain.requests
    assert moved.status == kept.status == 200
    assert request.target == b"/v2/a%20b?q=1"
    assert request.value("host") == origin.netloc.encode()
    assert kept_request.value("host") == b"keep.example.test:443"
    proxy.wait_for_line(
        r"GET +https://localhost:\d+/v2/a%20b\?q=1 200 .*rule elsewhere"
    )


async def test_rewrite_leads_elsewhere_over_http2(
    start_proxy: StartProxy, tmp_path: Path, origin_tls: OriginTls
) -> None:
    async with H2Origin(answer, tls=origin_tls.server(["h2"])) as origin:
        text = REWRITE.format(port=origin.port, plain=1)
        proxy = start_proxy(
            "--rules",
            rules_file(tmp_path, text),
            config='[tls]\nclient_http2 = "always"\n',
        )
        name = "api.example.test"
        async with h2_client(proxy, f"{name}:443", server_name=name) as client:
            stream = await client.request("GET", name, "/v1/x")
        (seen,) = origin.streams

    assert stream.status == 200
    assert seen.path == b"/v2/x"
    assert seen.value(":authority") == origin.netloc.encode()


ENDINGS = """
[[rules]]
name = "mock"
match = { host = "mock.example.test", method = "GET" }
delay_s = 0.2
answer = { status = 201, headers = { X-Mock = "yes" }, body_file = "body.json" }

[[rules]]
name = "page"
match = { host = "page.example.test" }
block = true

[[rules]]
name = "drop"
match = { host = "drop.example.test" }
block = "drop"

[[rules]]
name = "late"
on = "response"
match = { path = "/late" }
answer = { status = 410, body = "gone" }
"""


@pytest.fixture
def ending_proxy(start_proxy: StartProxy, tmp_path: Path) -> ProxyProcess:
    (tmp_path / "body.json").write_text('{"a": 1}')
    return start_proxy(
        "--rules",
        rules_file(tmp_path, ENDINGS),
        config='[tls]\nclient_http2 = "always"\n',
    )


@pytest.mark.clients
@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
async def test_answer_block_and_drop_as_curl_sees_them(
    ending_proxy: ProxyProcess, home: Path, version: str
) -> None:
    async def curl(url: str) -> tuple[int, str]:
        outcome = await run(
            tools.require("curl"), "--silent", "--include", "--max-time", "12", version,
            "--proxy", ending_proxy.url, "--cacert", ending_proxy.ca, url, home=home,
        )  # fmt: skip
        return outcome.code, outcome.text

    code, text = await curl("https://mock.example.test/any")
    assert code == 0
    assert " 201" in text
    assert "x-mock: yes" in text.lower()
    assert "content-type: application/json" in text.lower()
    assert text.endswith('{"a": 1}')
    code, text = await curl("https://page.example.test/any")
    assert code == 0
    assert " 403" in text
    assert "blocked by the rule page" in text
    code, text = await curl("https://drop.example.test/any")
    assert code in (52, 92)  # an empty reply; a stream that was reset
    assert "rule drop" not in text


async def test_a_response_is_replaced(
    ending_proxy: ProxyProcess, origin_tls: OriginTls
) -> None:
    async with AnsweringOrigin(echo, tls=origin_tls.server()) as origin:
        late = await h1_get(ending_proxy, origin.netloc, "/late")
        other = await h1_get(ending_proxy, origin.netloc, "/other")

        assert len(origin.requests) == 2
    assert (late.status, late.text) == (410, "gone")
    assert json.loads(other.text)["line"] == "GET /other HTTP/1.1"


async def test_plain_http_is_ruled_too(start_proxy: StartProxy, tmp_path: Path) -> None:
    proxy = start_proxy("--rules", rules_file(tmp_path, block_rule("b", "localhost")))

    async with AnsweringOrigin(echo) as origin, raw(proxy) as client:
        await client.send(
            f"GET {origin.url}/ HTTP/1.1\r\nHost: {origin.netloc}\r\n\r\n".encode()
        )
        assert (await client.read_response()).status == 403
        assert not origin.requests


async def test_a_blocked_name_is_blocked_under_any_name(
    start_proxy: StartProxy, tmp_path: Path, nginx: Nginx
) -> None:
    text = block_rule("b", "*.blocked.example")
    proxy = start_proxy("--rules", rules_file(tmp_path, text))

    async with secure(proxy, nginx.h1) as client:
        await client.send(
            b"GET /small.txt?ruled HTTP/1.1\r\nHost: WWW.Blocked.Example\r\n\r\n"
        )
        received = await client.read_response()

    assert received.status == 403
    assert not [one for one in nginx.requests() if "ruled" in str(one["uri"])]


# --- at CONNECT -----------------------------------------------------------------------

CONNECT = """
[[rules]]
name = "alone"
on = "connect"
match = { host = "127.0.0.*" }
passthrough = true

[[rules]]
name = "closed"
on = "connect"
match = { host = "closed.example.test" }
block = true
"""


async def test_passthrough_shows_the_origins_own_certificate(
    start_proxy: StartProxy, tmp_path: Path, origin_tls: OriginTls
) -> None:
    proxy = start_proxy("--rules", rules_file(tmp_path, CONNECT))

    async with AnsweringOrigin(fixed(response()), tls=origin_tls.server()) as origin:
        async with tunnel(proxy, f"127.0.0.1:{origin.port}") as client:
            # Trusts the origin's CA alone: our own certificate would not pass.
            await client.start_tls(client_context(origin_tls.ca), "127.0.0.1")
            session = client.writer.get_extra_info("ssl_object")
            shown = session.getpeercert(binary_form=True)
            await client.send(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert (await client.read_response()).text == "ok"
        direct = await asyncio.to_thread(
            ssl.get_server_certificate, ("127.0.0.1", origin.port)
        )
        # By a name that the rule does not match, it is intercepted.
        assert (await h1_get(proxy, origin.netloc, "/")).text == "ok"

    assert ssl.DER_cert_to_PEM_cert(shown) == direct
    proxy.wait_for_line("rule alone: passed through")


async def test_block_at_connect_refuses_the_tunnel(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    proxy = start_proxy("--rules", rules_file(tmp_path, CONNECT))

    async with raw(proxy) as client:
        await client.send(
            b"CONNECT closed.example.test:443 HTTP/1.1\r\n"
            b"Host: closed.example.test:443\r\n\r\n"
        )
        received = await client.read_response()

    assert received.status == 403
    assert "blocked by the rule closed" in received.text


# --- on_rule_match --------------------------------------------------------------------


async def test_a_plugin_hears_of_matches_and_its_verdict_counts(
    start_proxy: StartProxy, tmp_path: Path, origin_tls: OriginTls
) -> None:
    text = (
        '[[rules]]\nname = "look"\nmatch = { path = "/look" }\ntag = "t"\n'
        '[[rules]]\nname = "teapot"\nmatch = { path = "/tea" }\nblock = true\n'
    )
    proxy = start_proxy(
        "--rules", rules_file(tmp_path, text), "--plugin", GUESTS / "rule_match.wat"
    )

    async with AnsweringOrigin(echo, tls=origin_tls.server()) as origin:
        looked = await h1_get(proxy, origin.netloc, "/look")
        tea = await h1_get(proxy, origin.netloc, "/tea")

        assert len(origin.requests) == 1
    assert looked.status == 200
    assert (tea.status, tea.text) == (418, "short and stout")
    proxy.wait_for_line(r"^plugin rule_match: \S+ look")
    proxy.wait_for_line(r"^plugin rule_match: \S+ teapot")
    proxy.wait_for_line("/tea 418 .*rule_match: answered 418")
