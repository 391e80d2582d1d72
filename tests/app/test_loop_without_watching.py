import asyncio
from pathlib import Path

from int3rceptor.app import running
from int3rceptor.config.model import Config


class BlindLoop(asyncio.SelectorEventLoop):
    """Cannot watch sockets for others, like the proactor of Windows."""

    def add_reader(self, *_: object) -> None:
        raise NotImplementedError


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def test_the_loop_accepts_where_sockets_cannot_be_watched(tmp_path: Path) -> None:
    async def scenario() -> bytes:
        async with running(Config(listen="127.0.0.1:0", data_dir=tmp_path)) as ready:
            head = b"Host: int3rceptor.local\r\nConnection: close\r\n\r\n"
            return await ask(
                ready.listen[1],
                b"GET http://int3rceptor.local/ca.pem HTTP/1.1\r\n" + head,
            )

    with asyncio.Runner(loop_factory=BlindLoop) as runner:
        answer = runner.run(scenario())

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"BEGIN CERTIFICATE" in answer
