"""Who is let in: the token, the Host, the Origin, the pace."""

from itertools import product

import httpx
import pytest
from starlette.responses import Response

from int3rceptor.config.model import ControlConfig
from int3rceptor.control.guards import MAX_CLIENTS, Doors, Paced
from int3rceptor.control.origins import Names
from tests.support.control import AUTHORISED, TOKEN, api_client, control_port

PATHS = (
    "/api/version",
    "/api/ca",
    "/api/flows",
    "/api/flows/1",
    "/api/flows/1/request/body",
    "/api/settings",
    "/api/openapi.json",
    "/metrics",
    "/api/nothing-here",
    "/api/health/",
    "//api/health",
)

NO_TOKEN: tuple[dict[str, str], ...] = (
    {},
    {"Authorization": ""},
    {"Authorization": "Bearer"},
    {"Authorization": f"Basic {TOKEN}"},
    {"Authorization": f"Bearer {TOKEN[:-1]}"},
    {"Authorization": f"Bearer {TOKEN}x"},
    {"Authorization": f"Bearer {TOKEN.swapcase()}"},
    {"Authorization": f"Bearer {TOKEN.lower()}"},
    {"Authorization": f"Bearer {TOKEN}, Bearer {TOKEN}"},
    {"Authorization": TOKEN},
    {"Cookie": f"token={TOKEN}"},
)


