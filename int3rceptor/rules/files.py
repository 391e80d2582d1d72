"""Rule files: those that were named and those in the folder, watched while it runs.

The rules in force change as a whole, and only to a set without a mistake in it.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from int3rceptor.errors import RuleError
from int3rceptor.files.reading import Watched, listing
from int3rceptor.hooks.dispatcher import Dispatcher
from int3rceptor.net.tasks import Tasks

if TYPE_CHECKING:  # 0.2 MB that come with the first rule
    from int3rceptor.rules.listener import Rules
    from int3rceptor.rules.model import Rule

log = logging.getLogger("int3rceptor.rules")

POLL_S = 1.0
"""How often files are looked at: soon enough for who edits, and some µs a file."""

MAX_FILES = 200
"""Rule files: one a topic, not one a rule."""

MAX_FILE_BYTES = 1024 * 1024
"""Ten thousand short rules; a wrong file is told before it is parsed."""

MAX_RULES = 5_000
"""A rule costs about 0.3 µs for each new host, so all of them 1.5 ms."""

MAX_PATTERNS = 20_000
"""Globs and regexes of all rules, for the same reason: a block list of hosts fits."""

MAX_PROGRAMS = 1_000
"""Patterns that RE2 runs: some µs each, and patterns.MAX_MEMORY_BYTES of memory."""

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""All bodies that rules answer with: they stay in memory."""


class RulesInForce(Protocol):
    """The rules in force."""

    def replace(self, rules: "Iterable[Rule]") -> None:
        """Ask these from now on."""
        ...


class _Loaded:
    """The rules in force; what asks them is loaded with the first that there is."""

    def __init__(self, hooks: Dispatcher) -> None:
        self._hooks = hooks
        self._rules: Rules | None = None

    def replace(self, rules: "Iterable[Rule]") -> None:
        rules = tuple(rules)
        if self._rules is None and rules:
            from int3rceptor.rules.listener import Rules

            self._rules = Rules(self._hooks, sleep=asyncio.sleep)
        if self._rules is not None:
            self._rules.replace(rules)


class RuleFiles:
    """Reads the files of one proxy into its `rules`, again whenever one changes.

    `files` must exist when the proxy starts; `folder` may come and go, and its *.toml
    are read in the order of their names.
    """

    def __init__(
        self, rules: RulesInForce, files: Sequence[Path], folder: Path
    ) -> None:
        self._rules = rules
        self._files = tuple(files)
        self._folder = folder
        self._listing: tuple[Path, ...] | None = ()
        self._watched = Watched()
        self.loaded: tuple[Rule, ...] = ()

    def load(self) -> None:
        """Read all, and put the rules in force; RuleError, and nothing changed, when
        one of them cannot be used."""
        self._put_in_force(self._read_all())

    async def watch(self, poll_s: float = POLL_S) -> None:
        """Load again after each change, until cancelled; problems are logged, once."""
        while True:
            await asyncio.sleep(poll_s)
            if self._has_changed():
                await self.reload()

    async def reload(self) -> None:
        """Load now. After a mistake the rules in force stay."""
        # Off the loop: parsing and compiling a large set takes a second.
        with ThreadPoolExecutor(1, "rules") as pool:
            loop = asyncio.get_running_loop()
            try:
                rules = await loop.run_in_executor(pool, self._read_all)
            except (RuleError, OSError) as error:
                if isinstance(error, OSError):
                    self._listing = None  # not even a module of ours: try again
                log.error(
                    "%s (still in force: the rules of before, %d)",
                    error,
                    len(self.loaded),
                )
                return
        self._put_in_force(rules)
        log.info("%s", self.summary())

    def summary(self) -> str:
        """What is in force, for people."""
        enabled = sum(rule.is_enabled for rule in self.loaded)
        files = len({rule.place.rpartition(":")[0] for rule in self.loaded})
        return f"rules in force: {enabled} (files: {files})"

    def _put_in_force(self, rules: "tuple[Rule, ...]") -> None:
        self._rules.replace(rules)
        self.loaded = rules

    def _has_changed(self) -> bool:
        return self._watched.has_changed() or self._list() != self._listing

    def _list(self) -> tuple[Path, ...]:
        try:
            return listing(self._folder, (".toml",))
        except OSError:
            return (self._folder,)  # cannot be read as a file either, which says why

    def _read_all(self) -> "tuple[Rule, ...]":
        self._watched = Watched()
        self._listing = listed = self._list()
        # A file of the folder that was named too is read once.
        paths = tuple(dict.fromkeys((*self._files, *listed)))
        if len(paths) > MAX_FILES:
            raise RuleError(
                f"{paths[MAX_FILES]}:1: more than {MAX_FILES} rule files; join some"
            )
        if not paths:
            return ()
        from int3rceptor.rules.parsing import parse_rules  # for those who have rules

        rules: list[Rule] = []
        for path in paths:
            rules += parse_rules(path, self._read_text(path), self._watched.read)
            _check_sizes(path, rules)
        _check_names(rules)
        return tuple(rules)

    def _read_text(self, path: Path) -> str:
        try:
            if path.is_dir():
                listing(path, ())  # says why a folder cannot be read
            return self._watched.read(path, MAX_FILE_BYTES).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise RuleError(f"{path}:{line}: not UTF-8; save it as UTF-8") from None
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise RuleError(
                f"{path}:1: cannot be read: {why}; write rules there, or do not name it"
            ) from None


def _check_sizes(path: Path, rules: "Sequence[Rule]") -> None:
    """All rules up to and with those of `path` stay within the limits."""
    from int3rceptor.rules.model import Answer
    from int3rceptor.rules.patterns import Shape

    patterns = [pattern for rule in rules for pattern in rule.match.patterns()]
    bodies = [
        len(rule.ending.body) for rule in rules if isinstance(rule.ending, Answer)
    ]
    for count, limit, what in (
        (len(rules), MAX_RULES, "rules"),
        (len(patterns), MAX_PATTERNS, "patterns"),
        (
            sum(one.shape is Shape.PROGRAM for one in patterns),
            MAX_PROGRAMS,
            "regexes and long globs",
        ),
        (sum(bodies), MAX_ANSWER_BYTES, "bytes of answers"),
    ):
        if count > limit:
            raise RuleError(f"{path}:1: more than {limit} {what} in all; remove some")


def _check_names(rules: "Sequence[Rule]") -> None:
    places: dict[str, str] = {}
    for rule in rules:
        first = places.setdefault(rule.name, rule.place)
        if first != rule.place:
            raise RuleError(
                f"{rule.place}: name: {rule.name} is the name of the rule at {first}"
                " too; rename one"
            )


@contextlib.asynccontextmanager
async def running_rules(
    hooks: Dispatcher, files: Sequence[Path], folder: Path
) -> AsyncIterator[RuleFiles]:
    """Rules in force, and followed when their files change, while the context lasts.
    RuleError when a file cannot be used at the start."""
    rules = _Loaded(hooks)
    source = RuleFiles(rules, files, folder)
    source.load()
    tasks = Tasks("rules")
    tasks.start(source.watch(), "watch")
    try:
        yield source
    finally:
        await tasks.close()
        rules.replace(())
