"""What is kept comes back; what anybody else may have written does not."""

import contextlib
import errno
import os
import resource
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int3rceptor.plugins.engine import cache as cache_module
from int3rceptor.plugins.engine.cache import KEY_FILE, SEAL_BYTES, ModuleCache

NAME = "0" * 64
CONTENT = b"native code" * 100


@pytest.fixture
def cache(tmp_path: Path) -> ModuleCache:
    """A cache that holds CONTENT as NAME."""
    one = ModuleCache(tmp_path)
    one.store(NAME, CONTENT)
    assert one.load(NAME) == CONTENT
    return one


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "plugins"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_kept_is_this_users_alone(cache: ModuleCache, folder: Path) -> None:
    assert mode(folder) == mode(folder.parent) == 0o700
    assert {path.name: mode(path) for path in folder.iterdir()} == {
        NAME: 0o600,
        KEY_FILE: 0o600,
    }
    assert CONTENT in (folder / NAME).read_bytes()


def test_another_process_finds_it(cache: ModuleCache, tmp_path: Path) -> None:
    assert ModuleCache(tmp_path).load(NAME) == CONTENT


def test_looking_makes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = ModuleCache(tmp_path)
    assert one.load(NAME) is None
    one.discard(NAME, "why not")
    assert list(tmp_path.iterdir()) == []
    assert caplog.text == ""


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def flip_seal(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def cut_to_seal(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: SEAL_BYTES - 1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def replace_by_strangers(path: Path) -> None:
    path.write_bytes(bytes(SEAL_BYTES) + CONTENT)


def replace_by_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def let_others_write(path: Path) -> None:
    path.chmod(0o620)


def change_key(path: Path) -> None:
    path.with_name(KEY_FILE).write_bytes(bytes(32))


def lose_key(path: Path) -> None:
    path.with_name(KEY_FILE).unlink()


def cut_key(path: Path) -> None:
    path.with_name(KEY_FILE).write_bytes(b"")


def link_key(path: Path) -> None:
    key = path.with_name(KEY_FILE)
    key.rename(key.with_name("elsewhere"))
    key.symlink_to("elsewhere")


def let_others_write_key(path: Path) -> None:
    path.with_name(KEY_FILE).chmod(0o602)


HARM: dict[Callable[[Path], None], str] = {
    flip: "it does not bear this proxy's seal",
    flip_seal: "it does not bear this proxy's seal",
    cut: "it does not bear this proxy's seal",
    cut_to_seal: "it does not bear this proxy's seal",
    empty: "it does not bear this proxy's seal",
    replace_by_strangers: "it does not bear this proxy's seal",
    replace_by_link: "it is a link",
    replace_by_pipe: "it is no file",
    let_others_write: "other users can write to it",
    change_key: "it does not bear this proxy's seal",
    lose_key: "it does not bear this proxy's seal",
    cut_key: "it does not bear this proxy's seal",
    link_key: "it does not bear this proxy's seal",
    let_others_write_key: "it does not bear this proxy's seal",
}


@pytest.mark.parametrize("harm", HARM, ids=lambda harm: harm.__name__)
def test_what_may_not_be_ours_is_removed_with_a_line_and_made_anew(
    harm: Callable[[Path], None],
    cache: ModuleCache,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    harm(folder / NAME)
    assert cache.load(NAME) is None
    assert [one.message for one in caplog.records] == [
        f"{folder / NAME} is not used, and the plugin is compiled anew: {HARM[harm]}"
    ]
    assert not os.path.lexists(folder / NAME)
    cache.store(NAME, CONTENT)
    assert cache.load(NAME) == CONTENT
    assert len(caplog.records) == 1


def test_what_was_kept_under_another_name_does_not_count(
    cache: ModuleCache, folder: Path
) -> None:
    other = "1" * 64
    (folder / NAME).rename(folder / other)
    assert cache.load(other) is None


def test_what_was_kept_in_another_data_directory_does_not_count(
    cache: ModuleCache, folder: Path, tmp_path: Path
) -> None:
    other = ModuleCache(tmp_path / "other")
    (tmp_path / "other").mkdir()
    other.store("1" * 64, b"")
    (folder / NAME).rename(tmp_path / "other" / "cache" / "plugins" / NAME)
    assert other.load(NAME) is None


@given(st.binary(max_size=200))
def test_no_file_of_a_strangers_making_is_taken(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    root = tmp_path_factory.mktemp("root")
    one = ModuleCache(root)
    one.store("1" * 64, CONTENT)
    (root / "cache" / "plugins" / NAME).write_bytes(content)
    assert one.load(NAME) is None


# The directory


def others_write(folder: Path) -> None:
    folder.chmod(0o770)


def is_linked(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to("elsewhere")


def is_a_file(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.write_bytes(b"")


@pytest.mark.parametrize("harm", [others_write, is_linked, is_a_file])
def test_a_directory_that_may_not_be_ours_is_not_used_and_costs_one_line(
    harm: Callable[[Path], None],
    cache: ModuleCache,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    harm(folder)
    assert cache.load(NAME) is None
    cache.store(NAME, b"new")
    cache.store("1" * 64, b"new")
    assert cache.load(NAME) is None
    (line,) = caplog.records
    assert f"cannot be read in {folder}, so each start compiles them: " in line.message


def test_another_users_files_are_not_used(
    cache: ModuleCache,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    assert cache.load(NAME) is None
    assert "it belongs to another user" in caplog.text


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process may grow past what a key needs. What pytest prints may go
    to a file, too: the test ends it before."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_costs_one_line_and_leaves_nothing_half_written(
    cache: ModuleCache,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with full_disk():
        cache.store("1" * 64, CONTENT)
        cache.store("2" * 64, CONTENT)
    (line,) = caplog.records
    assert f"cannot be written in {folder}" in line.message
    assert line.message.endswith(os.strerror(errno.EFBIG))
    assert {path.name for path in folder.iterdir()} == {NAME, KEY_FILE}


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_directory_that_cannot_be_written_still_gives_what_it_has(
    cache: ModuleCache, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.chmod(0o500)
    assert cache.load(NAME) == CONTENT
    cache.store("1" * 64, CONTENT)
    (line,) = caplog.records
    assert "Permission denied" in line.message


# Its size


def test_what_was_not_used_for_longest_goes_first(
    cache: ModuleCache, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 3 * (len(CONTENT) + SEAL_BYTES) + 100
    monkeypatch.setattr(cache_module, "MAX_CACHE_BYTES", limit)
    for number, name in enumerate([NAME, "a", "b"]):
        cache.store(name, CONTENT)
        os.utime(folder / name, (number, number))
    os.utime(folder / KEY_FILE, (0, 0))
    assert cache.load(NAME) == CONTENT  # used now, so "a" is the oldest
    cache.store("c", CONTENT)
    assert {path.name for path in folder.iterdir()} == {NAME, "b", "c", KEY_FILE}
    assert cache.load(NAME) == CONTENT


def test_what_fits_in_no_cache_is_not_kept(
    cache: ModuleCache, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "MAX_CACHE_BYTES", len(CONTENT) + SEAL_BYTES)
    cache.store("1" * 64, CONTENT + b"!")
    assert not (folder / ("1" * 64)).exists()
    assert cache.load(NAME) == CONTENT
    (folder / NAME).write_bytes(bytes(len(CONTENT) + SEAL_BYTES + 1))
    assert cache.load(NAME) is None


def test_without_owners_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "HAS_OWNERS", False)
    one = ModuleCache(tmp_path)
    one.store(NAME, CONTENT)
    assert one.load(NAME) is None
    assert list(tmp_path.iterdir()) == []
