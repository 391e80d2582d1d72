"""The example plugins on live traffic: what origin, client and store received."""

import asyncio
import gzip
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from tests.e2e.conftest import StartProxy
from tests.e2e.test_plugins import EXAMPLES
from tests.support.clients import Proxy, raw
from tests.support.h1_peer import H1Peer, Message
from tests.support.kept import kept_flows
from tests.support.origin_tls import OriginTls
from tests.support.origins import AnsweringOrigin, ScriptedOrigin, echo
from tests.support.patience import PATIENT_S
from tests.support.process import STORE_ALONE, ProxyProcess, run_once

HOUR_S = 3600


def example(name: str) -> Path:
    return EXAMPLES / name / f"{name.replace('-', '_')}.wasm"


def table(name: str, **config: object) -> str:
    """The plugin's table in the proxy's config; what JSON and TOML write alike."""
    lines = (f"{key} = {json.dumps(value)}" for key, value in config.items())
    return f"[plugins.{name}.config]\n" + "\n".join(lines) + "\n"


async def ask(
    proxy: Proxy,
    origin: ScriptedOrigin,
    target: str = "/",
    *,
    method: str = "GET",
    fields: Mapping[str, str] | None = None,
    body: str = "",
) -> Message:
    """One request in plain HTTP."""
    head = "".join(f"{name}: {value}\r\n" for name, value in (fields or {}).items())
    async with raw(proxy) as client:
        await client.send(
            f"{method} {origin.url}{target} HTTP/1.1\r\nHost: {origin.netloc}\r\n"
            f"{head}\r\n{body}".encode()
        )
        return await client.read_response(method.encode())


def changes_by_target(data_dir: Path) -> dict[str, list[str]]:
    """What was recorded of each flow's changes."""
    return {
        flow.target.decode(): [what for _, _, what in flow.changes]
        for flow in kept_flows(data_dir)
    }


# --- latency-injector ---------------------------------------------------------------


async def test_latency_injector_delays_by_path(
    tmp_path: Path, origin_tls: OriginTls
) -> None:
    config = table("latency-injector", ms=0, paths=["/slow/*=300", "/s*=0"])
    arguments = (
        "--plugin",
        example("latency-injector"),
        "--upstream-ca",
        origin_tls.ca,
    )
    with ProxyProcess(tmp_path, *arguments, config=config, planes=STORE_ALONE) as proxy:
        async with AnsweringOrigin(echo) as origin:
            started = time.monotonic()
            slow = await ask(proxy, origin, "/slow/page")
            seconds = time.monotonic() - started
            others = [await ask(proxy, origin, path) for path in ("/stay", "/")]
            targets = [one.target for one in origin.requests]
        changes = changes_by_target(proxy.data_dir)

    assert seconds >= 0.3
    assert [one.status for one in (slow, *others)] == [200] * 3
    assert targets == [b"/slow/page", b"/stay", b"/"]
    assert changes == {
        "/slow/page": ["delayed by 0.3 s"],
        "/stay": [],
        "/": [],
    }


async def test_latency_injector_draws_jitter_and_a_share(
    tmp_path: Path, origin_tls: OriginTls
) -> None:
    config = table("latency-injector", ms=1, jitter_ms=40, percent=50)
    arguments = (
        "--plugin",
        example("latency-injector"),
        "--upstream-ca",
        origin_tls.ca,
    )
    with ProxyProcess(tmp_path, *arguments, config=config, planes=STORE_ALONE) as proxy:
        async with AnsweringOrigin(echo) as origin:
            for number in range(40):
                assert (await ask(proxy, origin, f"/{number}")).status == 200
        changes = changes_by_target(proxy.data_dir)

    delays = [what for one in changes.values() for what in one]
    # All or none of 40 by chance: one in 10^12.
    assert 0 < len(delays) < 40
    assert len(set(delays)) > 1
    seconds = [float(what.split()[2]) for what in delays]
    assert all(0.001 <= one <= 0.041 for one in seconds)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"ms": "soon"}, "ms and jitter_ms are numbers"),
        ({"percent": 101}, "percent up to 100"),
        ({"paths": ["/x"]}, "paths is a list of GLOB=MS"),
        ({"paths": ["/x" * 5000 + "=1"]}, "paths is a list of GLOB=MS"),
    ],
)
def test_latency_injector_refuses_settings_that_it_cannot_use(
    config: dict[str, object], said: str, tmp_path: Path
) -> None:
    told = refused(tmp_path, "latency-injector", config)
    assert said in told


