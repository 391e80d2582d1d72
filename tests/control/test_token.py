import errno
import os
import re
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from int3rceptor.control import token
from int3rceptor.control.token import is_token, load_or_create, path_of
from int3rceptor.errors import ConfigError

posix = pytest.mark.skipif(os.name != "posix", reason="modes mean nothing here")


def keep(directory: Path, content: bytes, mode: int = 0o600) -> Path:
    path = path_of(directory)
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_it_is_made_once_and_private(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    made = load_or_create(directory)

    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", made)
    assert load_or_create(directory) == made
    assert stat.S_IMODE(path_of(directory).stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert [one.name for one in directory.iterdir()] == ["control-token"]


def test_no_two_are_the_same(tmp_path: Path) -> None:
    made = {load_or_create(tmp_path / str(number)) for number in range(20)}

    assert len(made) == 20


@posix
def test_a_generous_umask_does_not_open_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        load_or_create(tmp_path)
    finally:
        os.umask(before)

    assert stat.S_IMODE(path_of(tmp_path).stat().st_mode) == 0o600


def test_those_who_start_at_once_agree(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def start() -> str:
        together.wait()
        return load_or_create(tmp_path)

    with ThreadPoolExecutor(8) as pool:
        found = {one.result() for one in [pool.submit(start) for _ in range(8)]}

    assert len(found) == 1


def test_one_that_someone_chose_is_taken(tmp_path: Path) -> None:
    keep(tmp_path, b"my-own-token-of-32-characters_AB\r\n")

    assert load_or_create(tmp_path) == "my-own-token-of-32-characters_AB"


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"short", b"a b" * 20, b"\xff" * 43, b"x" * 400, b"a" * 43 + b"\nb"],
    ids=range(7),
)
def test_a_damaged_one_stops_the_start(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token, "HALF_WRITTEN_S", 0.0)
    path = keep(tmp_path, content)
    with pytest.raises(ConfigError, match="delete it") as caught:
        load_or_create(tmp_path)

    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666, 0o610])
def test_one_that_others_can_use_stops_the_start(tmp_path: Path, mode: int) -> None:
    keep(tmp_path, b"a" * 43, mode)
    with pytest.raises(ConfigError, match=f"other users .mode {mode:o}."):
        load_or_create(tmp_path)


@posix
def test_a_link_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"a" * 43)
    elsewhere.chmod(0o600)
    path_of(tmp_path).symlink_to(elsewhere)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_or_create(tmp_path)


@posix
def test_one_of_another_user_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(tmp_path, b"a" * 43)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(ConfigError, match="belongs to another user"):
        load_or_create(tmp_path)


@posix
@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("directory", "is not an ordinary file"),
        ("pipe", "is not an ordinary file"),
        ("dangling link", "cannot be read"),
    ],
)
def test_what_is_no_file_stops_the_start(tmp_path: Path, kind: str, why: str) -> None:
    path = path_of(tmp_path)
    match kind:
        case "directory":
            path.mkdir()
        case "pipe":
            os.mkfifo(path, 0o600)
        case _:
            path.symlink_to(tmp_path / "nothing")
    with pytest.raises(ConfigError, match=why):
        load_or_create(tmp_path)


def test_a_data_directory_that_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")

    with pytest.raises(ConfigError, match="Not a directory; choose another --data-dir"):
        load_or_create(file)


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot write the control port's token"):
        load_or_create(tmp_path / "file" / "data")


def test_one_that_could_not_be_written_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", refuse)
        with pytest.raises(ConfigError, match=r"token to .*: No space left"):
            load_or_create(tmp_path)

    assert not list(tmp_path.iterdir())
    assert load_or_create(tmp_path)


@pytest.mark.parametrize(
    "given", ["", "a", "A" * 43, "a" * 42, "a" * 44, "\u00e9" * 43, "\ud800"]
)
def test_only_the_token_is_the_token(given: str) -> None:
    assert is_token("a" * 43, "a" * 43)
    assert not is_token(given, "a" * 43)
