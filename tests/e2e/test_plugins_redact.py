"""A plugin takes secrets out of what is kept: of live traffic nothing shows them."""

import asyncio
import json
from hashlib import sha256
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect

from tests.support.clients import secure
from tests.support.control import api_client
from tests.support.h1_peer import H1Peer, Message
from tests.support.origin_tls import OriginTls
from tests.support.origins import ScriptedOrigin
from tests.support.patience import PATIENT_S
from tests.support.process import BOTH_PLANES, ProxyProcess, run_once

REDACTOR = Path(__file__).parents[1] / "guests/redactor.wat"
SECRET = "tok-8d1f07a3c2"


async def answer(peer: H1Peer) -> None:
    """In pieces, so that the body is a stream, with the secret in each place."""
    await peer.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Secret\r\n"
        b"Set-Cookie: sid=%b\r\nContent-Type: text/plain\r\n\r\n" % SECRET.encode()
    )
    for piece in (b"the secret is ", SECRET.encode()):
        await peer.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        await asyncio.sleep(0.05)
    await peer.send(b"0\r\nX-Secret: %b\r\n\r\n" % SECRET.encode())


def question(netloc: str) -> bytes:
    body = SECRET.encode()
    return (
        f"POST /login?token={SECRET} HTTP/1.1\r\nHost: {netloc}\r\n"
        f"Authorization: Bearer {SECRET}\r\nX-Secret: {SECRET}\r\n"
        "Transfer-Encoding: chunked\r\nTrailer: X-Secret\r\n\r\n"
    ).encode() + b"%x\r\n%b\r\n0\r\nX-Secret: %b\r\n\r\n" % (len(body), body, body)


def files_with(folder: Path, data: bytes) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in files if data in path.read_bytes()]


async def targets_told(viewer: ClientConnection) -> list[tuple[str, str]]:
    """Of the one request, to the end of its flow."""
    told: list[tuple[str, str]] = []
    async with asyncio.timeout(PATIENT_S):
        while ("flow.ended",) not in [one[:1] for one in told]:
            event = json.loads(await viewer.recv())
            if event["type"].startswith("flow.") and event["flow"]["method"] == "POST":
                told.append((event["type"], event["flow"]["target"]))
    return told


async def test_nothing_that_is_kept_or_shown_holds_the_secret(
    tmp_path: Path, origin_tls: OriginTls
) -> None:
    asked: list[Message] = []

    async def script(peer: H1Peer) -> None:
        asked.append(await peer.read_request())
        await answer(peer)

    arguments = ("--plugin", REDACTOR, "--upstream-ca", origin_tls.ca)
    with ProxyProcess(tmp_path, *arguments, planes=BOTH_PLANES) as proxy:
        headers = {"Authorization": f"Bearer {proxy.token}"}
        events = proxy.control.replace("http", "ws") + "/api/events"
        async with (
            ScriptedOrigin(script, tls=origin_tls.server()) as origin,
            connect(events, additional_headers=headers) as viewer,
        ):
            await viewer.recv()
            async with secure(proxy, origin.netloc) as client:
                await client.send(question(origin.netloc))
                received = await client.read_response(b"POST")
            targets = await targets_told(viewer)
        # The proxy may hear only after the beginning that somebody looks on.
        assert targets.pop() == ("flow.ended", "/redacted?q=***")
        assert targets in ([], [("flow.began", "")])

        # The traffic itself is as it was, and the record is written by now.
        assert SECRET in asked[0].target.decode()
        assert asked[0].body == SECRET.encode()
        assert asked[0].trailers == [(b"X-Secret", SECRET.encode())]
        assert received.text == f"the secret is {SECRET}"
        assert received.value("set-cookie") == f"sid={SECRET}".encode()
        flows = proxy.data_dir / "flows"
        assert files_with(flows, SECRET.encode()) == []

        async with api_client(base_url=proxy.control, headers=headers) as api:
            listed = (await api.get("/api/flows")).json()["flows"]
            assert [one["target"] for one in listed] == ["/redacted?q=***"]
            assert listed[0]["tags"] == ["redacted"]
            path = f"/api/flows/{listed[0]['id']}"
            shown = (await api.get(path)).text
            assert SECRET not in shown
            detail = json.loads(shown)
            assert detail["is_redacted"]
            (told,) = detail["plugins"]
            digest = sha256(REDACTOR.read_bytes()).hexdigest()
            assert (told["name"], told["hook"]) == ("redactor", "on_capture")
            assert digest.startswith(told["digest"])
            assert told["fuel"] > 0
            for side in ("request", "response"):
                assert not detail[side]["body"]["is_replaced"]
                body = await api.get(f"{path}/{side}/body")
                assert body.content == b"redacted"
    # Taken in by now: the database does not hold it either.
    assert files_with(flows, SECRET.encode()) == []
    for form in ("--json", "--explain"):
        arguments = ("flows", "show", str(listed[0]["id"]), form)
        done = run_once(tmp_path, [*arguments, "--data-dir", str(proxy.data_dir)])
        assert done.returncode == 0, done.stderr
        assert SECRET not in done.stdout
        assert "redacted" in done.stdout
        assert digest[:12] in done.stdout
    assert SECRET not in "\n".join(proxy.lines)
