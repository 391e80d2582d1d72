"""States that outlive a version or the process, and what a disk can do to them."""

import asyncio
import stat
from pathlib import Path

import msgspec
import pytest

from int3rceptor.plugins import kept_state
from int3rceptor.plugins.kept_state import PluginStates
from int3rceptor.plugins.keyvalues import KeyValues
from tests.support.patience import PATIENT_S


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


def test_without_a_directory_nothing_is_written() -> None:
    states = states_in(None)
    opened(states).set(b"k", b"v")
    states.save()
    states.forget("demo")


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
