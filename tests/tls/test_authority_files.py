import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from int3rceptor.errors import AuthorityError
from int3rceptor.tls import authority_files
from int3rceptor.tls.authority import Authority
from tests.support.patience import PATIENT_S

P = ParamSpec("P")
T = TypeVar("T")

START = """
import sys
from pathlib import Path
from int3rceptor.tls.authority import Authority
sys.stdin.readline()
print(Authority.load_or_create(Path(sys.argv[1])).fingerprint_sha256)
"""


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", START, tmp_path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    prints = [process.communicate(timeout=PATIENT_S)[0] for process in started]
    assert len(prints[0].split(":")) == 32
    assert len(set(prints)) == 1


class Killed(BaseException):
    """Stands for kill -9: no handler of the code runs on it."""


def is_killed_at(kill_at: int, act: Callable[[], object]) -> bool:
    """Run `act`, stop it dead at its `kill_at`-th change of the file system."""
    count = 0

    def counted(original: Callable[P, T]) -> Callable[P, T]:
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            nonlocal count
            count += 1
            if count == kill_at:
                raise Killed
            return original(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("replace", "unlink"):
            patch.setattr(Path, name, counted(getattr(Path, name)))
        for name in ("open", "fsync"):
            patch.setattr(os, name, counted(getattr(os, name)))
        try:
            act()
        except Killed:
            return True
    return False


@pytest.mark.parametrize("act", ["create", "regenerate"])
def test_a_kill_at_any_step_leaves_a_whole_pair_or_none(
    tmp_path: Path, act: str
) -> None:
    kill_at = 0
    was_killed = True
    while was_killed:
        kill_at += 1
        directory = tmp_path / str(kill_at)
        before = None
        if act == "regenerate":
            before = Authority.load_or_create(directory).certificate
        start = Authority.regenerate if before else Authority.load_or_create
        was_killed = is_killed_at(kill_at, partial(start, directory))
        after = Authority.load_or_create(directory)
        assert not list(directory.glob("*.new"))
        assert (directory / "ca.key").stat().st_mode & 0o777 == 0o600
        assert act == "create" or was_killed or after.certificate != before
    assert kill_at > 6


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(AuthorityError, match="--data-dir"):
        Authority.load_or_create(tmp_path / "file" / "data")


def test_a_pair_in_a_read_only_directory_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Authority.load_or_create(tmp_path)
    real_open = os.open

    # Modes do not bind root, whom tests may run as, so the refusal is played.
    def refuse_writing(
        path: str | Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None
    ) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied", str(path))
        return real_open(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refuse_writing)
    assert Authority.load_or_create(tmp_path).certificate == made.certificate
    with pytest.raises(AuthorityError, match="cannot write the CA to"):
        Authority.load_or_create(tmp_path / "new")


def test_a_lock_that_is_a_link_makes_no_file_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/ca.lock").symlink_to(tmp_path / "chosen")

    with pytest.raises(AuthorityError, match=r"cannot lock the CA by .*: Too many"):
        Authority.load_or_create(tmp_path / "data")

    assert not (tmp_path / "chosen").exists()


def test_a_lock_that_is_let_go_of_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = contextlib.ExitStack()
    holder.enter_context(authority_files.AuthorityFiles(tmp_path).locked())
    monkeypatch.setattr("time.sleep", lambda _s: holder.close())
    with authority_files.AuthorityFiles(tmp_path).locked():
        assert list(tmp_path.iterdir()) == [tmp_path / authority_files.LOCK_FILE]


def test_a_lock_held_too_long_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authority_files, "LOCK_WAIT_S", 0.1)
    with (
        authority_files.AuthorityFiles(tmp_path).locked(),
        pytest.raises(AuthorityError, match="another process"),
    ):
        Authority.load_or_create(tmp_path)