def refused(folder: Path, name: str, config: dict[str, object]) -> str:
    """What a proxy says that does not start with these settings."""
    settings = folder / "config.toml"
    settings.write_text(table(name, **config))
    address = ["--listen", "127.0.0.1:0", "--data-dir", str(folder / "data")]
    told = run_once(
        folder, [*address, "--config", str(settings), "--plugin", str(example(name))]
    )
    assert told.returncode == 2
    assert "Traceback" not in told.stderr
    return told.stderr


# --- rate-limiter -------------------------------------------------------------------


async def test_rate_limiter_answers_429_and_the_origin_hears_nothing(
    start_proxy: StartProxy,
) -> None:
    config = table("rate-limiter", requests=3, seconds=86400)
    proxy = start_proxy("--plugin", example("rate-limiter"), config=config)
    async with AnsweringOrigin(echo) as origin:
        answers = [await ask(proxy, origin, f"/{number}") for number in range(5)]
        targets = [one.target for one in origin.requests]
    refusal = answers[-1]
    assert [one.status for one in answers] == [200, 200, 200, 429, 429]
    assert targets == [b"/0", b"/1", b"/2"]
    assert refusal.body == b"Too many requests.\n"
    assert 0 < int(refusal.value("retry-after") or b"0") <= 86400


async def test_rate_limiter_lets_in_again_when_it_said(start_proxy: StartProxy) -> None:
    config = table("rate-limiter", requests=1, seconds=1)
    proxy = start_proxy("--plugin", example("rate-limiter"), config=config)
    async with AnsweringOrigin(echo) as origin:
        statuses = []
        async with asyncio.timeout(PATIENT_S):
            while statuses[-2:] != [429, 200]:
                statuses.append((await ask(proxy, origin)).status)
    assert set(statuses) == {200, 429}


async def test_rate_limiter_counts_hosts_apart(start_proxy: StartProxy) -> None:
    config = table("rate-limiter", requests=1, seconds=86400, per="host")
    proxy = start_proxy("--plugin", example("rate-limiter"), config=config)
    async with AnsweringOrigin(echo) as origin:
        first = await ask(proxy, origin)
        again = await ask(proxy, origin)
        named = await ask(proxy, Elsewhere(origin))
    assert [one.status for one in (first, again, named)] == [200, 429, 200]


class Elsewhere(AnsweringOrigin):
    """The same origin under its address."""

    def __init__(self, origin: AnsweringOrigin) -> None:
        super().__init__(echo)
        self.port = origin.port

    @property
    def netloc(self) -> str:
        return f"127.0.0.1:{self.port}"


@pytest.mark.parametrize(
    "config",
    [{"requests": 0}, {"seconds": 86401}, {"per": "planet"}, {"requests": "x"}],
)
def test_rate_limiter_refuses_settings_that_it_cannot_use(
    config: dict[str, object], tmp_path: Path
) -> None:
    assert "requests is a number from 1" in refused(tmp_path, "rate-limiter", config)


# --- jwt-inspector ------------------------------------------------------------------


def encoded(part: object) -> str:
    text = part if isinstance(part, str) else json.dumps(part, ensure_ascii=False)
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def token(claims: object, header: object = None) -> str:
    head = {"alg": "RS256", "kid": "k1", "typ": "JWT"} if header is None else header
    return f"{encoded(head)}.{encoded(claims)}.c2lnbmF0dXJl"


