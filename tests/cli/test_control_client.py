"""What the commands that act on a running proxy say when its control port is none."""

import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from int3rceptor.cli.control_client import ControlClient, Refused, decoded
from int3rceptor.config.model import Config
from int3rceptor.control.token import MAX_FILE_BYTES, path_of
from int3rceptor.errors import ConfigError
from int3rceptor.link.plugin_reports import PluginPage
from tests.support.control import TOKEN


class _Stranger(http.server.BaseHTTPRequestHandler):
    """Answers with the status and the content that it is asked for."""

    def do_GET(self) -> None:
        status, _, content = self.path.strip("/").partition("/")
        self.send_response(int(status))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def stranger() -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), _Stranger) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def config(data_dir: Path, port: int, token: bytes = TOKEN.encode()) -> Config:
    path_of(data_dir).write_bytes(token)
    return Config(data_dir=data_dir, control=f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"short",
        TOKEN.encode() + b"\n" + TOKEN.encode(),
        b"abcdefghij\rabcdefghijkl",
        b"\0" + TOKEN.encode(),
        TOKEN.encode() + b"\xff",
        b"a" * (MAX_FILE_BYTES + 1),
    ],
    ids=range(7),
)
def test_a_file_that_holds_no_token_is_told_of(tmp_path: Path, token: bytes) -> None:
    held = config(tmp_path, 1, token)
    with pytest.raises(ConfigError, match="control-token: not a token; delete it, and"):
        ControlClient(held)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(path_of(tmp_path))
    with pytest.raises(ConfigError, match="control-token: not a token; delete it, and"):
        ControlClient(Config(data_dir=tmp_path, control="127.0.0.1:1"))


def test_without_a_token_there_has_been_no_proxy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="makes it at its start"):
        ControlClient(Config(data_dir=tmp_path, control="127.0.0.1:1"))


@pytest.mark.parametrize(
    "answer", ["302/", "404/<html>", "500/[]", "500/" + "[" * 9_000]
)
def test_a_refusal_in_other_words_is_told_of(
    tmp_path: Path, stranger: int, answer: str
) -> None:
    asking = ControlClient(config(tmp_path, stranger))
    with pytest.raises(Refused, match=r"answered \d+, and not in its own words"):
        asking.ask("GET", f"/{answer}")


@pytest.mark.parametrize("answer", ["<html>", "", "[]", "{}", "[" * 9_000])
def test_an_answer_of_something_else_is_told_of(
    tmp_path: Path, stranger: int, answer: str
) -> None:
    given = ControlClient(config(tmp_path, stranger)).ask("GET", f"/200/{answer}")
    with pytest.raises(Refused, match="no control port of this release"):
        decoded(given, PluginPage)
