"""Rules as the dispatcher sees them: one listener for each phase that has any.

It runs for every exchange. While no rule matches it looks, and makes no coroutine.
"""

from collections.abc import Awaitable, Callable, Iterable

from int3rceptor.hooks.dispatcher import Answer, Dispatcher, Listener
from int3rceptor.hooks.points import HookPoint
from int3rceptor.hooks.verdicts import describe
from int3rceptor.model.flow import Flow
from int3rceptor.rules.actions import note, take_steps, verdict_of
from int3rceptor.rules.describing import facts_of
from int3rceptor.rules.matching import Matched, PhaseRules
from int3rceptor.rules.model import Phase, Rule

PRIORITY = -1_000
"""Before plugins, whose default is 100; one that must come first can ask for less."""

Sleep = Callable[[float], Awaitable[None]]


class Rules:
    """The rules in force; `replace` puts others in their place at once.

    An exchange ends with the rules that it began with. `sleep` is how a delay waits.
    """

    def __init__(self, hooks: Dispatcher, *, sleep: Sleep) -> None:
        self._hooks = hooks
        self._sleep = sleep
        self._registered: list[Listener] = []

    def replace(self, rules: Iterable[Rule]) -> None:
        """Ask these from now on. A phase without rules has no listener."""
        rules = tuple(rules)
        fresh = []
        for phase in Phase:
            mine = PhaseRules(rules, phase)
            if mine:
                asker = _Asker(mine, self._hooks, self._sleep)
                fresh.append(
                    Listener(
                        name="rules",
                        point=phase.point,
                        call=asker.ask,
                        priority=PRIORITY,
                        on_error="block",
                        records_itself=True,
                    )
                )
        self._hooks.replace(self._registered, fresh)
        self._registered = fresh


class _Asker:
    """Asks the rules of one phase."""

    def __init__(self, rules: PhaseRules, hooks: Dispatcher, sleep: Sleep) -> None:
        self._rules = rules
        self._hooks = hooks
        self._sleep = sleep
        self._point = rules.phase.point

    def ask(self, flow: Flow) -> Awaitable[Answer] | None:
        """None at once when no rule matches."""
        found = self._first(flow, after=-1)
        return None if found is None else self._run(flow, found)

    def _first(self, flow: Flow, *, after: int) -> Matched | None:
        message = flow.response if self._point is HookPoint.RESPONSE else flow.request
        assert message is not None
        return self._rules.first(flow, message.headers, after=after)

    async def _run(self, flow: Flow, found: Matched | None) -> Answer:
        """From the first rule that matches on: each sees what those before it left."""
        while found is not None:
            rule = found.rule
            flow.rule = rule.name
            if self._hooks.is_heard(HookPoint.RULE_MATCH, flow):
                flow.rule_facts = facts_of(rule)
                verdict = await self._hooks.dispatch(HookPoint.RULE_MATCH, flow)
                if verdict is not None:
                    return verdict
            seconds = take_steps(rule, flow, found.captures)
            if seconds:
                note(rule, flow, f"delayed by {seconds:g} s")
                await self._sleep(seconds)
            if rule.ending is not None:
                verdict = verdict_of(rule.ending, rule, flow)
                note(rule, flow, describe(verdict))
                return verdict
            found = self._first(flow, after=found.position)
        return None
