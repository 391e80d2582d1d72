"""States that outlive a version or the process, and what a disk can do to them."""

import asyncio
import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from int3rceptor.errors import PluginError
from int3rceptor.files.unnamed import unnamed_file
from int3rceptor.plugins.state import kept as kept_state
from int3rceptor.plugins.state.kept import PluginStates
from int3rceptor.plugins.state.keyvalues import KeyValues
from tests.support.patience import PATIENT_S
from tests.support.sharer import sharer


def states_in(directory: Path | None) -> PluginStates:
    return PluginStates(directory, lambda: 1_000)


def opened(
    states: PluginStates, *, is_on_disk: bool = True, carries: bool = True
) -> KeyValues:
    return states.open("demo", 1_000, is_on_disk=is_on_disk, carries=carries)


def test_a_state_on_disk_outlives_the_process(tmp_path: Path) -> None:
    states = states_in(tmp_path / "plugin-state")
    state = opened(states)
    state.set(b"k", b"v")
    state.set(b"ends", b"v")
    state.expire(b"ends", 5)
    states.save()
    path = tmp_path / "plugin-state" / "demo.state"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    again = opened(states_in(tmp_path / "plugin-state"))
    assert again.snapshot() == [(b"k", b"v", 0), (b"ends", b"v", 1_005)]


def test_a_state_in_memory_writes_nothing(tmp_path: Path) -> None:
    states = states_in(tmp_path)
    opened(states, is_on_disk=False).set(b"k", b"v")
    states.save()
    assert list(tmp_path.iterdir()) == []


def test_a_state_in_memory_does_not_begin_with_an_old_file(tmp_path: Path) -> None:
    before = states_in(tmp_path)
    opened(before).set(b"k", b"v")
    before.save()
    assert opened(states_in(tmp_path), is_on_disk=False).keys(b"") == []


def test_without_a_directory_nothing_is_written() -> None:
    states = states_in(None)
    opened(states).set(b"k", b"v")
    states.save()
    assert opened(states).keys(b"") == [b"k"]
    states.forget("demo")
    assert opened(states).keys(b"") == []


def test_only_changes_are_written(tmp_path: Path) -> None:
    states = states_in(tmp_path)
    opened(states).set(b"k", b"v")
    states.save()
    (tmp_path / "demo.state").unlink()
    states.save()
    assert list(tmp_path.iterdir()) == []


def test_a_new_version_goes_on_with_it_or_begins_anew(tmp_path: Path) -> None:
    states = states_in(tmp_path)
    first = opened(states)
    first.set(b"k", b"v")
    assert opened(states) is first
    states.save()
    assert opened(states, carries=False).keys(b"") == []


def test_a_deleted_plugin_leaves_no_state(tmp_path: Path) -> None:
    states = states_in(tmp_path)
    opened(states).set(b"k", b"v")
    states.save()
    states.forget("demo")
    assert list(tmp_path.iterdir()) == []
    assert opened(states).keys(b"") == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode([1, [["k", "v"]]]),
        msgspec.msgpack.encode([2, []]),
        msgspec.msgpack.encode({"form": 1}),
    ],
)
def test_a_damaged_file_is_set_aside(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "demo.state").write_bytes(content)
    assert opened(states_in(tmp_path)).keys(b"") == []
    (line,) = caplog.messages
    assert line.startswith("plugin demo begins with an empty state: ")
    assert "demo.state.damaged" in line
    assert "\n" not in line
    assert (tmp_path / "demo.state.damaged").read_bytes() == content


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_that_nobody_writes_to_is_not_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkfifo(tmp_path / "demo.state")
    assert opened(states_in(tmp_path)).keys(b"") == []
    (line,) = caplog.messages
    assert "begins with an empty state" in line


def test_what_cannot_be_read_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "demo.state").mkdir()
    state = opened(states := states_in(tmp_path))
    assert state.keys(b"") == []
    (line,) = caplog.messages
    assert line.startswith("plugin demo begins with an empty state: ")
    state.set(b"k", b"v")
    states.save()
    assert opened(states_in(tmp_path)).keys(b"") == [b"k"]


