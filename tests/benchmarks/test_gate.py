from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from benchmarks import gate
from benchmarks.gate import (
    MARGIN,
    NAMES,
    RECORDED,
    Recorded,
    judge,
    margin_so_far,
    read_recorded,
)
from benchmarks.measure import BenchmarkError

RATIOS = {"h1": 10.0, "h2": 20.0, "new": 1.0, "hub": 4.0}


def recorded() -> Recorded:
    return Recorded(machine="a fast one", margin=1.5, ratios=RATIOS)


def measured(**changed: float) -> dict[str, float]:
    return RATIOS | changed


def runs(*results: dict[str, float]) -> Iterator[dict[str, float]]:
    yield from results


def test_up_to_the_margin_a_request_may_cost_more() -> None:
    assert recorded().problems(measured(h1=14.9, new=1.49)) == []
    assert recorded().problems(measured(h1=15.1)) == [
        "h1: 15.10 times the relay's CPU for a request; 10.00 were recorded, 15.00 pass"
    ]


def test_what_is_much_cheaper_is_worth_a_new_record() -> None:
    assert recorded().improvements(measured(h2=15.9, hub=3.3)) == ["h2"]


def test_a_good_run_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    rest = runs(measured(h1=12.0))
    assert judge(recorded(), lambda: next(rest))
    shown = capsys.readouterr()
    assert "h1 12.00, h2 20.00, new 1.00, hub 4.00" in shown.out
    assert shown.err == ""


def test_a_bad_moment_of_the_machine_is_forgiven() -> None:
    # Each ratio counts as it was in its better run.
    rest = runs(measured(h1=40.0), measured(h2=40.0))
    assert judge(recorded(), lambda: next(rest))


def test_what_is_dearer_twice_fails_with_one_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rest = runs(measured(h1=40.0), measured(h1=30.0))
    assert not judge(recorded(), lambda: next(rest))
    said = capsys.readouterr().err
    assert "h1: 30.00 times the relay's CPU" in said
    assert "make profile" in said
    assert "GATE_ARGS=--record" in said


def test_a_record_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "recorded.json"
    path.write_text(recorded().to_json())
    assert read_recorded(path) == recorded()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"h1": 10.0,', ""),
        ('"h1": 10.0,', '"h1": 10.0, "h3": 1.0,'),
        ('"h1": 10.0', '"h1": 0'),
        ('"margin": 1.5', '"margin": 1'),
        ('"margin": 1.5', '"margin": "much"'),
        ("{", ""),
    ],
    ids=["missing", "unknown", "nought", "no-margin", "no-number", "no-json"],
)
def test_a_record_that_does_not_fit_is_refused(
    tmp_path: Path, old: str, new: str
) -> None:
    path = tmp_path / "recorded.json"
    text = recorded().to_json()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(BenchmarkError, match="`--record` writes it anew"):
        read_recorded(path)


def test_no_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"recorded\.json"):
        read_recorded(tmp_path / "recorded.json")


def test_the_committed_record_fits() -> None:
    assert set(read_recorded(RECORDED).ratios) == set(NAMES)


def test_a_new_record_keeps_the_margin_and_needs_no_old_one(tmp_path: Path) -> None:
    path = tmp_path / "recorded.json"
    assert margin_so_far(path) == MARGIN
    path.write_text(recorded().to_json())
    assert margin_so_far(path) == 1.5
    path.write_text("{}")
    assert margin_so_far(path) == MARGIN


def test_what_was_recorded_passes_and_what_is_dearer_than_that_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cost = measured()
    monkeypatch.setattr(gate, "RECORDED", tmp_path / "recorded.json")
    monkeypatch.setattr(gate, "require_tools", lambda: None)
    monkeypatch.setattr(gate, "stage", nullcontext)
    monkeypatch.setattr(gate, "measure", lambda _: dict(cost))

    def ended(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["gate", *arguments])
        return gate.main()

    assert ended() == 1  # nothing is recorded yet
    assert ended("--record", "--margin", "1.3") == 0
    assert ended() == 0
    cost["h1"] *= 1.31
    assert ended() == 1
    assert "benchmark: dearer than recorded:\n  h1: 13.10" in capsys.readouterr().err
    assert ended("--record") == 0
    assert ended() == 0
    assert read_recorded(gate.RECORDED).margin == 1.3
    cost["hub"] *= 0.7
    assert ended() == 0
    assert "cheaper than recorded: hub" in capsys.readouterr().out