async def test_jwt_inspector_tags_flows_by_their_tokens(
    tmp_path: Path, origin_tls: OriginTls
) -> None:
    now = int(time.time())
    named = ["jwt", "jwt:alg=RS256", "jwt:kid=k1"]
    issuer = {
        "nested": {"iss": "no"},
        "iss": "https://id.test/é",
        "list": [1, {"a": 2}],
    }
    cases = {
        "current": (
            token(issuer | {"exp": now + HOUR_S}),
            [*named, "jwt:iss=https://id.test/é", "jwt:current"],
        ),
        "expired": (token({"exp": now - HOUR_S}), [*named, "jwt:expired"]),
        "early": (token({"nbf": now + HOUR_S, "exp": 1}), [*named, "jwt:not-yet"]),
        "endless": (token({"sub": "x", "exp ": 1}), [*named, "jwt:no-exp"]),
        "fraction": (token({"exp": now + HOUR_S + 0.5}), [*named, "jwt:current"]),
        "none": (token({}, {"alg": "none"}), ["jwt", "jwt:alg=none", "jwt:no-exp"]),
        "long": (
            token({"iss": "i" * 200}),
            [*named, f"jwt:iss={'i' * 96}", "jwt:no-exp"],
        ),
        "escaped": (
                token(r'{"iss": "https:\/\/a\"b"}'),
                [*named, 'jwt:iss=https://a"b', "jwt:no-exp"],
            ),
            "unicode": (token(r'{"iss": "\u0041"}'), [*named, "jwt:no-exp"]),
        "text": (token({"exp": "soon"}), [*named, "jwt:malformed"]),
        "cut": (token('{"exp": '), [*named, "jwt:malformed"]),
        "deep": (token('{"a":' + "[" * 70), [*named, "jwt:malformed"]),
        "array": (token("[]"), [*named, "jwt:malformed"]),
        "base64": ("a!b.c.d", ["jwt", "jwt:malformed"]),
        "opaque": ("0123456789abcdef", []),
        "two": ("a.b", []),
    }  # fmt: skip
    arguments = ("--plugin", example("jwt-inspector"), "--upstream-ca", origin_tls.ca)
    config = '[plugins.jwt-inspector]\ngrant = ["secrets.read"]\n'
    with ProxyProcess(tmp_path, *arguments, config=config, planes=STORE_ALONE) as proxy:
        async with AnsweringOrigin(echo) as origin:
            for name, (sent, _) in cases.items():
                scheme = "bearer" if name == "none" else "Bearer"
                fields = {"Authorization": f"{scheme} {sent}"}
                assert (
                    await ask(proxy, origin, f"/{name}", fields=fields)
                ).status == 200
            await ask(proxy, origin, "/without")
            seen = [one.value("authorization") for one in origin.requests]
        flows = kept_flows(proxy.data_dir)

    found = {flow.target.decode()[1:]: flow.tags for flow in flows}
    assert found == {name: tags for name, (_, tags) in cases.items()} | {"without": []}
    # The origin gets the token as it was.
    assert seen[0] == f"Bearer {cases['current'][0]}".encode()


async def test_jwt_inspector_reads_another_header(
    tmp_path: Path, origin_tls: OriginTls
) -> None:
    config = table("jwt-inspector", header="x-token")
    arguments = ("--plugin", example("jwt-inspector"), "--upstream-ca", origin_tls.ca)
    with ProxyProcess(tmp_path, *arguments, config=config, planes=STORE_ALONE) as proxy:
        async with AnsweringOrigin(echo) as origin:
            await ask(proxy, origin, fields={"X-Token": token({}, {"alg": "HS256"})})
        (flow,) = kept_flows(proxy.data_dir)
    assert flow.tags == ["jwt", "jwt:alg=HS256", "jwt:no-exp"]


# --- cors-opener --------------------------------------------------------------------

PREFLIGHT = {
    "Origin": "http://localhost:3000",
    "Access-Control-Request-Method": "PUT",
    "Access-Control-Request-Headers": "content-type,x-mine",
}


async def test_cors_opener_answers_preflights_in_the_origins_place(
    start_proxy: StartProxy,
) -> None:
    proxy = start_proxy("--plugin", example("cors-opener"))
    async with AnsweringOrigin(echo) as origin:
        answer = await ask(proxy, origin, method="OPTIONS", fields=PREFLIGHT)
        assert origin.requests == []
    assert answer.status == 204
    assert answer.values("access-control-allow-origin") == [b"http://localhost:3000"]
    assert answer.value("access-control-allow-credentials") == b"true"
    assert answer.value("access-control-allow-methods") == b"PUT"
    assert answer.value("access-control-allow-headers") == b"content-type,x-mine"
    assert answer.value("access-control-max-age") == b"600"
    assert b"Origin" in (answer.value("vary") or b"")


def guarded(_request: Message) -> bytes:
    """An answer that lets nobody in, and varies already."""
    return (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Mine: 1\r\nSet-Cookie: a=b\r\n"
        b"Access-Control-Allow-Origin: https://only.test\r\n"
        b"Access-Control-Allow-Origin: https://too.test\r\n"
        b"Vary: Accept-Encoding\r\nVary: Cookie\r\n\r\nok"
    )


