"""What several workers say of their plugins, as one answer."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain

from msgspec.structs import replace

from int3rceptor.link.plugin_reports import (
    Counters,
    PluginDetails,
    PluginLog,
    PluginPage,
    PluginState,
    PluginSummary,
    Spread,
)

_WORST = (
    PluginState.BROKEN,
    PluginState.QUARANTINED,
    PluginState.HELD_BACK,
    PluginState.DISABLED,
    PluginState.RUNNING,
)
"""Which state is shown when workers differ: the first that one of them is in."""


def merged_pages(pages: Sequence[PluginPage]) -> PluginPage:
    """All plugins that any of them has, by name."""
    found: dict[str, list[PluginSummary]] = {}
    for page in pages:
        for one in page.plugins:
            found.setdefault(one.name, []).append(one)
    return PluginPage([merged_summaries(found[name]) for name in sorted(found)])


def merged_summaries(all_: Sequence[PluginSummary]) -> PluginSummary:
    """The worst state of all, and the sums."""
    worst = min(all_, key=lambda one: _WORST.index(one.state))
    return replace(
        worst,
        in_service=all(one.in_service for one in all_),
        until=max(one.until for one in all_),
        calls=sum(one.calls for one in all_),
        faults=sum(one.faults for one in all_),
    )


def merged_details(all_: Sequence[PluginDetails]) -> PluginDetails:
    """Sums of what is counted; the rest is alike."""
    first = all_[0]
    kept = max(len(one.faults) for one in all_)
    faults = sorted(
        chain.from_iterable(one.faults for one in all_), key=lambda fault: fault.time
    )
    return replace(
        first,
        summary=merged_summaries([one.summary for one in all_]),
        counters=_summed([one.counters for one in all_]),
        fuel=_widest([one.fuel for one in all_]),
        micros=_widest([one.micros for one in all_]),
        faults=faults[len(faults) - kept :],
        loaded_at=max(one.loaded_at for one in all_),
        reloads=max(one.reloads for one in all_),
        in_loop=all(one.in_loop for one in all_),
    )


def merged_logs(all_: Sequence[PluginLog]) -> PluginLog:
    """The latest lines: as many as one of them keeps."""
    kept = max(len(one.lines) for one in all_)
    lines = sorted(
        chain.from_iterable(one.lines for one in all_), key=lambda line: line.time
    )
    return PluginLog(lines[len(lines) - kept :])


def _summed(all_: Sequence[Counters]) -> Counters:
    faults: Counter[str] = Counter()
    for one in all_:
        faults.update(one.faults)
    return Counters(
        calls=sum(one.calls for one in all_),
        seconds=sum(one.seconds for one in all_),
        skipped=sum(one.skipped for one in all_),
        quarantines=sum(one.quarantines for one in all_),
        rebuilds=sum(one.rebuilds for one in all_),
        fetches=sum(one.fetches for one in all_),
        lines=sum(one.lines for one in all_),
        lines_left_out=sum(one.lines_left_out for one in all_),
        faults=dict(faults),
    )


def _widest(all_: Sequence[Spread]) -> Spread:
    """A percentile of all calls lies between those of the workers: here the highest."""
    return Spread(
        count=sum(one.count for one in all_),
        p50=max(one.p50 for one in all_),
        p90=max(one.p90 for one in all_),
        p99=max(one.p99 for one in all_),
        most=max(one.most for one in all_),
    )