def test_a_file_that_is_too_large_is_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kept_state, "MAX_FILE_BYTES", 3)
    (tmp_path / "demo.state").write_bytes(b"1234")
    assert opened(states_in(tmp_path)).keys(b"") == []
    assert "larger than 3 bytes" in caplog.text


def test_what_is_over_a_smaller_quota_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    states = states_in(tmp_path)
    opened(states).set(b"k", b"v" * 100)
    states.save()
    states_in(tmp_path).open("demo", 50, is_on_disk=True, carries=True)
    assert "1 keys of its state are left out: the quota is 50 bytes" in caplog.text


def test_a_disk_that_cannot_be_written_is_told_of_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "plugin-state"
    states = states_in(blocked)
    opened(states).set(b"k", b"v")
    blocked.write_text("a file in the way")
    states.save()
    states.save()
    (line,) = caplog.messages
    assert line.startswith("the state of plugin demo cannot be kept: ")
    blocked.unlink()
    states.save()
    assert (blocked / "demo.state").is_file()


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("safe")
    directory = tmp_path / "plugin-state"
    directory.mkdir()
    (directory / "demo.state.new").symlink_to(victim)
    states = states_in(directory)
    opened(states).set(b"k", b"v")
    states.save()
    assert victim.read_text() == "safe"


async def test_changes_are_saved_while_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_state, "SAVE_S", 0.01)
    states = states_in(tmp_path)
    saving = asyncio.create_task(states.save_forever())
    opened(states).set(b"k", b"v")
    async with asyncio.timeout(PATIENT_S):
        while not (tmp_path / "demo.state").exists():  # noqa: ASYNC110  # a file tells nobody
            await asyncio.sleep(0.01)
    saving.cancel()
    await asyncio.gather(saving, return_exceptions=True)


def test_each_worker_has_a_state_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "plugin-state"
    workers = [PluginStates(folder, lambda: 1_000, worker=one) for one in (3, 2, 1)]
    for number, states in enumerate(workers):
        opened(states).set(b"k", b"%d" % number)
        states.save()

    assert (folder / "demo.state").is_file()  # where a proxy without workers has it
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "worker-3").stat().st_mode) == 0o700
    for number, worker in enumerate((3, 2, 1)):
        again = opened(PluginStates(folder, lambda: 1_000, worker=worker))
        assert again.get(b"k") == b"%d" % number


@pytest.mark.parametrize("worker", [1, 2])
def test_a_deleted_plugin_leaves_no_state_of_any_worker(
    tmp_path: Path, worker: int
) -> None:
    for one in (1, 2, 3):
        states = PluginStates(tmp_path, lambda: 1_000, worker=one)
        opened(states).set(b"k", b"v")
        states.save()
    PluginStates(tmp_path, lambda: 1_000, worker=worker).forget("demo")

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


# States that workers share


@pytest.fixture
def sharing() -> Iterator[int]:
    with unnamed_file() as descriptor:
        yield descriptor


def worker_of(directory: Path | None, sharing: int, worker: int) -> PluginStates:
    return PluginStates(directory, lambda: 1_000, worker=worker, sharing=sharing)


def shared(
    states: PluginStates, *, is_on_disk: bool = False, is_shared: bool = True
) -> KeyValues:
    return states.open(
        "demo", 1_000, is_on_disk=is_on_disk, carries=True, is_shared=is_shared
    )


def test_workers_share_what_a_plugin_says_they_share(
    tmp_path: Path, sharing: int
) -> None:
    first, second = (worker_of(tmp_path, sharing, number) for number in (1, 2))
    shared(first).add(b"n", 1)
    assert shared(second).add(b"n", 1) == 2
    for states in (first, second):
        states.open("own", 1_000, is_on_disk=False, carries=True).add(b"n", 1)
        own = states.open("own", 1_000, is_on_disk=False, carries=True)
        assert own.get(b"n") == b"1"