async def test_cors_opener_opens_answers(start_proxy: StartProxy) -> None:
    proxy = start_proxy("--plugin", example("cors-opener"))
    async with AnsweringOrigin(guarded) as origin:
        opened = await ask(proxy, origin, fields={"Origin": "https://a.test"})
        plain = await ask(proxy, origin)
        asked = [one.value("origin") for one in origin.requests]
    assert asked == [b"https://a.test", None]
    assert opened.body == b"ok"
    assert opened.values("access-control-allow-origin") == [b"https://a.test"]
    assert opened.value("access-control-allow-credentials") == b"true"
    exposed = (opened.value("access-control-expose-headers") or b"").split(b", ")
    assert b"x-mine" in exposed
    assert b"set-cookie" not in exposed
    assert opened.values("vary") == [b"accept-encoding, cookie, origin"]
    # Who sends no Origin gets what the server said.
    assert plain.value("access-control-allow-origin") == b"https://only.test"
    assert plain.values("vary") == [b"Accept-Encoding", b"Cookie"]


async def test_cors_opener_lets_in_only_whom_it_was_told(
    start_proxy: StartProxy,
) -> None:
    config = table(
        "cors-opener",
        origins=["http://localhost:*", "https://*.ours.test"],
        max_age_s=5,
    )
    proxy = start_proxy("--plugin", example("cors-opener"), config=config)
    async with AnsweringOrigin(guarded) as origin:
        answers = [
            await ask(
                proxy, origin, method="OPTIONS", fields=PREFLIGHT | {"Origin": name}
            )
            for name in (
                "http://localhost:1",
                "https://a.ours.test",
                "https://evil.test",
            )
        ]
        other = await ask(proxy, origin, fields={"Origin": "https://evil.test"})
        asked = [one.method for one in origin.requests]
    assert [one.status for one in answers] == [204, 204, 200]
    assert answers[0].value("access-control-max-age") == b"5"
    assert asked == [b"OPTIONS", b"GET"]
    assert other.value("access-control-allow-origin") == b"https://only.test"


# --- secret-redactor ------------------------------------------------------------------

SECRET = "s3cr3t-4711"
FORM = "application/x-www-form-urlencoded"


def login(request: Message) -> bytes:
    """An answer with the secret in header and body."""
    kind = request.value("x-kind") or b"application/json"
    body = request.value("x-answer") or b'{"ok": true, "Token" : "%b", "n": 1}'
    if b"%b" in body:
        body = body % SECRET.encode()
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nSet-Cookie: sid=%b\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (kind, SECRET.encode(), len(body), body)
    )


def redacting(folder: Path, origin_tls: OriginTls, config: str = "") -> ProxyProcess:
    plugin = ("--plugin", example("secret-redactor"), "--upstream-ca", origin_tls.ca)
    return ProxyProcess(folder, *plugin, config=config, planes=STORE_ALONE)


async def test_secret_redactor_keeps_no_secret_and_changes_no_traffic(
    tmp_path: Path, origin_tls: OriginTls
) -> None:
    body = json.dumps(
        {
            "user": "me",
            "password": SECRET,
            "deep": [{"secret": {"a": ["}", SECRET]}}, {"TOKEN": None}],
            "quoted": 'a "password": b',
        }
    )
    fields = {
        "Authorization": f"Bearer {SECRET}",
        "Cookie": f"sid={SECRET}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
    }
    with redacting(tmp_path, origin_tls) as proxy:
        async with AnsweringOrigin(login) as origin:
            target = f"/login?a=1&Token={SECRET}&b=token"
            answer = await ask(
                proxy, origin, target, method="POST", fields=fields, body=body
            )
            (request,) = origin.requests
        (flow,) = kept_flows(proxy.data_dir)
        stored = [
            path
            for path in proxy.data_dir.rglob("*")
            if path.is_file() and SECRET.encode() in path.read_bytes()
        ]

    assert request.target == target.encode()
    assert request.value("authorization") == f"Bearer {SECRET}".encode()
    assert request.body == body.encode()
    assert answer.value("set-cookie") == f"sid={SECRET}".encode()
    assert answer.body == b'{"ok": true, "Token" : "%b", "n": 1}' % SECRET.encode()

    assert stored == []
    assert flow.target == b"/login?a=1&Token=***&b=token"
    assert b"Authorization: ***\r\n" in flow.request_sent
    assert b"Cookie: ***\r\n" in flow.request_sent
    assert b"Set-Cookie: ***\r\n" in flow.response_sent
    assert json.loads(flow.request_body.content) == {
        "user": "me",
        "password": "***",
        "deep": [{"secret": "***"}, {"TOKEN": "***"}],
        "quoted": 'a "password": b',
    }
    assert flow.response_body.content == b'{"ok": true, "Token" : "***", "n": 1}'


