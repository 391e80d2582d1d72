"""A private file is written as a whole, or not at all."""

import errno
import os
import stat
from pathlib import Path

import pytest

from int3rceptor.files.writing import write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_was_there_is_replaced_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "grants"
    path.write_bytes(b"long before")
    path.chmod(0o644)

    write_private(path, b"now")

    assert path.read_bytes() == b"now"
    assert mode(path) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_missing_folders_are_made_private(tmp_path: Path) -> None:
    path = tmp_path / "data" / "plugins" / "one.wasm"

    write_private(path, b"now")

    assert path.read_bytes() == b"now"
    assert mode(path.parent) == 0o700


def test_a_link_is_replaced_and_never_written_through(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"untouched")
    path = tmp_path / "grants"
    path.symlink_to(elsewhere)

    write_private(path, b"now")

    assert elsewhere.read_bytes() == b"untouched"
    assert not path.is_symlink()
    assert path.read_bytes() == b"now"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "grants"
    path.write_bytes(b"before")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space left"):
        write_private(path, b"now")
    monkeypatch.undo()

    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"before"


def test_it_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "grants"
    synced = []
    sync = os.fsync

    def watched(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_size, path.exists()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    write_private(path, b"now")

    assert synced == [(3, False)]