def check_error(response: httpx.Response, status: int, code: str) -> None:
    """It is an error in the one shape that there is."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"error"}
    assert {"code", "message"} <= set(body["error"]) <= {"code", "message", "details"}
    assert body["error"]["code"] == code
    assert body["error"]["message"]


async def test_nothing_is_shown_without_the_token() -> None:
    async with control_port() as control, api_client() as client:
        for path, headers in product(PATHS, NO_TOKEN):
            answer = await client.get(f"{control.url}{path}", headers=headers)

            check_error(answer, 401, "token_required")
            assert answer.headers["www-authenticate"] == 'Bearer realm="int3rceptor"'
            assert TOKEN not in answer.text


async def test_a_token_in_the_url_is_no_token() -> None:
    async with control_port() as control, api_client() as client:
        for name in ("token", "access_token", "authorization"):
            url = f"{control.url}/api/version?{name}={TOKEN}"
            check_error(await client.get(url), 401, "token_required")


async def test_two_tokens_are_no_token() -> None:
    field = ("Authorization", f"Bearer {TOKEN}")
    async with control_port() as control, api_client() as client:
        answer = await client.get(f"{control.url}/api/version", headers=[field, field])

    check_error(answer, 401, "token_required")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_scheme_has_no_case(scheme: str) -> None:
    async with control_port() as control, api_client() as client:
        answer = await client.get(
            f"{control.url}/api/version", headers={"Authorization": f"{scheme} {TOKEN}"}
        )

    assert answer.status_code == 200


async def test_health_and_the_page_need_no_token() -> None:
    async with control_port() as control, api_client() as client:
        for path in ("/", "/api/health"):
            assert (await client.get(f"{control.url}{path}")).status_code == 200


# --- Host -----------------------------------------------------------------------------

OURS = (
    "127.0.0.1",
    "127.0.0.1:9999",
    "127.9.9.9",
    "localhost",
    "LOCALHOST:8081",
    "localhost.:8081",
    "[::1]:8081",
    "hub.example:8081",
    "a.lab.example",
    "a.lab.example:8082",
)
NOT_OURS = (
    "",
    "attacker.example",
    "localhost.attacker.example",
    "127.0.0.1.attacker.example",
    "127.0.0.1@attacker.example",
    "localhost:8081:8081",
    "localhost:99999",
    "192.0.2.1",
    "hub.example:8082",
    "lab.example",
    "[::2]",
    "xn--localhost",
    "2130706433",
)


@pytest.fixture
def names() -> Names:
    return Names("127.0.0.1", ("hub.example:8081", "*.lab.example"))


@pytest.mark.parametrize("host", OURS)
def test_a_name_of_ours(names: Names, host: str) -> None:
    assert names.is_ours(host, "127.0.0.1")


@pytest.mark.parametrize("host", NOT_OURS)
def test_a_name_that_is_not_ours(names: Names, host: str) -> None:
    assert not names.is_ours(host, "127.0.0.1")


def test_the_address_that_was_dialled_is_ours() -> None:
    names = Names("::", ())

    assert names.is_ours("192.0.2.7:8081", "192.0.2.7")
    assert not names.is_ours("192.0.2.8:8081", "192.0.2.7")


@pytest.mark.parametrize(("host", "status"), [("192.0.2.7", 204), ("192.0.2.8", 421)])
async def test_the_doors_know_the_address_that_was_dialled(
    host: str, status: int
) -> None:
    doors = httpx.ASGITransport(app=Doors(Response(status_code=204), Names("::", ())))
    dialled = "http://192.0.2.7:8081/"
    async with httpx.AsyncClient(transport=doors) as client:
        answer = await client.get(dialled, headers={"Host": f"{host}:8081"})

    assert answer.status_code == status


async def test_a_rebound_name_is_refused_even_with_the_token() -> None:
    async with control_port() as control:
        for path in ("/", "/api/health", "/api/flows"):
            headers = {"Host": f"attacker.example:{control.port}"}
            answer = await control.client.get(path, headers=headers)

            check_error(answer, 421, "wrong_host")


async def test_two_host_fields_are_refused() -> None:
    async with control_port() as control:
        answer = await control.raw(
            b"GET /api/health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n"
            b"Connection: close\r\n\r\n"
        )

    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 421 "))


# --- Origin ---------------------------------------------------------------------------

FOREIGN = (
    {"Origin": "https://attacker.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:1"},
    {"Origin": "http://127.0.0.1"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
)


async def test_pages_of_other_sites_are_refused() -> None:
    async with control_port() as control:
        for headers in FOREIGN:
            answer = await control.client.get("/api/flows", headers=headers)
            check_error(answer, 403, "foreign_origin")
            answer = await control.client.delete(
                "/api/flows?confirm=true", headers=headers
            )
            check_error(answer, 403, "foreign_origin")


async def test_two_origin_fields_are_refused() -> None:
    async with control_port() as control:
        origins = [f"http://{control.netloc}", "https://attacker.example"]
        headers = [("Origin", one) for one in origins]
        answer = await control.client.get("/api/flows", headers=headers)

    check_error(answer, 403, "foreign_origin")


async def test_our_own_page_is_not() -> None:
    async with control_port() as control:
        for host in (control.netloc, f"localhost:{control.port}"):
            own = {
                "Host": host,
                "Origin": f"http://{host}",
                "Sec-Fetch-Site": "same-origin",
                "Sec-Fetch-Mode": "cors",
            }
            answer = await control.client.get("/api/flows", headers=own)
            assert answer.status_code == 200


async def test_a_link_from_elsewhere_can_be_followed_but_not_posted() -> None:
    visit = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    async with control_port() as control:
        assert (await control.client.get("/", headers=visit)).status_code == 200
        answer = await control.client.delete("/api/flows/1", headers=visit)

    check_error(answer, 403, "foreign_origin")


async def test_cors_is_closed() -> None:
    preflight = {
        "Origin": "https://attacker.example",
        "Access-Control-Request-Method": "DELETE",
        "Access-Control-Request-Headers": "authorization",
    }
    async with control_port() as control, api_client() as client:
        answers = [
            await client.options(f"{control.url}/api/flows", headers=preflight),
            await client.get(f"{control.url}/api/health", headers=preflight),
            await control.client.get("/api/flows"),
        ]

    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-con")]


async def test_no_answer_is_for_another_site_or_a_cache() -> None:
    async with control_port() as control, api_client() as client:
        for path in ("/", "/api/health", "/api/flows", "/metrics", "/nope"):
            for headers in ({}, AUTHORISED):
                answer = await client.get(f"{control.url}{path}", headers=headers)
                assert answer.headers["cache-control"] == "no-store"
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert answer.headers["x-frame-options"] == "DENY"
                policy = answer.headers["content-security-policy"]
                assert "default-src 'none'" in policy
                assert "frame-ancestors 'none'" in policy


# --- pace -----------------------------------------------------------------------------


async def test_more_than_the_limit_are_told_to_wait() -> None:
    async with control_port(settings=ControlConfig(max_requests_per_s=5)) as control:
        answers = [await control.client.get("/api/health") for _ in range(12)]

    refused = [one for one in answers if one.status_code == 429]
    assert [one.status_code for one in answers[:5]] == [200] * 5
    assert refused
    for one in refused:
        check_error(one, 429, "too_many_requests")
        assert int(one.headers["retry-after"]) >= 1


async def test_wrong_tokens_count_too() -> None:
    async with control_port(settings=ControlConfig(max_requests_per_s=5)) as control:
        statuses = {
            (
                await control.client.get("/metrics", headers={"Authorization": "x"})
            ).status_code
            for _ in range(12)
        }

    assert statuses == {401, 429}


class Pace:
    """Asks a guard as clients do, at times that the test sets."""

    def __init__(self, per_s: int) -> None:
        self.now = 0.0
        self._guard = Paced(_no_app, per_s, clock=lambda: self.now)

    async def ask(self, client: str) -> int:
        statuses = []

        async def send(message: object) -> None:
            assert isinstance(message, dict)
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        scope = {"type": "http", "client": (client, 1), "headers": []}
        await self._guard(scope, _nothing, send)
        return statuses[0] if statuses else 200

    @property
    def remembered(self) -> int:
        return len(self._guard._left)


async def _no_app(scope: object, receive: object, send: object) -> None:
    pass


async def _nothing() -> dict[str, object]:
    return {"type": "http.disconnect"}


async def test_the_pace_comes_back_with_time() -> None:
    pace = Pace(10)
    assert [await pace.ask("192.0.2.1") for _ in range(11)] == [200] * 10 + [429]
    pace.now += 0.1
    assert [await pace.ask("192.0.2.1") for _ in range(2)] == [200, 429]
    pace.now += 60
    assert [await pace.ask("192.0.2.1") for _ in range(11)] == [200] * 10 + [429]


async def test_each_client_has_its_own_pace_and_a_network_is_one_client() -> None:
    pace = Pace(1)

    assert await pace.ask("192.0.2.1") == 200
    assert await pace.ask("192.0.2.2") == 200
    assert await pace.ask("2001:db8::1") == 200
    assert await pace.ask("2001:db8::2") == 429
    assert await pace.ask("2001:db8:0:1::2") == 200


async def test_only_so_many_clients_are_remembered() -> None:
    pace = Pace(1)
    for number in range(MAX_CLIENTS + 50):
        await pace.ask(f"10.0.{number // 256}.{number % 256}")

    assert pace.remembered == MAX_CLIENTS
    # Those who asked last; otherwise a crowd of clients would be free of any pace.
    assert await pace.ask(f"10.0.{number // 256}.{number % 256}") == 429
    assert await pace.ask("10.0.0.0") == 200