@pytest.mark.parametrize(
    ("kind", "body", "wanted"),
    [
        (FORM, f"a=1&password={SECRET}&b", b"a=1&password=***&b"),
        ("application/json", f'{{"password": "{SECRET}', b"***"),
        ("application/json", f'{{"password": [{{"a": "{SECRET}"}}', b"***"),
        ("application/json", '{"password":1.5e3}', b'{"password":"***"}'),
        (
            "application/json",
            '{"password":true,"x":"y"}',
            b'{"password":"***","x":"y"}',
        ),
        ("application/json", '["password", 1]', b'["password", 1]'),
        ("application/problem+json", '{"token":"x"}', b'{"token":"***"}'),
        ("text/plain", "password=hello", b"password=hello"),
    ],
)  # fmt: skip
async def test_secret_redactor_looks_through_bodies(
    kind: str, body: str, wanted: bytes, tmp_path: Path, origin_tls: OriginTls
) -> None:
    fields = {"Content-Type": kind, "Content-Length": str(len(body))}
    with redacting(tmp_path, origin_tls) as proxy:
        async with AnsweringOrigin(login) as origin:
            await ask(proxy, origin, method="POST", fields=fields, body=body)
            assert origin.requests[0].body == body.encode()
        (flow,) = kept_flows(proxy.data_dir)
    assert flow.request_body.content == wanted


