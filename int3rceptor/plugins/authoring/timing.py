"""Times a module's entries: many calls on fresh copies of one flow.

Fuel is exact and the same everywhere; microseconds are this machine's processor, now.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from int3rceptor.model.server_events import Event
from int3rceptor.model.websocket import WebSocketMessage
from int3rceptor.plugins.abi.codes import Entry, Extra
from int3rceptor.plugins.authoring.recorded import Recording
from int3rceptor.plugins.authoring.recorded_flow import sample
from int3rceptor.plugins.authoring.trial import HookRun, Trial
from int3rceptor.plugins.streaming.chunks import Chunk, message_chunk
from int3rceptor.plugins.topics.messages import Message

WARM_UP = 20
"""Calls before the counted ones: the first touch memory that is not there yet."""

MADE_UP = b"made up for a bench of plugins: a kilobyte of it. " * 20
"""A message, a chunk of a body, or the data of an event."""

MAX_CALLS = 1_000_000
"""Of each entry: some seconds to a minute."""


@dataclass(slots=True, frozen=True)
class Spread:
    """Least, middle, and what one call in a hundred exceeds."""

    least: float
    median: float
    p99: float


@dataclass(slots=True, frozen=True, kw_only=True)
class Timing:
    """One entry. `halves_us` are the medians of the first and the second half: where
    they differ, something else ran beside. `fault` is why the calls could not be timed.
    """

    entry: Entry
    fuel: Spread
    us: Spread
    halves_us: tuple[float, float]
    fault: str = ""


def spread(values: Sequence[float]) -> Spread:
    """How values are spread; at least one."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return Spread(ordered[0], ordered[last // 2], ordered[last * 99 // 100])


def timed(trial: Trial) -> list[Entry]:
    """All entries, but on_message of a plugin that listens to no topic."""
    entries = trial.info.entries
    return [one for one in entries if one is not Extra.MESSAGE or trial.topics]


def time_entries(
    trial: Trial, count: int, recording: Recording | None = None
) -> list[Timing]:
    """Call each entry `count` times about this flow, or a made-up one."""
    recording = recording or sample()
    timings = []
    for entry in timed(trial):
        for _ in range(WARM_UP):
            _call(trial, entry, recording)
        runs = [_call(trial, entry, recording) for _ in range(count)]
        microseconds = [run.seconds * 1e6 for run in runs]
        middle = (count + 1) // 2
        first, second = microseconds[:middle], microseconds[middle:] or microseconds
        timings.append(
            Timing(
                entry=entry,
                fuel=spread([run.fuel for run in runs]),
                us=spread(microseconds),
                halves_us=(spread(first).median, spread(second).median),
                fault=next((run.said for run in runs if run.is_fault), ""),
            )
        )
    return timings


def _call(trial: Trial, entry: Entry, recording: Recording) -> HookRun:
    if entry is Extra.MESSAGE:
        topic, *_ = trial.topics
        return trial.hear(Message(topic, MADE_UP, ("bench",))).runs[0]
    chunk = None
    if entry is Extra.SSE_EVENT:
        event = Event(b"data: " + MADE_UP + b"\n\n")
        chunk = Chunk(data=event.data, event=event)
    elif entry is Extra.WEBSOCKET_MESSAGE:
        chunk = message_chunk(
            WebSocketMessage(data=MADE_UP, is_text=True, is_from_client=True)
        )
    elif isinstance(entry, Extra):
        chunk = Chunk(data=MADE_UP)
    run, _ = trial.ask(entry, recording.make(), chunk)
    assert run is not None
    return run
