"""What is said of the product itself."""

import subprocess
import sys

import pytest

from int3rceptor.control.state import Trouble
from tests.control.test_access import check_error
from tests.support.control import CA, TOKEN, Hub, api_client, control_port

WORKERS = {"wanted": 2, "serving": 2}


async def test_all_is_well() -> None:
    async with control_port() as control:
        answer = await control.client.get("/api/health")

    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "reasons": [], "workers": WORKERS}


async def test_what_is_not_well() -> None:
    hub = Hub()
    hub.troubles.append(Trouble(code="hub_behind", message="Flows wait to be stored."))
    async with control_port(hub=hub) as control:
        answer = await control.client.get("/api/health")

    assert answer.json() == {
        "status": "degraded",
        "reasons": [{"code": "hub_behind", "message": "Flows wait to be stored."}],
        "workers": WORKERS,
    }


async def test_what_runs() -> None:
    async with control_port() as control:
        answer = await control.client.get("/api/version")

    assert answer.json() == {
        "version": "1.2.3",
        "api": 1,
        "proxy": "127.0.0.1:8080",
        "ca_fingerprint": "AB:CD",
    }


async def test_the_settings() -> None:
    async with control_port() as control:
        answer = await control.client.get("/api/settings")

    assert answer.json() == {"settings": {"listen": "127.0.0.1:8080"}}


@pytest.mark.parametrize(
    ("query", "content", "media_type", "name"),
    [
        ("", CA.pem, "application/x-pem-file", "int3rceptor-ca.pem"),
        ("?format=pem", CA.pem, "application/x-pem-file", "int3rceptor-ca.pem"),
        ("?format=der", CA.der, "application/pkix-cert", "int3rceptor-ca.cer"),
        (
            "?format=mobileconfig",
            CA.mobileconfig,
            "application/x-apple-aspen-config",
            "int3rceptor-ca.mobileconfig",
        ),
    ],
)
async def test_the_ca(query: str, content: bytes, media_type: str, name: str) -> None:
    async with control_port() as control:
        answer = await control.client.get(f"/api/ca{query}")

    assert answer.content == content
    assert answer.headers["content-type"] == media_type
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'


@pytest.mark.parametrize("query", ["format=p12", "format=key", "format=PEM", "key=1"])
async def test_no_other_form_of_the_ca(query: str) -> None:
    async with control_port() as control:
        check_error(
            await control.client.get(f"/api/ca?{query}"), 422, "invalid_parameter"
        )


async def test_the_page_runs_nothing_and_holds_no_secret() -> None:
    async with control_port() as control, api_client() as client:
        answer = await client.get(control.url)

    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "<script" not in answer.text
    assert TOKEN not in answer.text
    assert control.netloc not in answer.text


def test_the_framework_stays_out_of_other_processes() -> None:
    # It takes 0.7 s and 25 MB; only a hub shall pay for that.
    program = (
        "import sys; import int3rceptor.cli.main, int3rceptor.app;"
        "import int3rceptor.control.token;"
        "print(sorted({'fastapi', 'uvicorn', 'starlette'} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert found.stdout.strip() == "[]"
