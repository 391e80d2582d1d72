"""What is noticed of files: once, and not before they are whole."""

from pathlib import Path

import pytest

from int3rceptor.files.reading import Watched
from int3rceptor.plugins.managing import following as following_module
from int3rceptor.plugins.managing.following import Following, Seen

NOTHING = Seen((), ())


def watched(*paths: Path) -> Watched:
    one = Watched()
    for path in paths:
        one.look(path)
    return one


def test_a_file_that_grows_is_not_whole_yet(tmp_path: Path) -> None:
    following = Following(tmp_path / "plugins", (".wasm",))
    assert following.look(()) == NOTHING  # no folder
    path = tmp_path / "plugins" / "one.wasm"
    path.parent.mkdir()
    path.write_bytes(b"1")
    assert following.look(()) == NOTHING
    path.write_bytes(b"12")
    assert following.look(()) == NOTHING
    assert following.look(()) == Seen((path,), ())


def test_changes_of_module_and_manifest_and_its_end_are_seen(tmp_path: Path) -> None:
    following = Following(tmp_path / "plugins", (".wasm",))
    module, manifest = tmp_path / "one.wasm", tmp_path / "one.toml"
    module.write_bytes(b"1")
    for change in (
        lambda: manifest.write_text("priority = 1"),
        lambda: module.write_bytes(b"12"),
        lambda: manifest.unlink(),
        lambda: module.unlink(),
    ):
        known = [(module, watched(module, manifest))]
        assert following.look(known) == NOTHING
        change()
        assert following.look(known) == NOTHING
        assert following.look(known) == Seen((), (module,))


def test_what_is_known_hidden_or_something_else_does_not_appear(tmp_path: Path) -> None:
    following = Following(tmp_path, (".wasm", ".wat"))
    known = tmp_path / "known.wat"
    for name in ("known.wat", ".hidden.wasm", "README.md", "one.toml"):
        (tmp_path / name).write_text("")
    for _ in range(3):
        assert following.look([(known, watched(known))]) == NOTHING
    assert following.in_folder() == (known,)


def test_what_comes_back_as_it_was_is_no_change(tmp_path: Path) -> None:
    following = Following(tmp_path / "plugins", (".wasm",))
    path = tmp_path / "one.wasm"
    path.write_bytes(b"1")
    known = [(path, watched(path))]
    aside = path.rename(tmp_path / "aside")
    assert following.look(known) == NOTHING
    aside.rename(path)
    assert following.look(known) == NOTHING
    assert following.look(known) == NOTHING


def test_a_folder_that_cannot_be_read_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "plugins"
    folder.write_text("")
    following = Following(folder, (".wat",))
    for _ in range(3):
        assert following.look(()) == NOTHING
    (line,) = caplog.messages
    assert line == (
        f"{folder}: cannot be read: Not a directory; no plugin in it is loaded before"
        " it can"
    )
    folder.unlink()
    assert following.in_folder() == ()
    folder.write_text("")
    following.in_folder()
    assert len(caplog.messages) == 2


def test_a_folder_of_too_many_is_told_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(following_module, "MAX_MODULES", 2)
    for name in "cab":
        (tmp_path / f"{name}.wat").write_text("")
    following = Following(tmp_path, (".wat",))
    for _ in range(3):
        following.look(())
    assert [one.name for one in following.in_folder()] == ["a.wat", "b.wat"]
    (line,) = caplog.messages
    assert "more than 2 plugins; c.wat and those after it are left out" in line
