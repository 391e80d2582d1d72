"""What several workers say of their plugins, as one answer."""

import msgspec
import pytest

from int3rceptor.app.plugin_merging import (
    merged_details,
    merged_logs,
    merged_pages,
    merged_summaries,
)
from int3rceptor.link.plugin_reports import (
    Counters,
    FaultReport,
    LogLine,
    PluginDetails,
    PluginLog,
    PluginPage,
    PluginState,
    PluginSummary,
    Spread,
)

ONE = PluginSummary(
    name="one", state=PluginState.RUNNING, in_service=True, source="/p/one.wasm"
)
TWO = msgspec.structs.replace(ONE, name="two")


def test_pages_are_joined_by_name() -> None:
    pages = [PluginPage([TWO]), PluginPage([ONE, TWO])]

    assert [one.name for one in merged_pages(pages).plugins] == ["one", "two"]


@pytest.mark.parametrize("worst", [*PluginState])
def test_the_worst_state_is_shown_with_its_reason(worst: PluginState) -> None:
    other = msgspec.structs.replace(
        ONE, state=worst, why="it is so", in_service=False, until=7.0, calls=2, faults=1
    )
    mine = msgspec.structs.replace(ONE, calls=3)
    for both in ([other, mine], [mine, other]):
        merged = merged_summaries(both)
        assert merged.state is worst
        assert merged.why == (
            "it is so" if merged.state is not ONE.state else both[0].why
        )
        assert (merged.in_service, merged.until) == (False, 7.0)
        assert (merged.calls, merged.faults) == (5, 1)


def test_details_are_summed_and_their_latest_faults_kept() -> None:
    def details(number: int) -> PluginDetails:
        faults = [
            FaultReport(time=10 * at + number, hook="on_request", flow=1, reason="trap")
            for at in range(2)
        ]
        return PluginDetails(
            summary=msgspec.structs.replace(ONE, calls=number),
            counters=Counters(calls=number, seconds=0.5, faults={"trap": number}),
            micros=Spread(count=number, p50=float(number), p99=9.0 - number, most=9.0),
            faults=faults,
            loaded_at=float(number),
            reloads=number,
            in_loop=number == 1,
        )

    merged = merged_details([details(1), details(2)])

    assert merged.summary.calls == 3
    assert merged.counters == Counters(calls=3, seconds=1.0, faults={"trap": 3})
    assert merged.micros == Spread(count=3, p50=2.0, p99=8.0, most=9.0)
    assert [one.time for one in merged.faults] == [11.0, 12.0]
    assert (merged.loaded_at, merged.reloads, merged.in_loop) == (2.0, 2, False)


def test_logs_are_joined_by_time_and_stay_as_long_as_one() -> None:
    def log(*times: float) -> PluginLog:
        return PluginLog(
            [LogLine(time=at, plugin="one", level="info", text="") for at in times]
        )

    merged = merged_logs([log(1.0, 3.0, 5.0), log(2.0, 4.0)])

    assert [line.time for line in merged.lines] == [3.0, 4.0, 5.0]
    assert merged_logs([log(), log()]).lines == []
