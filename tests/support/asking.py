"""One plain question through the proxy, and what its own pages must say.

For tests in which the origin, not the client, does something remarkable.
"""

import asyncio

from tests.support.clients import Proxy, raw, secure
from tests.support.h1_peer import Message, response
from tests.support.origins import AnsweringOrigin, fixed

ANSWER_S = 9.0
"""Patient, and less than the limits are by themselves."""


async def ask(proxy: Proxy, netloc: str) -> Message:
    """Plain HTTP through the proxy, bounded."""
    async with asyncio.timeout(ANSWER_S), raw(proxy) as client:
        url = f"http://{netloc}/asked"
        await client.send(f"GET {url} HTTP/1.1\r\nHost: {netloc}\r\n\r\n".encode())
        return await client.read_response()


async def ask_secure(
    proxy: Proxy, netloc: str, *, server_name: str = "localhost"
) -> Message:
    """HTTPS through the proxy, bounded. Even a page comes under a right certificate."""
    async with (
        asyncio.timeout(ANSWER_S),
        secure(proxy, netloc, server_name=server_name) as client,
    ):
        await client.send(f"GET /asked HTTP/1.1\r\nHost: {netloc}\r\n\r\n".encode())
        return await client.read_response()


def check_page(answer: Message, status: int, *words: str) -> None:
    """It is a page of the proxy's own, and it says these words."""
    assert answer.status == status, answer.head + answer.body
    assert answer.value("x-int3rceptor"), answer.head
    for word in words:
        assert word.lower() in answer.text.lower(), answer.text


async def check_alive(proxy: Proxy) -> None:
    """Whatever happened before, the proxy serves the next client."""
    async with AnsweringOrigin(fixed(response(b"alive"))) as origin:
        assert (await ask(proxy, origin.netloc)).text == "alive"