@pytest.mark.parametrize("coding", ["gzip", "identity"])
async def test_secret_redactor_does_not_keep_what_it_cannot_look_through(
    coding: str, tmp_path: Path, origin_tls: OriginTls
) -> None:
    """Encoded, or larger than it takes."""
    text = json.dumps({"password": SECRET, "rest": "x" * 300_000})
    body = gzip.compress(text.encode()) if coding == "gzip" else text.encode()
    head = f"Content-Encoding: {coding}\r\n" if coding == "gzip" else ""

    def answer(_request: Message) -> bytes:
        return (
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{head}"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    with redacting(tmp_path, origin_tls) as proxy:
        async with AnsweringOrigin(answer) as origin:
            received = await ask(proxy, origin)
        (flow,) = kept_flows(proxy.data_dir)
    assert received.body == body
    assert flow.response_body.content == b"***"


async def test_secret_redactor_takes_its_settings(
    tmp_path: Path, origin_tls: OriginTls
) -> None:
    config = table(
        "secret-redactor",
        headers=["x-mine"],
        keys=["pin"],
        parameters=[],
        mark="(gone)",
    )
    body = '{"pin": 1234, "password": "stays"}'
    fields = {
        "X-Mine": SECRET,
        "Authorization": "stays",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
    }
    with redacting(tmp_path, origin_tls, config) as proxy:
        async with AnsweringOrigin(login) as origin:
            await ask(
                proxy, origin, "/?token=stays", method="POST", fields=fields, body=body
            )
        (flow,) = kept_flows(proxy.data_dir)
    assert flow.target == b"/?token=stays"
    assert b"X-Mine: (gone)\r\n" in flow.request_sent
    assert b"Authorization: stays\r\n" in flow.request_sent
    assert flow.request_body.content == b'{"pin": "(gone)", "password": "stays"}'


# --- json-rewriter --------------------------------------------------------------------

REWRITING = {
    "rename": ["userName=user_name", "a=\u00e9"],
    "set": ["isAdmin=true", 'plan={"name":"free"}', "gone=null"],
}
BEFORE = (
    '{"userName": "userName", "a" :1, "isAdmin": false,\n "plan" : {"x": ["}", "\\"]"]'
    "},"
    ' "deep": [{"gone": "\\\\\\"", "userName": {"a": []}}], "isAdmin":12, "z": "a\\"b"}'
)
AFTER = (
    '{"user_name": "userName", "\u00e9":1, "isAdmin":true,\n "plan" :{"name":"free"},'
    ' "deep": [{"gone":null, "user_name": {"\u00e9": []}}], "isAdmin":true,'
    ' "z": "a\\"b"}'
)


LONG = '{"' + "k" * 600 + '": 1'


def in_pieces(
    body: bytes, size: int, fields: str = ""
) -> Callable[[H1Peer], Awaitable[None]]:
    """An origin's script: the body in chunks of so many bytes."""

    async def script(peer: H1Peer) -> None:
        while True:
            await peer.read_request()
            kind = (
                "" if "Content-Type" in fields else "Content-Type: application/json\r\n"
            )
            head = f"HTTP/1.1 200 OK\r\n{kind}{fields}Transfer-Encoding: chunked\r\n"
            await peer.send(f"{head}\r\n".encode())
            for at in range(0, len(body), size):
                piece = body[at : at + size]
                await peer.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            await peer.send(b"0\r\n\r\n")

    return script


async def rewritten(
    start_proxy: StartProxy, body: bytes, size: int, fields: str = "", **config: object
) -> Message:
    """What a client receives of this body."""
    plugin = example("json-rewriter")
    grant = '[plugins.json-rewriter]\ngrant = ["context:json-rewriter.*"]\n' + table(
        "json-rewriter", **(config or REWRITING)
    )
    proxy = start_proxy("--plugin", plugin, config=grant)
    async with ScriptedOrigin(in_pieces(body, size, fields)) as origin:
        return await ask(proxy, origin)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_json_rewriter_finds_keys_across_the_borders_of_chunks(
    size: int, start_proxy: StartProxy
) -> None:
    answer = await rewritten(start_proxy, BEFORE.encode(), size)
    assert answer.body.decode() == AFTER


async def test_json_rewriter_takes_bodies_of_any_size_and_coding(
    start_proxy: StartProxy,
) -> None:
    many = b"[" + b",".join([BEFORE.encode()] * 20_000) + b"]"
    wanted = b"[" + b",".join([AFTER.encode()] * 20_000) + b"]"
    answer = await rewritten(
        start_proxy, gzip.compress(many), 40_000, "Content-Encoding: gzip\r\n"
    )
    assert answer.value("content-encoding") is None
    assert answer.body == wanted


@pytest.mark.parametrize(
    ("body", "fields", "wanted"),
    [
        (BEFORE, "Content-Type: text/plain\r\n", BEFORE),
        ('{"isAdmin": 1', "", '{"isAdmin":true'),
        ('{"userNa', "", '{"userNa'),
        ('"isAdmin"', "", '"isAdmin"'),
        (f'{LONG}, "isAdmin" : 2}}', "", f'{LONG}, "isAdmin" :true}}'),
        ("", "", ""),
    ],
    ids=["no-json", "cut-value", "cut-key", "text", "long-key", "empty"],
)  # fmt: skip
async def test_json_rewriter_at_the_edges(
    body: str, fields: str, wanted: str, start_proxy: StartProxy
) -> None:
    answer = await rewritten(start_proxy, body.encode(), 5, fields)
    assert answer.body.decode() == wanted


async def test_json_rewriter_keeps_flows_apart(start_proxy: StartProxy) -> None:
    """Chunks of many responses come in between each other."""
    config = '[plugins.json-rewriter]\ngrant = ["context:json-rewriter.*"]\n' + table(
        "json-rewriter", **REWRITING
    )
    proxy = start_proxy("--plugin", example("json-rewriter"), config=config)
    async with ScriptedOrigin(in_pieces(BEFORE.encode(), 3)) as origin:
        answers = await asyncio.gather(*(ask(proxy, origin) for _ in range(12)))
    assert {one.body.decode() for one in answers} == {AFTER}


@pytest.mark.parametrize("config", [{"rename": ["x"]}, {"set": ["x"]}])
def test_json_rewriter_refuses_settings_that_it_cannot_use(
    config: dict[str, object], tmp_path: Path
) -> None:
    said = refused(tmp_path, "json-rewriter", config)
    assert "rename and replace are lists of OLD=NEW, and set one of KEY=JSON" in said