def test_a_shared_state_is_one_file_that_every_worker_reads(
    tmp_path: Path, sharing: int
) -> None:
    second = worker_of(tmp_path, sharing, 2)
    shared(second, is_on_disk=True).set(b"k", b"v")
    second.save()
    assert [path.name for path in tmp_path.iterdir()] == ["demo.state"]
    second.save()
    with unnamed_file() as later:
        first = worker_of(tmp_path, later, 1)
        assert shared(first, is_on_disk=True).get(b"k") == b"v"


def test_a_change_of_another_worker_is_written(tmp_path: Path, sharing: int) -> None:
    first, second = (worker_of(tmp_path, sharing, number) for number in (1, 2))
    keeps = shared(first, is_on_disk=True)
    first.save()
    shared(second, is_on_disk=True).set(b"k", b"v")
    first.save()
    assert opened(states_in(tmp_path)).get(b"k") == b"v"
    assert keeps.get(b"k") == b"v"


def test_keys_go_on_when_they_are_shared_and_when_they_are_not_any_more(
    tmp_path: Path, sharing: int
) -> None:
    first, second = (worker_of(tmp_path, sharing, number) for number in (1, 2))
    shared(first, is_shared=False).set(b"k", b"first")
    shared(second, is_shared=False).set(b"k", b"second")
    assert shared(second).get(b"k") == b"second"
    assert shared(first).get(b"k") == b"second"
    alone = shared(first, is_shared=False)
    alone.set(b"k", b"changed")
    assert shared(second).get(b"k") == b"second"


def test_a_deleted_plugin_leaves_no_shared_state(tmp_path: Path, sharing: int) -> None:
    first, second = (worker_of(tmp_path, sharing, number) for number in (1, 2))
    for states in (first, second):
        shared(states, is_on_disk=True).add(b"n", 1)
    first.save()
    first.forget("demo")
    second.forget("demo")
    assert list(tmp_path.iterdir()) == []
    assert shared(second, is_on_disk=True).keys(b"") == []


def test_one_process_shares_with_nobody(tmp_path: Path) -> None:
    assert type(shared(states_in(tmp_path))) is KeyValues


@contextlib.contextmanager
def stopped_in_a_step(sharing: int) -> Iterator[None]:
    """Another worker holds the keys."""
    with sharer(sharing, "stop") as stopped:
        assert stopped.stdout is not None
        stopped.stdout.readline()
        yield


def test_keys_that_another_worker_holds_are_saved_when_it_is_gone(
    tmp_path: Path, sharing: int
) -> None:
    states = worker_of(tmp_path, sharing, 1)
    keys = shared(states, is_on_disk=True)
    keys.set(b"k", b"v")
    with stopped_in_a_step(sharing):
        states.save()
        assert list(tmp_path.iterdir()) == []
    states.save()
    assert opened(states_in(tmp_path)).get(b"k") == b"v"


def test_keys_that_another_worker_holds_cannot_be_taken_along(
    tmp_path: Path, sharing: int
) -> None:
    states = worker_of(tmp_path, sharing, 1)
    shared(states).set(b"k", b"v")
    with stopped_in_a_step(sharing):
        with pytest.raises(PluginError, match=r"^plugin demo: other workers hold the"):
            shared(states, is_shared=False)
        states.forget("demo")


def test_the_last_to_end_saves_what_the_others_did(
    tmp_path: Path, sharing: int
) -> None:
    first, second = (worker_of(tmp_path, sharing, number) for number in (1, 2))
    shared(first, is_on_disk=True).set(b"k", b"v")
    first.close()
    with sharer(sharing, "keep") as other:
        assert other.stdout is not None
        other.stdout.readline()
        shared(second, is_on_disk=True).set(b"k", b"left to the other one")
        second.close()
        assert opened(states_in(tmp_path)).get(b"k") == b"v"
    second.close()
    assert opened(states_in(tmp_path)).get(b"k") == b"left to the other one"
