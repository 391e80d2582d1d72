"""Which flows are asked for: the filter, as SQL over `flow` and as a test of a record.

Both must agree: part of what is asked for is in the store, part still in the journal.
"""

import re
from dataclasses import dataclass
from fnmatch import translate

from int3rceptor.config.values import host_pattern
from int3rceptor.errors import ConfigError
from int3rceptor.store.records import FlowRecord

_STATUS = re.compile(r"([1-9])(?:xx|([0-9]{2}))", re.IGNORECASE)
_WILD = re.compile(r"[*?\[]")


@dataclass(slots=True, frozen=True, kw_only=True)
class HostPattern:
    """A host glob in lower case, and the port that it is limited to (0: any)."""

    glob: str
    port: int

    @property
    def is_exact(self) -> bool:
        """Whether it can match one name only."""
        return not _WILD.search(self.glob)

    def matcher(self) -> re.Pattern[str]:
        """What matches the names, by `match`."""
        return re.compile(translate(self.glob))


@dataclass(slots=True, frozen=True, kw_only=True)
class FlowFilter:
    """What a flow must be like; None: whatever it is like. Raises ConfigError.

    `host` is a glob with an optional port (`*.example.com`, `[::1]:8443`), `status` a
    number or a class (`404`, `4xx`), `since` seconds since the epoch. `text` are words
    that follow each other in a head, the URL or a textual body, the last of them
    perhaps only begun. `is_marked` asks for the marked flows, or for all the others.
    """

    host: str | None = None
    method: str | None = None
    status: str | None = None
    since: float | None = None
    text: str | None = None
    tag: str | None = None
    is_marked: bool | None = None

    def __post_init__(self) -> None:
        _ = self.host_pattern, self.status_range

    @property
    def host_pattern(self) -> HostPattern | None:
        """`host`, taken apart."""
        if self.host is None:
            return None
        try:
            pattern = host_pattern(self.host)
        except ValueError as error:
            raise ConfigError(f"host: {self.host!r}: {error}") from None
        name, colon, port = pattern.rpartition(":")
        # The port of a name, or of an IPv6 address, which is in brackets.
        has_port = colon and port.isdecimal() and (":" not in name or name[0] == "[")
        glob = name if has_port else pattern
        return HostPattern(glob=_bare(glob), port=int(port) if has_port else 0)

    @property
    def status_range(self) -> range | None:
        """`status`, as the numbers that it stands for."""
        if self.status is None:
            return None
        match = _STATUS.fullmatch(self.status)
        if match is None:
            raise ConfigError(
                f"status: {self.status!r}: write a status (404) or a class (4xx)"
            )
        if match[2] is None:
            return range(int(match[1]) * 100, int(match[1]) * 100 + 100)
        return range(int(self.status), int(self.status) + 1)

    def matches(self, record: FlowRecord) -> bool:
        """Whether a record, which nobody can have marked yet, fits: all but `text`."""
        status = self.status_range
        return (
            not self.is_marked
            and (self.since is None or record.created >= self.since)
            and (self.method is None or record.method in _methods(self.method))
            and (status is None or record.status in status)
            and (self.tag is None or self.tag in record.tags)
            and self._matches_host(record)
        )

    def _matches_host(self, record: FlowRecord) -> bool:
        pattern = self.host_pattern
        if pattern is None:
            return True
        is_port = pattern.port in (0, record.port)
        return is_port and pattern.matcher().match(record.host) is not None


@dataclass(slots=True, kw_only=True)
class Conditions:
    """Conditions on columns of `flow`, all of which hold, and their parameters."""

    terms: list[str]
    values: list[str | int | float]

    def add(self, term: str, *values: str | int | float) -> None:
        """One more condition."""
        self.terms.append(term)
        self.values += values

    def sql(self) -> str:
        """What stands after WHERE."""
        return " AND ".join(self.terms) or "1"


def conditions(wanted: FlowFilter, host_ids: list[int] | None) -> Conditions:
    """The filter over `flow`: all but `text`. `host_ids` are the hosts that its
    pattern matches (None: it has no pattern)."""
    found = Conditions(terms=[], values=[])
    pattern = wanted.host_pattern
    if host_ids is not None and pattern is not None:
        if len(host_ids) == 1:
            # An index on one host gives its flows newest first, without sorting.
            found.add("flow.host = ?", host_ids[0])
        else:
            numbers = ",".join(map(str, host_ids))
            found.add("flow.host IN (SELECT value FROM json_each(?))", f"[{numbers}]")
        if pattern.port:
            found.add("flow.port = ?", pattern.port)
    if wanted.method is not None:
        methods = _methods(wanted.method)
        found.add("flow.method IN (?, ?)", *methods)
        if "GET" not in methods:
            found.add("flow.method <> 'GET'")  # as the index on the others has it
    if (status := wanted.status_range) is not None:
        found.add("flow.status BETWEEN ? AND ?", status.start, status.stop - 1)
    if wanted.since is not None:
        found.add("flow.created >= ?", wanted.since)
    if wanted.tag is not None:
        found.add("flow.tags <> ''")  # as the index on the tagged has it
        found.add(
            "EXISTS (SELECT 1 FROM json_each(flow.tags) WHERE value = ?)", wanted.tag
        )
    if wanted.is_marked is not None:
        found.add("flow.is_marked = ?", int(wanted.is_marked))
    return found


def _methods(given: str) -> tuple[str, str]:
    """Methods have case, people seldom mean it."""
    return given, given.upper()


def _bare(host: str) -> str:
    """An IPv6 address without its brackets."""
    return host[1:-1] if host.startswith("[") and ":" in host else host
