"""Rule files: order, limits, following changes, and the last good set."""

import asyncio
import errno
import logging
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from int3rceptor.errors import RuleError
from int3rceptor.hooks.dispatcher import Dispatcher
from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import Respond
from int3rceptor.rules import files, parsing
from int3rceptor.rules.files import RuleFiles, running_rules
from int3rceptor.rules.listener import Rules
from int3rceptor.rules.model import Rule
from tests.support.patience import PATIENT_S
from tests.support.ruling import a_flow, is_heard


class Watched(Rules):
    """Rules that say when they were replaced."""

    def __init__(self) -> None:
        super().__init__(Dispatcher(sleep=asyncio.sleep), sleep=asyncio.sleep)
        self.changed = asyncio.Event()
        self.names: list[str] = []

    def replace(self, rules: Iterable[Rule]) -> None:
        rules = tuple(rules)
        super().replace(rules)
        self.names = [rule.name for rule in rules]
        self.changed.set()


def write(path: Path, text: str) -> None:
    path.write_text(text)


def remove(path: Path) -> None:
    path.unlink()


def rule(*names: str, action: str = 'tag = "t"') -> str:
    return "\n".join(
        f'[[rules]]\nname = "{name}"\nmatch = {{}}\n{action}' for name in names
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "rules"
    made.mkdir()
    return made


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def named(tmp_path: Path) -> Path:
    path = tmp_path / "named.toml"
    path.write_text(rule("named"))
    return path


@pytest.fixture
def source(watched: Watched, named: Path, folder: Path) -> RuleFiles:
    (folder / "b.toml").write_text(rule("b"))
    (folder / "a.toml").write_text(rule("a1", "a2"))
    (folder / ".hidden.toml").write_text("broken")
    (folder / "a.toml~").write_text("broken")
    made = RuleFiles(watched, [named], folder)
    made.load()
    return made


def test_named_files_first_then_the_folder_by_name(
    source: RuleFiles, watched: Watched
) -> None:
    assert watched.names == ["named", "a1", "a2", "b"]
    assert source.summary() == "rules in force: 4 (files: 3)"


def test_a_file_of_the_folder_that_is_named_too_is_read_once(
    watched: Watched, folder: Path
) -> None:
    (folder / "a.toml").write_text(rule("a"))
    (folder / "b.toml").write_text(rule("b"))
    RuleFiles(watched, [folder / "b.toml"], folder).load()

    assert watched.names == ["b", "a"]


def test_without_a_folder_there_are_no_rules(watched: Watched, tmp_path: Path) -> None:
    source = RuleFiles(watched, [], tmp_path / "none")
    source.load()

    assert watched.names == []
    assert not source._has_changed()


def test_two_rules_of_one_name_are_refused(source: RuleFiles, folder: Path) -> None:
    (folder / "c.toml").write_text("\n" + rule("a2"))

    with pytest.raises(RuleError) as caught:
        source.load()

    first = folder / "a.toml"
    assert str(caught.value) == (
        f"{folder}/c.toml:2: name: a2 is the name of the rule at {first}:5 too;"
        " rename one"
    )


@pytest.mark.parametrize(
    ("limit", "value", "words"),
    [
        ("MAX_FILES", 2, "b.toml:1: more than 2 rule files"),
        ("MAX_RULES", 3, "b.toml:1: more than 3 rules in all"),
        ("MAX_PATTERNS", 1, "c.toml:1: more than 1 patterns in all"),
        ("MAX_PROGRAMS", 0, "c.toml:1: more than 0 regexes and long globs in all"),
        ("MAX_ANSWER_BYTES", 2, "c.toml:1: more than 2 bytes of answers in all"),
        ("MAX_FILE_BYTES", 10, "named.toml:1: cannot be read: larger than 10 bytes"),
    ],
)
def test_limits(
    source: RuleFiles,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    value: int,
    words: str,
) -> None:
    (folder / "c.toml").write_text(
        rule("c").replace("{}", '{ host = ["a*b", "c"] }')
        + '\nanswer = { body = "abc" }'
    )
    source.load()
    monkeypatch.setattr(files, limit, value)

    with pytest.raises(RuleError, match=words):
        source.load()


@pytest.mark.parametrize("kind", ["folder", "pipe", "none", "bytes"])
def test_what_is_no_rule_file(
    watched: Watched, tmp_path: Path, folder: Path, kind: str
) -> None:
    path = tmp_path / "odd.toml"
    words = "cannot be read"
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "bytes":
            path.write_bytes(b"# a\n\xff")
            words = "odd.toml:2: not UTF-8"

    with pytest.raises(RuleError, match=words):
        RuleFiles(watched, [path], folder).load()
    assert not watched.changed.is_set()


def test_a_folder_that_cannot_be_read_says_why(
    source: RuleFiles, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object) -> tuple[Path, ...]:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    monkeypatch.setattr(files, "listing", forbidden)

    with pytest.raises(RuleError, match="/rules:1: cannot be read: Permission denied;"):
        source.load()


# --- changes --------------------------------------------------------------------------


async def test_nothing_is_read_again_while_nothing_changes(source: RuleFiles) -> None:
    assert not source._has_changed()
    await source.reload()
    assert not source._has_changed()


async def test_each_kind_of_change_is_seen(
    source: RuleFiles, watched: Watched, named: Path, folder: Path
) -> None:
    write(named, rule("edited"))
    await expect(source, watched, ["edited", "a1", "a2", "b"])
    write(folder / "aa.toml", rule("new"))
    await expect(source, watched, ["edited", "a1", "a2", "new", "b"])
    (folder / "a.toml").unlink()
    await expect(source, watched, ["edited", "new", "b"])
    (folder / "b.toml").rename(folder / "z.txt")
    await expect(source, watched, ["edited", "new"])
    # As editors save: another file takes the name, with the same time and size.
    times = (folder / "aa.toml").stat()
    write(folder / "draft", rule("wen"))
    os.utime(folder / "draft", ns=(times.st_atime_ns, times.st_mtime_ns))
    (folder / "draft").replace(folder / "aa.toml")
    await expect(source, watched, ["edited", "wen"])


async def expect(source: RuleFiles, watched: Watched, names: list[str]) -> None:
    assert source._has_changed()
    await source.reload()
    assert watched.names == names
    assert not source._has_changed()


async def test_a_mistake_changes_nothing_and_is_told_once(
    source: RuleFiles,
    watched: Watched,
    named: Path,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write(named, rule("better"))
    write(folder / "b.toml", "[[rules]]\nname = 1\n")
    with caplog.at_level(logging.INFO):
        await source.reload()

    assert watched.names == ["named", "a1", "a2", "b"]
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith(f"{folder}/b.toml:2: name: must be a text")
    assert "still in force: the rules of before, 4" in record.getMessage()
    assert not source._has_changed()

    write(folder / "b.toml", rule("c"))
    await expect(source, watched, ["better", "a1", "a2", "c"])


async def test_without_any_file_to_be_opened_it_is_tried_again(
    source: RuleFiles,
    watched: Watched,
    named: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def cannot(*_: object) -> object:
        raise OSError(errno.EMFILE, "Too many open files")

    write(named, rule("better"))
    with monkeypatch.context() as context:
        # As when the module that it is in is to be loaded.
        context.setattr(parsing, "parse_rules", cannot)
        await source.reload()
    assert watched.names == ["named", "a1", "a2", "b"]
    assert "Too many open files (still in force" in caplog.text

    await expect(source, watched, ["better", "a1", "a2", "b"])


async def test_a_named_file_that_vanishes_keeps_its_rules_until_it_is_back(
    source: RuleFiles,
    watched: Watched,
    named: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    remove(named)
    assert source._has_changed()
    await source.reload()

    assert watched.names == ["named", "a1", "a2", "b"]
    assert f"{named}:1: cannot be read: No such file" in caplog.text
    assert not source._has_changed()
    write(named, rule("back"))
    await expect(source, watched, ["back", "a1", "a2", "b"])


async def test_the_folder_may_come_and_go(watched: Watched, tmp_path: Path) -> None:
    folder = tmp_path / "late"
    source = RuleFiles(watched, [], folder)
    source.load()
    folder.mkdir()
    assert not source._has_changed()
    write(folder / "a.toml", rule("a"))
    await expect(source, watched, ["a"])
    (folder / "a.toml").unlink()
    folder.rmdir()
    await expect(source, watched, [])
    write(folder, "in the folder's place")
    assert source._has_changed()
    await source.reload()
    assert not source._has_changed()


async def test_a_body_is_followed_too(watched: Watched, folder: Path) -> None:
    body = folder / "body.json"
    write(body, "[1]")
    write(folder / "a.toml", rule("a", action='answer = { body_file = "body.json" }'))
    source = RuleFiles(watched, [], folder)
    source.load()
    assert await answered(watched) == b"[1]"

    write(body, "[1, 2]")
    await expect(source, watched, ["a"])
    assert await answered(watched) == b"[1, 2]"

    body.unlink()
    assert source._has_changed()
    await source.reload()
    assert await answered(watched) == b"[1, 2]"
    write(body, "[]")
    await expect(source, watched, ["a"])
    assert await answered(watched) == b"[]"


async def answered(watched: Watched) -> bytes | None:
    verdict = await watched._hooks.dispatch(HookPoint.REQUEST, a_flow())
    assert isinstance(verdict, Respond)
    return verdict.response.body.content


async def test_it_is_watched(source: RuleFiles, watched: Watched, named: Path) -> None:
    watched.changed.clear()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(source.watch(poll_s=0.001))
        write(named, rule("seen"))
        async with asyncio.timeout(PATIENT_S):
            await watched.changed.wait()
        task.cancel()

    assert watched.names[0] == "seen"


async def test_running_leaves_nothing_behind(named: Path, folder: Path) -> None:
    hooks = Dispatcher(sleep=asyncio.sleep)
    before = asyncio.all_tasks()
    async with running_rules(hooks, [named], folder) as source:
        assert source.summary() == "rules in force: 1 (files: 1)"
        assert is_heard(hooks, HookPoint.REQUEST)

    assert asyncio.all_tasks() == before
    assert not is_heard(hooks, HookPoint.REQUEST)


async def test_a_start_with_a_mistake_is_refused(named: Path, folder: Path) -> None:
    write(named, "mistake")
    hooks = Dispatcher(sleep=asyncio.sleep)

    with pytest.raises(RuleError, match=r"named.toml:1: not valid TOML"):
        async with running_rules(hooks, [named], folder):
            pass
    assert not is_heard(hooks, HookPoint.REQUEST)
