"""The same plugin in each language, built here, on live traffic."""

from pathlib import Path

import pytest

from tests.e2e.conftest import StartProxy
from tests.e2e.test_plugins import EXAMPLES, h1_get
from tests.support.origin_tls import OriginTls
from tests.support.origins import AnsweringOrigin, echo
from tests.support.toolchains import compile_guest

SOURCES = {
    "c": "sdk-c/stamp.c",
    "zig": "sdk-zig/stamp.zig",
    "assemblyscript": "sdk-assemblyscript/stamp.ts",
    "go": "sdk-go/stamp/main.go",
}

CONFIG = """
[plugins.stamp]
name = "stamp"
[plugins.stamp.config]
header = "x-int3rceptor"
value = "by {}"
"""


@pytest.mark.guests
@pytest.mark.timeout(300)
@pytest.mark.parametrize("language", SOURCES)
async def test_origin_and_client_receive_the_stamp(
    language: str, tmp_path: Path, start_proxy: StartProxy, origin_tls: OriginTls
) -> None:
    source = EXAMPLES / SOURCES[language]
    module = compile_guest(language, source, tmp_path / "stamp.wasm")
    proxy = start_proxy("--plugin", module, config=CONFIG.format(language))

    async with AnsweringOrigin(echo, tls=origin_tls.server()) as origin:
        status, stamp, _ = await h1_get(proxy, origin.netloc, "/stamped")
        (request,) = origin.requests

    assert (status, stamp) == (200, f"by {language}".encode())
    assert request.values("x-int3rceptor") == [f"by {language}".encode()]
    proxy.wait_for_line("^plugin stamp: INFO header-stamp ready$")


@pytest.mark.guests
@pytest.mark.timeout(300)
@pytest.mark.parametrize("language", SOURCES)
async def test_a_header_that_cannot_be_set_is_an_error_in_the_log(
    language: str, tmp_path: Path, start_proxy: StartProxy, origin_tls: OriginTls
) -> None:
    source = EXAMPLES / SOURCES[language]
    module = compile_guest(language, source, tmp_path / "stamp.wasm")
    config = CONFIG.format(language).replace("x-int3rceptor", "content-length")
    proxy = start_proxy("--plugin", module, config=config)

    async with AnsweringOrigin(echo, tls=origin_tls.server()) as origin:
        status, stamp, _ = await h1_get(proxy, origin.netloc, "/")

    assert (status, stamp) == (200, b"")
    proxy.wait_for_line("^plugin stamp: ERROR the configured header cannot be set")
