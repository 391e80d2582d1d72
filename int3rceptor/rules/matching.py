"""Whether a rule matches a flow. Pure, and quick: this runs for every exchange.

The rules of a phase are narrowed by host first, and that is remembered by host.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from int3rceptor.model.flow import Flow
from int3rceptor.model.headers import Headers, to_bytes
from int3rceptor.rules.model import Block, Phase, Rule
from int3rceptor.rules.patterns import Captures, Pattern, Test, any_of

MAX_REMEMBERED = 1_024
"""Sets of names whose rules are remembered; the oldest goes when one more comes."""

MAX_REMEMBERED_CHARS = 1_024
"""Longer names are judged each time: four DNS names (RFC 1035, 2.3.4) fit."""

Names = tuple[str, ...]
Candidates = tuple["RuleTest", ...]


@dataclass(slots=True, frozen=True, kw_only=True)
class Matched:
    """A rule that matched, its position in the phase, and what its path captured."""

    rule: Rule
    position: int
    captures: Captures


class RuleTest:
    """One rule, ready to be asked; None stands for a part that does not matter."""

    __slots__ = (
        "_decides", "_headers", "_host", "_method", "_path", "_path_patterns", "_query",
        "_status", "position", "rule",
    )  # fmt: skip

    def __init__(self, rule: Rule, position: int) -> None:
        match = rule.match
        self.rule = rule
        self.position = position
        # A flow can go by several names (CONNECT, SNI, Host). One is enough to be
        # blocked, so that no other name slips past; all are needed for anything else,
        # so that a false name brings nobody what was meant for the true one.
        self._decides: Callable[[Iterable[bool]], bool] = (
            any if isinstance(rule.ending, Block) else all
        )
        self._host = _test(match.host)
        self._method = _test(match.method)
        self._query = _test(match.query)
        self._path = _test(match.path)
        has_groups = any(one.groups for one in match.path)
        self._path_patterns = match.path if has_groups else ()
        self._headers = [(one.name, any_of(one.values)) for one in match.headers]
        self._status = match.status

    def is_for(self, hosts: list[bytes]) -> bool:
        """Whether a flow that goes by these names can match."""
        fits = self._host
        if fits is None:
            return True
        if len(hosts) == 1:
            return fits(hosts[0])
        return self._decides(map(fits, hosts))

    def captures(self, flow: Flow, headers: Headers) -> Captures | None:
        """What the path's pattern captured, () if nothing; None: it does not match.

        The host was judged before. `headers` are those of the phase's message.
        """
        request, response = flow.request, flow.response
        if self._method and not self._method(to_bytes(request.method)):
            return None
        if self._status and (response is None or response.status not in self._status):
            return None
        for name, fits in self._headers:
            if not any(map(fits, headers.get_all_bytes(name))):
                return None
        if self._path or self._query:
            return self._target_captures(request.target)
        return ()

    def _target_captures(self, target: bytes) -> Captures | None:
        path, _, query = target.partition(b"?")
        if self._query and not self._query(query):
            return None
        for one in self._path_patterns:
            captures = one.captures(path)
            if captures is not None:
                return captures
        if self._path_patterns or (self._path and not self._path(path)):
            return None
        return ()


def _test(patterns: tuple[Pattern, ...]) -> Test | None:
    return any_of(patterns) if patterns else None


class PhaseRules:
    """The enabled rules of one phase, in the order in which they are asked."""

    def __init__(self, rules: Iterable[Rule], phase: Phase) -> None:
        mine = [rule for rule in rules if rule.is_enabled and rule.phase is phase]
        mine.sort(key=lambda rule: rule.order)
        self.phase = phase
        self._tests = tuple(RuleTest(rule, at) for at, rule in enumerate(mine))
        self._remembered: dict[Names, Candidates] = {}

    def __len__(self) -> int:
        return len(self._tests)

    def first(self, flow: Flow, headers: Headers, *, after: int) -> Matched | None:
        """The first rule behind position `after` that matches the flow as it is now."""
        names = flow.hosts()
        candidates = self._remembered.get(names)
        if candidates is None:
            candidates = self._narrowed(names)
        for one in candidates:
            if one.position > after:
                captures = one.captures(flow, headers)
                if captures is not None:
                    return Matched(
                        rule=one.rule, position=one.position, captures=captures
                    )
        return None

    def _narrowed(self, names: Names) -> Candidates:
        hosts = [_host_bytes(name) for name in names]
        found = tuple(one for one in self._tests if one.is_for(hosts))
        if sum(map(len, names)) <= MAX_REMEMBERED_CHARS:
            if len(self._remembered) >= MAX_REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
            self._remembered[names] = found
        return found


def _host_bytes(name: str) -> bytes:
    """A name as patterns are: lower case, no trailing dot, IDNA as it is resolved."""
    name = name.lower().rstrip(".")
    if name.isascii():
        return name.encode("ascii")
    try:
        return name.encode("idna")
    except UnicodeError:
        return name.encode("utf-8", "surrogateescape")
